"""Whether a folded ONNX model computes what its source computes, in ONNX Runtime."""

import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from nascence.onnx_files import draw_examples, open_session, write_onnx
from nascence.onnx_files.inference import FLOATS, dynamic_sizes
from nascence.onnx_files.reading import LARGEST_FILE, initializers, size_of
from nascence.onnx_files.running import Inputs
from nascence.reparam.verification import TOLERANCE, first_line, relative_error


def session_of(model: Any) -> Any:
    """An ONNX Runtime session of an ``onnx.ModelProto``, also of one beyond 2 GB."""
    if sum(size_of(tensor) for tensor in initializers(model.graph)) < LARGEST_FILE:
        return open_session(model.SerializeToString())
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.onnx"
        write_onnx(path, model)
        return open_session(path)


class OnnxTruth:
    """Outputs of a model on given or random inputs, against which folded ones are held.

    Attributes:
        inputs: What it ran on.
        sizes: Dynamic sizes of the first of them.
        notes: What could not be checked.
        native: Relative error that rounding makes in the model itself.
    """

    def __init__(self, model: Any, inputs: Sequence[Inputs] = ()) -> None:
        self.inputs: tuple[Inputs, ...] = ()
        self.outputs: list[Any] = []
        self.notes: list[str] = []
        self.sizes: dict[str, int] = {}
        self.native = 0.0
        self.tolerance = tolerance_of(model)
        try:
            self.session = session_of(model)
        except Exception as reason:  # ONNX Runtime has a dozen kinds of its own
            self.notes.append(
                f"not checked: ONNX Runtime does not load it: {first_line(reason)[:200]}"
            )
            return
        if inputs:
            self._take(inputs)
        else:
            found = draw_examples(model, self.session, np.random.default_rng(0))
            self.inputs = found.inputs
            if found.problem:
                missing = "not checked" if not found.inputs else "not checked on another size"
                self.notes.append(f"{missing}: {found.problem}")
        self._run(model)

    @property
    def runs(self) -> bool:
        """Whether there is anything to compare with."""
        return bool(self.outputs)

    def _take(self, inputs: Sequence[Inputs]) -> None:
        names = {value.name for value in self.session.get_inputs()}
        for example in inputs:
            if set(example) != names:
                raise ValueError(
                    f"the inputs are called {', '.join(sorted(names))}; "
                    f"got {', '.join(sorted(example))}"
                )
            try:
                self.session.run(None, example)
            except Exception as reason:
                raise ValueError(
                    f"the network does not run on the inputs: {first_line(reason)[:300]}"
                ) from reason
        self.inputs = tuple(inputs)

    def _run(self, model: Any) -> None:
        if not self.inputs:
            return
        for name in dynamic_sizes(model):
            own, _, axis = name.rpartition(":")
            self.sizes[name] = self.inputs[0][own].shape[int(axis)]
        self.outputs = [as_tensors(self.session.run(None, example)) for example in self.inputs]
        again = as_tensors(self.session.run(None, self.inputs[0]))
        if relative_error(again, self.outputs[0]) > self.tolerance:
            self.notes.append("not checked: the network gives another output each time")
            self.outputs = []
            return
        near = as_tensors(self.session.run(None, nudged(self.inputs[0])))
        self.native = relative_error(near, self.outputs[0])
        if not self.native < 0.1:
            self.notes.append(
                "not checked: inputs moved by one unit in the last place change the output by "
                f"{self.native:.1g} of its size"
            )
            self.outputs = []

    def error(self, folded: Any) -> float:
        """Largest relative error of ``folded`` over all inputs, infinite where it does not run."""
        try:
            session = session_of(folded)
            found = [as_tensors(session.run(None, example)) for example in self.inputs]
        except Exception:  # ONNX Runtime has a dozen kinds of its own; each is a failure
            return float("inf")
        pairs = zip(found, self.outputs, strict=True)
        return max(relative_error(mine, truth) for mine, truth in pairs)

    def holds(self, folded: Any) -> bool:
        """Whether ``folded`` computes the same as far as its types tell."""
        return not self.runs or self.error(folded) <= max(self.tolerance, 20 * self.native)


def tolerance_of(model: Any) -> float:
    """The relative error that the coarsest type of weights allows."""
    kinds = {tensor.data_type for tensor in initializers(model.graph)}
    kinds |= {value.type.tensor_type.elem_type for value in model.graph.input}
    names = {FLOATS[kind] for kind in kinds if kind in FLOATS} or {"float32"}
    return max(TOLERANCE[getattr(torch, name)] for name in names)


def nudged(example: Inputs) -> Inputs:
    """The inputs, floats moved by about one unit in the last place of float32."""
    return {
        name: (value * (1 + 1e-7)).astype(value.dtype)
        if np.issubdtype(value.dtype, np.floating)
        else value
        for name, value in example.items()
    }


def as_tensors(value: Any) -> Any:
    """Outputs of ONNX Runtime, arrays in any structure, as tensors."""
    if isinstance(value, np.ndarray):
        return (
            value.tolist()
            if value.dtype == object
            else torch.from_numpy(np.ascontiguousarray(value))
        )
    if isinstance(value, dict):
        return {str(key): as_tensors(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [as_tensors(inner) for inner in value]
    return value
