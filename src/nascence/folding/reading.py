"""What each node of an ONNX graph computes, as a linear operator, or nothing."""

from typing import Any

from torch import fx

from nascence.folding.constants import Constants
from nascence.folding.fused import parts_of_fused
from nascence.folding.graph import Context, OnnxGraph
from nascence.folding.layer_readers import LAYERS, scaled_and_shifted
from nascence.folding.shape_readers import SHAPES
from nascence.folding.site import Site
from nascence.reparam.absorption import as_node
from nascence.reparam.arguments import NotFoldable
from nascence.reparam.linear_graph import operator_of
from nascence.reparam.operators import ChannelAffine, Convolution, NotExact, Operator, scale_output

READERS = LAYERS | SHAPES
WEIGHTED = ("Conv", "ConvTranspose", "Gemm", "MatMul", "BatchNormalization")
UNLEARNED = ("LayerNormalization", "GroupNormalization", "InstanceNormalization")


def read_graph(
    source: Any,
    context: Context,
    outer: Constants | None = None,
    forbidden: frozenset[tuple[str, str]] = frozenset(),
    limit: int | None = None,
) -> OnnxGraph:
    """The graph of ``source``, a ``GraphProto``, with the operators of its linear nodes."""
    graph = OnnxGraph(source, context, outer, forbidden, limit)
    fused = parts_of_fused(graph)
    for node in list(graph.linear_nodes()):
        if node in fused:
            continue
        kind = node.meta["kind"]
        if kind in UNLEARNED:
            graph.fixed[node.meta["owner"]] = f"{kind}: its statistics depend on the input"
        try:
            found = read_node(graph, node)
        except NotFoldable as reason:
            if kind in WEIGHTED:
                graph.fixed[node.meta["owner"]] = str(reason)
            continue
        if found is not None:
            node.meta["operator"] = found
            join_with_input(graph, node, found)
    return graph


def read_node(graph: OnnxGraph, node: fx.Node) -> Operator | None:
    """The operator that ``node`` applies to its inputs that are not constant.

    Raises:
        NotFoldable: It looks linear, and is not constant.
    """
    kind = node.meta["kind"]
    reader = READERS.get(kind)
    if reader is None or not node.args:  # a constant that is not computed ahead has no input
        return None
    if kind == "Identity" and not is_removable(graph, node):
        return None
    value = node.meta["value"]
    if kind not in ("Identity", "Dropout") and value.kind and not value.is_floating:
        return None
    if kind in ("Add", "Sub", "Sum", "Neg") and not value.is_floating:
        return None
    site = Site(graph, node)
    found = reader(site)
    if kind in WEIGHTED and site.is_constant(1) and not value.kind:
        weight = graph.constants.proto(site.name(1))
        node.meta["value"] = value._replace(kind=0 if weight is None else weight.data_type)
    return found


def is_removable(graph: OnnxGraph, node: fx.Node) -> bool:
    """Whether the readers of an identity could read its input, names of outputs being kept."""
    if graph.output not in node.users:
        return True
    source = as_node(node.args[0]) if node.args else None
    if source is None or source.op == "placeholder" or graph.output in source.users:
        return False
    return source.op == "call_function" and "protos" in source.meta


def join_with_input(graph: OnnxGraph, node: fx.Node, found: Operator) -> None:
    """Read a matrix product and its bias, or a product and a sum, as the one operator they are."""
    if not isinstance(found, ChannelAffine) or not node.args or node.meta["kind"] not in JOINED:
        return
    if found.is_identity:
        return  # it goes by itself
    before = as_node(node.args[0])
    first = operator_of(before)
    if len(before.users) != 1 or "protos" not in before.meta:
        return
    joined: Operator | None = None
    if before.meta["kind"] == "MatMul" and isinstance(first, Convolution):
        shifts = bool((found.scale == 1).all()) and found.rank in (0, None)
        try:
            joined = scale_output(first, found) if shifts else None
        except NotExact:
            joined = None
    elif before.meta["kind"] in ("Mul", "Div") and isinstance(first, ChannelAffine):
        dims = node.meta["value"].dims
        map_ = scaled_and_shifted(first, found)
        normal = dims is not None and map_ is not None and map_.rank == len(dims) - 2
        joined = None if normal and map_ is not None and map_.channels > 1 else map_
    if joined is None:
        return
    node.meta.update(
        operator=joined,
        protos=[*before.meta["protos"], *node.meta["protos"]],
        operands=before.meta["operands"],
        owner=before.meta["owner"],
        kind=before.meta["kind"],
    )
    node.args = before.args
    graph.graph.erase_node(before)
    before.meta["erased"] = True


JOINED = ("Add", "Sub")
