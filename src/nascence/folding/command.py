"""The work of ``nascence fold MODEL.onnx``: a file folded, checked on given inputs, and written."""

from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from nascence.core.files import understood
from nascence.folding.checking import session_of
from nascence.folding.model import fold_onnx
from nascence.onnx_files import read_onnx, write_onnx
from nascence.onnx_files.inference import value_of
from nascence.onnx_files.running import Inputs, free_inputs
from nascence.reparam.accounting import FoldReport

BATCH_SIZE = 64
LABELS = "labels"


class OnnxFoldJob(NamedTuple):
    """Outcome of :func:`fold_file`.

    Attributes:
        report: What was folded, what was left, and the cost.
        files: What was written.
        accuracy: Before and after, where labels were given.
    """

    report: FoldReport
    files: tuple[Path, ...]
    accuracy: tuple[float, float] | None


def fold_file(
    source: Path,
    *,
    out: Path | None = None,
    inputs: Path | None = None,
    shape: tuple[int, ...] | None = None,
    verify: bool = True,
    repeats: int = 10,
    generator: np.random.Generator | None = None,
) -> OnnxFoldJob:
    """Fold an ONNX file, which is never changed, and write what is asked for.

    Args:
        source: The file.
        out: ONNX file to write, with weights beyond 2 GB beside it.
        inputs: NumPy archive (npz) of inputs by name, the batch first; ``labels``, if there,
            are compared with the largest value of the first output.
        shape: Shape of a random input to check on, where the network has one.
        verify: Whether to run both files, and to undo what fails.
        repeats: Timed runs of each, none with 0.
        generator: Draws the input of ``shape``.

    Raises:
        ValueError: If a file is damaged or does not fit.
        OSError: If a file cannot be read or written.
    """
    model = read_onnx(source)
    given = read_inputs(inputs) if inputs is not None else {}
    labels = given.pop(LABELS, None)
    examples = batches(model, given) if given else []
    if shape is not None and not examples:
        examples = [example_of(model, shape, generator or np.random.default_rng(0))]
    found = fold_onnx(model, inputs=examples, verify=verify, repeats=repeats)
    accuracy = None
    if labels is not None and examples:
        accuracy = (
            accuracy_of(model, examples, labels),
            accuracy_of(found.model, examples, labels),
        )
    files = tuple(write_onnx(out, found.model)) if out is not None else ()
    return OnnxFoldJob(found.report, files, accuracy)


def read_inputs(path: Path) -> Inputs:
    """The arrays of an npz file; nothing is unpickled.

    Raises:
        DamagedFileError: It is no npz file of plain arrays.
    """
    remedy = "give an npz file of arrays by input name"
    with (
        path.open("rb") as file,
        understood(path, remedy=remedy),
        np.load(file, allow_pickle=False) as archive,
    ):
        return {name: archive[name] for name in archive.files}


def example_of(model: Any, shape: tuple[int, ...], generator: np.random.Generator) -> Inputs:
    """A random input of ``shape``.

    Raises:
        ValueError: The network has more inputs than one, or the input has another type.
    """
    import onnx

    inputs = free_inputs(model)
    kind = inputs[0].type.tensor_type.elem_type if len(inputs) == 1 else 0
    if not kind:
        raise ValueError(f"the network has {len(inputs)} inputs; give --inputs, not --shape")
    try:
        value = generator.standard_normal(shape)
    except (ValueError, MemoryError) as reason:
        sizes = ",".join(map(str, shape))
        raise ValueError(f"no input of shape {sizes} can be made: {reason}") from reason
    return {inputs[0].name: value.astype(onnx.helper.tensor_dtype_to_np_dtype(kind))}


def batches(model: Any, given: Inputs) -> list[Inputs]:
    """The given inputs in batches of the size that the network takes.

    Raises:
        ValueError: They differ in their number of samples, or a scalar is among them.
    """
    sizes = {value.shape[0] if value.ndim else 0 for value in given.values()}
    if len(sizes) != 1 or not min(sizes):
        raise ValueError(
            f"the inputs have {', '.join(map(str, sorted(sizes)))} samples; each array must have "
            "the same number of them along its first axis"
        )
    fixed = BATCH_SIZE
    for value in free_inputs(model):
        dims = value_of(value).dims if value.type.HasField("tensor_type") else None
        if dims and isinstance(dims[0], int) and dims[0] > 0:
            fixed = dims[0]
    count = sizes.pop()
    ends = range(fixed, count + 1, fixed) if count >= fixed else [count]
    stops = [*ends] if fixed != BATCH_SIZE or count % fixed == 0 else [*ends, count]
    starts = [0, *stops[:-1]]
    return [
        {name: value[a:b] for name, value in given.items()}
        for a, b in zip(starts, stops, strict=True)
        if b > a
    ]


def accuracy_of(model: Any, examples: list[Inputs], labels: np.ndarray[Any, Any]) -> float:
    """How often the largest value of the first output, ``(B, classes)``, is at the label.

    Raises:
        ValueError: There are fewer labels than samples.
    """
    session = session_of(model)
    chosen = np.concatenate([session.run(None, e)[0].argmax(-1).reshape(-1) for e in examples])
    truth = np.asarray(labels).reshape(-1)
    if len(truth) < len(chosen):
        raise ValueError(f"there are {len(truth)} labels for {len(chosen)} samples")
    return float((chosen == truth[: len(chosen)]).mean())
