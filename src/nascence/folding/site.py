"""One ONNX node as its readers see it: attributes, constants, data, and what is known of shapes."""

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor, fx

from nascence.folding.constants import double
from nascence.folding.graph import OnnxGraph
from nascence.onnx_files import Value
from nascence.reparam.arguments import NotFoldable
from nascence.reparam.operators import Operator


class Site:
    """The ONNX node at ``node`` of ``graph``."""

    def __init__(self, graph: OnnxGraph, node: fx.Node) -> None:
        self.graph, self.node = graph, node
        self.proto = node.meta["protos"][0]
        self.opset = graph.context.opset
        self.result: Value = node.meta["value"]

    def attribute(self, name: str, default: Any = None) -> Any:
        """An attribute; strings are text, lists of numbers lists."""
        import onnx

        for found in self.proto.attribute:
            if found.name == name:
                value = onnx.helper.get_attribute_value(found)
                return value.decode() if isinstance(value, bytes) else value
        return default

    def name(self, index: int) -> str:
        """The name of an input, empty where it is not given."""
        return str(self.proto.input[index]) if index < len(self.proto.input) else ""

    def is_given(self, index: int) -> bool:
        """Whether the input is there."""
        return self.name(index) != ""

    def is_constant(self, index: int) -> bool:
        """Whether the input is there and constant."""
        return self.is_given(index) and self.name(index) in self.graph.constants

    def array(self, index: int) -> np.ndarray[Any, Any] | None:
        """A constant input of any shape, None where it is not given.

        Raises:
            NotFoldable: It is not constant.
        """
        if not self.is_given(index):
            return None
        if self.name(index) in self.graph.overridable:
            raise NotFoldable("its weight is also an input of the network, which a caller may set")
        if not self.is_constant(index):
            raise NotFoldable("its weight or setting is computed from the input")
        return self.graph.constants.array(self.name(index))

    def tensor(self, index: int) -> Tensor | None:
        """A constant floating-point input of any shape in float64, None where it is not given.

        Raises:
            NotFoldable: It is not constant, or of another type.
        """
        found = self.array(index)
        if found is None:
            return None
        if not is_float(found):
            raise NotFoldable("its weight is not of a floating-point type")
        return double(found)

    def value(self, index: int) -> Value:
        """Type and shape of an input."""
        return self.graph.context.values.get(self.name(index), Value())

    @property
    def data(self) -> list[int]:
        """Positions of the inputs that are not constant."""
        return [
            i for i in range(len(self.proto.input)) if self.is_given(i) and not self.is_constant(i)
        ]

    @property
    def rank(self) -> int | None:
        """Number of axes of the first input, None if unknown."""
        dims = self.value(0).dims
        return None if dims is None else len(dims)

    def integers(self, name: str, index: int) -> list[int] | None:
        """A list of numbers from the attribute ``name`` or, in newer versions, an input.

        Raises:
            NotFoldable: The input is not constant.
        """
        found = self.attribute(name)
        if found is not None:
            return [int(value) for value in found]
        array = self.array(index)
        return None if array is None else [int(value) for value in array.reshape(-1)]


Reader = Callable[[Site], Operator | None]


def is_float(value: np.ndarray[Any, Any]) -> bool:
    """Whether an array of any shape holds floating-point numbers of 16 bits or more."""
    return str(value.dtype) in ("float16", "float32", "float64", "bfloat16")


def per_channel(value: np.ndarray[Any, Any], data: Value) -> tuple[Tensor, int | None] | None:
    """A constant beside ``data`` as values ``(C,)`` or ``(1,)``, and the rank of their axis.

    None where it is not one value per channel, or may change the shape of ``data``.
    """
    if not is_float(value):
        return None
    if data.dims is None:
        return (double(value.reshape(1)), None) if value.ndim == 0 else None
    if value.ndim > len(data.dims):
        return None
    own = data.dims[len(data.dims) - value.ndim :]
    axes = [axis for axis, size in enumerate(value.shape) if size != 1]
    if any(value.shape[axis] != own[axis] for axis in axes) or len(axes) > 1:
        return None
    if axes and len(data.dims) - value.ndim + axes[0] == 0:
        return None  # one value for each element of the batch
    vector = double(value.reshape(-1))
    return (vector, value.ndim - 1 - axes[0]) if axes else (vector, None)


def ones(size: int = 1) -> Tensor:
    """Ones ``(size,)`` in float64."""
    return torch.ones(size, dtype=torch.float64)
