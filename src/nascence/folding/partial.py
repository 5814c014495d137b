"""Shapes of which some sizes are fixed, followed through the nodes that compute with them."""

from typing import Any

import numpy as np

from nascence.folding.constants import Constants
from nascence.onnx_files import Value

Sizes = tuple[int | None, ...]
INT64 = 7  # as in onnx.TensorProto
KEEPING = ("Cast", "Identity", "Squeeze", "Unsqueeze")


class PartialShapes:
    """The sizes that values hold, by name; None for each that is not fixed."""

    def __init__(self, constants: Constants, values: dict[str, Value]) -> None:
        self.constants, self.values = constants, values
        self.known: dict[str, Sizes] = {}

    def compute(self, node: Any) -> bool:
        """Make the output of ``node`` a constant if it is one; whether that was done."""
        if self.constants.compute(node, self.values):
            return True
        if node.domain not in ("", "ai.onnx") or len(node.output) != 1:
            return False
        name = node.output[0]
        value, found = self.values.get(name, Value()), self._sizes(node)
        if found is None or value.kind != INT64 or value.dims is None or len(value.dims) > 1:
            return False
        self.known[name] = found
        if None in found:
            return False
        array = np.array(found, np.int64).reshape(-1 if value.dims else ())
        return self.constants.keep(node, [array])

    def _sizes(self, node: Any) -> Sizes | None:
        if node.op_type == "Shape":
            dims = self.values.get(node.input[0], Value()).dims
            if dims is None or len(node.attribute):
                return None
            return tuple(size if isinstance(size, int) else None for size in dims)
        if node.op_type == "Concat":
            parts = [self._given(name) for name in node.input]
            if any(part is None for part in parts):
                return None
            return tuple(size for part in parts for size in part or ())
        source = self.known.get(node.input[0]) if node.input else None
        if source is None:
            return None
        if node.op_type in KEEPING:
            return source
        rest = [name for name in node.input[1:] if name]
        if not all(name in self.constants for name in rest):
            return None
        numbers = [self.constants.array(name).reshape(-1).tolist() for name in rest]
        if node.op_type == "Gather" and len(numbers) == 1:
            inside = all(-len(source) <= index < len(source) for index in numbers[0])
            return tuple(source[index] for index in numbers[0]) if inside else None
        if node.op_type == "Slice" and len(numbers) >= 2 and all(len(n) == 1 for n in numbers):
            step = numbers[3][0] if len(numbers) == 4 else 1
            return source[numbers[0][0] : numbers[1][0] : step] if step > 0 else None
        return None

    def _given(self, name: str) -> Sizes | None:
        """The sizes that a name holds, of a constant too."""
        if name in self.known:
            return self.known[name]
        if name not in self.constants:
            return None
        array = self.constants.array(name)
        if array.dtype.kind not in "iu" or array.ndim != 1 or array.size > 16:
            return None
        return tuple(int(size) for size in array)
