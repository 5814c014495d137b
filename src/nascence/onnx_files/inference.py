"""Types and shapes of the values of an ONNX graph, from its inputs and weights alone."""

from collections.abc import Mapping
from contextlib import suppress
from typing import Any, NamedTuple

import numpy as np

from nascence.onnx_files.reading import subgraphs, without_large_weights

FLOATS = {1: "float32", 10: "float16", 11: "float64", 16: "bfloat16"}
Dims = tuple[int | str | None, ...]


class Value(NamedTuple):
    """What is known of a value before it is computed.

    Attributes:
        kind: Element type, as in ``onnx.TensorProto``; 0 where it is unknown.
        dims: Sizes: a number, the name of a dynamic size, or None; None if the rank is unknown.
    """

    kind: int = 0
    dims: Dims | None = None

    @property
    def is_floating(self) -> bool:
        """Whether it holds floating-point numbers."""
        return self.kind in FLOATS

    @property
    def sizes(self) -> tuple[int, ...] | None:
        """All sizes, None unless every one is known."""
        if self.dims is None:
            return None
        found = tuple(size for size in self.dims if isinstance(size, int))
        return found if len(found) == len(self.dims) else None


def infer_values(
    model: Any,
    sizes: Mapping[str, int] | None = None,
    known: Mapping[str, np.ndarray[Any, Any]] | None = None,
) -> dict[str, Value]:
    """Every value by its name, those inside subgraphs too; what cannot be inferred is left out.

    What the file says of values that it computes is not read: it may be wrong. The shapes of the
    inputs are, for runtimes hold a caller to them.

    Args:
        model: An ``onnx.ModelProto``.
        sizes: Sizes to assume for dynamic ones, by the names of :func:`dynamic_sizes`.
        known: Values that are constant, by name.
    """
    import onnx

    light = without_large_weights(model)
    if known:
        rest = [node for node in light.graph.node if known.keys().isdisjoint(node.output)]
        del light.graph.node[:]
        light.graph.node.extend(rest)
        tensors = [onnx.numpy_helper.from_array(value, name) for name, value in known.items()]
        light.graph.initializer.extend(tensors)
    light.ir_version = max(light.ir_version, 8)  # before 4, onnx reads no initializer but inputs
    forget_shapes(light.graph)
    for value in light.graph.input:
        name_sizes(value, sizes or {})
    # Where onnx does not know an operator or finds it wrong, the inputs are known still.
    with suppress(RuntimeError, ValueError, TypeError, onnx.shape_inference.InferenceError):
        light = onnx.shape_inference.infer_shapes(light, data_prop=True)
    found: dict[str, Value] = {}
    collect(light.graph, found)
    return found


def forget_shapes(graph: Any) -> None:
    """Clear what a graph says of the values that it computes."""
    del graph.value_info[:]
    for value in graph.output:
        if value.type.HasField("tensor_type"):
            value.type.tensor_type.ClearField("shape")
    for node in graph.node:
        for inner in subgraphs(node):
            forget_shapes(inner)


def name_sizes(value: Any, sizes: Mapping[str, int]) -> None:
    """Give each dynamic size of an input a name of its own, or the size that is assumed for it."""
    if not value.type.HasField("tensor_type") or not value.type.tensor_type.HasField("shape"):
        return
    for axis, size in enumerate(value.type.tensor_type.shape.dim):
        if size.HasField("dim_value") and size.dim_value >= 0:
            continue
        name = f"{value.name}:{axis}"  # runtimes do not hold equal names to equal sizes
        if name in sizes:
            size.dim_value = sizes[name]
        else:
            size.dim_param = name


def collect(graph: Any, found: dict[str, Value]) -> None:
    """Add the values of a graph and of its subgraphs to ``found``."""
    for tensor in graph.initializer:
        found[tensor.name] = Value(tensor.data_type, tuple(tensor.dims))
    for value in (*graph.input, *graph.value_info, *graph.output):
        if value.type.HasField("tensor_type") and value.name not in found:
            found[value.name] = value_of(value)
    for node in graph.node:
        for inner in subgraphs(node):
            collect(inner, found)


def value_of(value: Any) -> Value:
    """What a ``ValueInfoProto`` of a tensor says."""
    tensor = value.type.tensor_type
    if not tensor.HasField("shape"):
        return Value(tensor.elem_type, None)
    dims: list[int | str | None] = []
    for size in tensor.shape.dim:
        known = size.HasField("dim_value") and size.dim_value >= 0
        dims.append(size.dim_value if known else size.dim_param or None)
    return Value(tensor.elem_type, tuple(dims))


def dynamic_sizes(model: Any) -> dict[str, str]:
    """The dynamic sizes of the inputs, named ``input:axis``, and what the file calls each."""
    weights = {tensor.name for tensor in model.graph.initializer}
    found = {}
    for value in model.graph.input:
        if value.name in weights or not value.type.HasField("tensor_type"):
            continue
        for axis, size in enumerate(value.type.tensor_type.shape.dim):
            if not (size.HasField("dim_value") and size.dim_value >= 0):
                found[f"{value.name}:{axis}"] = size.dim_param
    return found
