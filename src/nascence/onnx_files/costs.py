"""What an ONNX graph costs: nodes, parameters, multiply-adds, bytes."""

from collections.abc import Mapping
from math import prod
from typing import Any, NamedTuple

from nascence.onnx_files.inference import FLOATS, Value
from nascence.onnx_files.reading import initializers, size_of, subgraphs


class OnnxCost(NamedTuple):
    """Cost of a graph and of the graphs inside its nodes.

    Attributes:
        nodes: Nodes that compute; ``Constant`` does not.
        batch_norms: ``BatchNormalization`` among them.
        parameters: Floating-point values in initializers.
        macs: Multiply-adds of convolutions and matrix products, None where a shape is unknown.
        size: Bytes of all weights.
    """

    nodes: int
    batch_norms: int
    parameters: int
    macs: int | None
    size: int


def all_nodes(graph: Any) -> list[Any]:
    """The nodes of a graph and of the graphs inside them."""
    found = []
    for node in graph.node:
        found.append(node)
        for inner in subgraphs(node):
            found += all_nodes(inner)
    return found


def count_nodes(graph: Any) -> int:
    """Nodes that compute, those of inner graphs too; ``Constant`` does not."""
    return sum(node.op_type != "Constant" for node in all_nodes(graph))


def cost_of_graph(model: Any, values: Mapping[str, Value]) -> OnnxCost:
    """Cost of an ``onnx.ModelProto`` whose values have the sizes of ``values``."""
    nodes = all_nodes(model.graph)
    weights = list(initializers(model.graph))
    macs: int | None = 0
    for node in nodes:
        own = macs_of(node, values)
        macs = None if macs is None or own is None else macs + own
    return OnnxCost(
        count_nodes(model.graph),
        sum(node.op_type == "BatchNormalization" for node in nodes),
        sum(prod(tensor.dims) for tensor in weights if tensor.data_type in FLOATS),
        macs,
        sum(size_of(tensor) for tensor in weights),
    )


def macs_of(node: Any, values: Mapping[str, Value]) -> int | None:
    """Multiply-adds of one node, 0 for what is no product, None where a shape is unknown."""
    if node.op_type not in ("Conv", "ConvTranspose", "Gemm", "MatMul"):
        return 0
    sizes = [values.get(name, Value()).sizes for name in (*node.input[:2], node.output[0])]
    first, second, result = sizes
    if first is None or second is None or result is None:
        return None
    if node.op_type == "Conv":
        return prod(result) * prod(second[1:])
    if node.op_type == "ConvTranspose":
        return prod(first) * prod(second[1:])
    if node.op_type == "MatMul":
        return prod(result) * first[-1]
    across = next((attribute.i for attribute in node.attribute if attribute.name == "transA"), 0)
    return prod(result) * first[0 if across else 1]
