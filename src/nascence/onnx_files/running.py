"""ONNX files run by ONNX Runtime, on inputs that are drawn from what the file declares."""

import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from nascence.onnx_files.inference import dynamic_sizes, value_of
from nascence.onnx_session import onnx_session

Inputs = dict[str, np.ndarray[Any, Any]]
SIZES = (64, 224, 128, 32, 256, 299, 16, 8, 512, 7, 1)  # tried in turn for a dynamic size
MOST_VALUES = 2**26


class Examples(NamedTuple):
    """Inputs on which a network ran.

    Attributes:
        inputs: One dictionary for each run, arrays by the names of the inputs.
        problem: Why there are none, or none of another size; empty if nothing is wrong.
    """

    inputs: tuple[Inputs, ...]
    problem: str = ""


def open_session(source: Path | bytes, *, optimise: bool = True) -> Any:
    """An ONNX Runtime session of a file or its content, on one thread."""
    return onnx_session(source, threads=1, optimise=optimise)


def run_session(session: Any, inputs: Inputs) -> list[Any]:
    """All outputs of a session."""
    found: list[Any] = session.run(None, inputs)
    return found


def free_inputs(model: Any) -> list[Any]:
    """The inputs that a caller has to give."""
    weights = {tensor.name for tensor in model.graph.initializer}
    return [value for value in model.graph.input if value.name not in weights]


def draw_examples(model: Any, session: Any, generator: np.random.Generator) -> Examples:
    """Random inputs on which ``session``, of ``model``, runs: several batch and dynamic sizes.

    Args:
        model: The ``onnx.ModelProto`` that says what the inputs are.
        session: An ONNX Runtime session of it.
        generator: Draws normal floats, and integers and booleans of 0 and 1.
    """
    given = free_inputs(model)
    dynamic = dynamic_sizes(model)
    batch = {name for name in dynamic if name.endswith(":0") and rank_of(given, name) > 1}
    rest = {called or name for name, called in dynamic.items() if name not in batch}
    problem = ""

    def attempt(count: int, size: int) -> Inputs | None:
        nonlocal problem
        sizes = {
            name: count if name in batch else fixed_size(model, name) or size for name in dynamic
        }
        try:
            inputs = {value.name: drawn(value, sizes, generator) for value in given}
            run_session(session, inputs)
        except Exception as reason:  # ONNX Runtime has a dozen kinds of its own
            problem = next(iter(str(reason).splitlines()), type(reason).__name__)[:200]
            return None
        return inputs

    runs: list[Inputs] = []
    sizes = SIZES if rest else SIZES[:1]
    good = next(((s, found) for s in sizes if (found := attempt(1, s)) is not None), None)
    if good is None and batch:
        good = next(((s, found) for s in sizes if (found := attempt(2, s)) is not None), None)
    if good is None:
        return Examples((), problem or "it has no inputs that can be drawn")
    problem = ""
    size, first = good
    runs.append(first)
    if batch:
        runs += [found for found in [attempt(3, size)] if found is not None]
    if rest:
        others = [size + 32, 2 * size, size + 5, size + 1]
        other = next((f for s in others if (f := attempt(2 if batch else 1, s)) is not None), None)
        runs += [] if other is None else [other]
    wanted = 1 + bool(batch) + bool(rest)
    return Examples(tuple(runs), problem if len(runs) < wanted else "")


def rank_of(given: Sequence[Any], name: str) -> int:
    """Number of axes of the input to which the dynamic size ``name`` belongs."""
    own = name.rpartition(":")[0]
    return next(len(v.type.tensor_type.shape.dim) for v in given if v.name == own)


def fixed_size(model: Any, name: str) -> int | None:
    """The number of channels that a convolution reading the input requires at axis 1."""
    own, _, axis = name.rpartition(":")
    if axis != "1":
        return None
    kernels = {tensor.name: tensor.dims for tensor in model.graph.initializer}
    for node in model.graph.node:
        if node.op_type == "Conv" and node.input[0] == own and node.input[1] in kernels:
            groups = next((a.i for a in node.attribute if a.name == "group"), 1)
            return int(kernels[node.input[1]][1] * groups)
    return None


def drawn(value: Any, sizes: dict[str, int], generator: np.random.Generator) -> Any:
    """One random input.

    Raises:
        ValueError: It is no tensor, has no declared shape, or is too large.
    """
    import onnx

    known = value_of(value) if value.type.HasField("tensor_type") else None
    if known is None or known.dims is None:
        raise ValueError(f"the input {value.name} has no declared shape; give inputs")
    shape = tuple(
        size if isinstance(size, int) else sizes[f"{value.name}:{axis}"]
        for axis, size in enumerate(known.dims)
    )
    if np.prod(shape, dtype=float) > MOST_VALUES:
        raise ValueError(f"the input {value.name} of shape {shape} is too large to be drawn")
    kind = onnx.helper.tensor_dtype_to_np_dtype(known.kind)
    if kind == np.dtype(object):
        raise ValueError(f"the input {value.name} holds text; give inputs")
    if kind == np.dtype(bool) or np.issubdtype(kind, np.integer):
        return generator.integers(0, 2, shape).astype(kind)
    return generator.standard_normal(shape).astype(kind)


def seconds_in_turns(
    runs: Sequence[Callable[[], object]], *, repeats: int, warm_up: int = 2
) -> list[list[float]]:
    """Seconds of each call, the calls taken in turns so that load meets all alike."""
    times: list[list[float]] = [[] for _ in runs]
    for turn in range(warm_up + repeats):
        for index, run in enumerate(runs):
            start = time.perf_counter()
            run()
            if turn >= warm_up:
                times[index].append(time.perf_counter() - start)
    return times
