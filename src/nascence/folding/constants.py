"""Values of an ONNX graph that no input reaches."""

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor

from nascence.onnx_files import Value

COMPUTED_ONCE = {
    *("Abs", "Add", "And", "Cast", "Ceil", "Clip", "Concat", "Constant", "ConstantOfShape", "Div"),
    *("Equal", "Exp", "Expand", "Flatten", "Floor", "Gather", "Greater", "Identity", "Less"),
    *(
        "MatMul",
        "Max",
        "Min",
        "Mul",
        "Neg",
        "Not",
        "Or",
        "Pow",
        "Range",
        "Reciprocal",
        "ReduceMean",
    ),
    *("ReduceProd", "ReduceSum", "Reshape", "Shape", "Size", "Slice", "Split", "Sqrt", "Squeeze"),
    *("Sub", "Tile", "Transpose", "Unsqueeze", "Where"),
}
LARGEST_GROWTH = 2**16  # bytes by which a computed constant may exceed what it is computed from


class Constants:
    """Constants by name: initializers as they are stored, and values computed from them.

    ``before`` holds values of any shape that were computed already; ``own`` are the names of the
    graph itself, which hide those of the graph outside.
    """

    def __init__(
        self,
        outer: "Constants | None" = None,
        own: Iterable[str] = (),
        before: Mapping[str, np.ndarray[Any, Any]] | None = None,
    ) -> None:
        self.before = before or {}
        self.outer = outer
        self.own = set(own)
        self.stored: dict[str, Any] = {}
        self.computed: dict[str, np.ndarray[Any, Any]] = {}

    def __contains__(self, name: object) -> bool:
        if name in self.stored or name in self.computed:
            return True
        return self.outer is not None and name not in self.own and name in self.outer

    def array(self, name: str) -> np.ndarray[Any, Any]:
        """The value of a constant, of any shape."""
        import onnx

        if name in self.computed:
            return self.computed[name]
        if name in self.stored:
            return onnx.numpy_helper.to_array(self.stored[name])
        assert self.outer is not None
        return self.outer.array(name)

    def proto(self, name: str) -> Any:
        """The constant as a ``TensorProto``, None where a graph outside holds it."""
        import onnx

        if name in self.stored:
            return self.stored[name]
        if name in self.computed:
            return onnx.numpy_helper.from_array(np.asarray(self.computed[name]), name)
        return None

    def compute(self, node: Any, values: dict[str, Value]) -> bool:
        """Evaluate ``node`` if it only depends on constants; whether that was done.

        ``Shape`` depends on a constant where every size of its input is fixed.
        """
        if node.domain not in ("", "ai.onnx") or node.op_type not in COMPUTED_ONCE:
            return False
        if any(a.HasField("g") or a.HasField("ref_attr_name") for a in node.attribute):
            return False
        names = [name for name in node.output if name]
        if names and all(name in self.before for name in names):
            self.computed.update((name, self.before[name]) for name in names)
            return True
        read = [name for name in node.input if name]
        if node.op_type in ("Shape", "Size") and not all(name in self for name in read):
            sizes = values.get(node.input[0], Value()).sizes
            if sizes is None:
                return False
            given = {node.input[0]: np.broadcast_to(np.float32(0), sizes)}
        elif all(name in self for name in read):
            given = {name: self.array(name) for name in read}
        else:
            return False
        results = evaluated(node, given)
        if results is None:
            return False
        spent = sum(value.nbytes for value in given.values())
        if sum(value.nbytes for value in results) > spent + LARGEST_GROWTH:
            return node.op_type == "Constant" and self.keep(node, results)
        return self.keep(node, results)

    def keep(self, node: Any, results: list[np.ndarray[Any, Any]]) -> bool:
        """Remember the outputs of ``node``, of any shape."""
        for name, value in zip(node.output, results, strict=False):
            if name:
                self.computed[name] = value
        return True


def evaluated(node: Any, given: dict[str, Any]) -> list[np.ndarray[Any, Any]] | None:
    """The outputs of one node, of any shape; None where they cannot be computed here."""
    import onnx
    from onnx.reference import ReferenceEvaluator

    if node.op_type == "Constant" and node.attribute[0].name == "value":
        return [onnx.numpy_helper.to_array(node.attribute[0].t)]
    if node.op_type == "Div" and any(
        np.issubdtype(value.dtype, np.integer) and (value < 0).any() for value in given.values()
    ):
        return None  # runtimes round it towards zero
    try:
        results = ReferenceEvaluator(node).run(None, given)
    except Exception:  # whatever an operator raises on values that do not fit it
        return None
    if not all(isinstance(value, np.ndarray | np.generic) for value in results):
        return None
    return [np.asarray(value) for value in results]


def double(value: np.ndarray[Any, Any]) -> Tensor:
    """An array of any shape in float64."""
    return torch.from_numpy(np.array(value, dtype=np.float64))


def rounded(value: Tensor, kind: int) -> np.ndarray[Any, Any]:
    """A float64 tensor of any shape in an ONNX element type, rounded once."""
    import onnx

    found = value.detach().numpy()
    target = onnx.helper.tensor_dtype_to_np_dtype(kind)
    if kind == onnx.TensorProto.BFLOAT16:
        found = to_odd_float32(found)  # the second rounding then cannot meet a tie of the first's
    with np.errstate(over="ignore"):
        return found.astype(target)


def to_odd_float32(value: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """float64 of any shape in float32, rounded to odd: inexact values end in a one bit.

    Boldo and Melquiond, "When double rounding is odd", IMACS 2005.
    """
    near = value.astype(np.float32)
    inexact = (near.astype(np.float64) != value) & np.isfinite(near)
    beyond = np.abs(near.astype(np.float64)) > np.abs(value)
    bits = near.view(np.int32).copy()
    bits = np.where(inexact & beyond, bits - 1, bits)  # towards zero
    bits = np.where(inexact, bits | 1, bits).astype(np.int32)
    return bits.view(np.float32)
