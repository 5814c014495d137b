"""What each node of a traced graph computes, as a linear operator, or nothing."""

from torch import fx, nn

from nascence.reparam.arguments import double
from nascence.reparam.function_readers import FUNCTIONS
from nascence.reparam.layer_readers import LAYERS
from nascence.reparam.operators import OpaqueConvolution, Operator


def read(node: fx.Node, module: fx.GraphModule) -> Operator | None:
    """The operator that ``node`` applies to its non-constant inputs, None if it is not linear.

    Raises NotFoldable for a normalisation whose statistics are not constant.
    """
    if node.op == "call_module":
        return read_layer(module.get_submodule(str(node.target)), node)
    if node.op not in ("call_function", "call_method"):
        return None
    reader = FUNCTIONS.get(node.target if node.op == "call_function" else str(node.target))
    return None if reader is None else reader(node)


def read_layer(layer: nn.Module, node: fx.Node) -> Operator | None:
    """The operator of a layer that is kept whole, by its class and what it overrides."""
    if layer._forward_hooks or layer._forward_pre_hooks or len(node.args) != 1 or node.kwargs:
        return None
    for kind, reader in LAYERS.items():
        if isinstance(layer, kind) and is_plain(layer, kind):
            return reader(layer, node)
    if isinstance(layer, (nn.Conv1d, nn.Conv2d, nn.Conv3d)):
        bias = double(layer.bias, layer.out_channels, 0.0)
        return OpaqueConvolution(double(layer.weight, 0, 0.0), bias, layer)
    return None


def is_plain(layer: nn.Module, kind: type[nn.Module]) -> bool:
    """Whether ``layer`` computes what ``kind`` computes, and is not a subclass that differs."""
    mine = type(layer)
    same = mine.forward is kind.forward
    return same and getattr(mine, "_conv_forward", None) is getattr(kind, "_conv_forward", None)
