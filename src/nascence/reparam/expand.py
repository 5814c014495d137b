"""Plain convolutions of any network as re-parameterised blocks with the same function."""

import copy
import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from nascence.reparam.attributes import keep_hooks
from nascence.reparam.blocks import BranchedConvolution, QARepVGGBlock
from nascence.reparam.branch_layers import ConvNorm
from nascence.reparam.fold import fold

Accepts = Callable[[nn.Conv2d], bool]


def is_spatial(layer: nn.Conv2d) -> bool:
    """Whether the kernel is larger than 1 x 1: other blocks gain nothing."""
    return max(layer.kernel_size) > 1


class BiasedBlock(nn.Module):
    """A block and the bias of the convolution that it replaces, shape ``(out_channels,)``."""

    def __init__(self, block: nn.Module, bias: Tensor) -> None:
        super().__init__()
        self.block = block
        self.bias = nn.Parameter(bias.detach().clone())

    def forward(self, x: Tensor) -> Tensor:
        """Map ``(B, in_channels, H, W)`` as the convolution did."""
        return self.block(x) + self.bias[:, None, None]


def expand(
    model: nn.Module,
    block: Callable[..., BranchedConvolution],
    *,
    accepts: Accepts = is_spatial,
    generator: torch.Generator | None = None,
) -> nn.Module:
    """A copy of ``model`` whose 2-D convolutions are ``block``s, with the same function at first.

    The function is that of evaluation mode. Every branch starts as ``block`` makes it, with
    BatchNorms at mean 0, variance 1; the k x k branch then takes the weight of the convolution
    minus what the other branches add up to, so that the sum is the old convolution. Blocks keep
    the hooks of the convolutions. Fold the trained model to get the old architecture back.

    Args:
        model: Any module; it is not changed.
        block: Makes a block as ``RepVGGBlock`` does, from channels, kernel and keywords.
        accepts: Chooses the convolutions, by default those larger than 1 x 1. Transposed ones,
            those that do not pad with zeros, and those whose weight a hook computes stay.
        generator: Draws the weights of the new branches.

    Raises:
        ValueError: If nothing can be replaced.
    """
    result = copy.deepcopy(model)
    owners: dict[int, list[tuple[nn.Module, str]]] = {}
    for module in result.modules():
        for name, child in module._modules.items():
            if child is not None:
                owners.setdefault(id(child), []).append((module, name))
    replaced = 0
    for layer in list(result.modules()):
        if type(layer) is not nn.Conv2d or isinstance(layer.padding, str) or not accepts(layer):
            continue
        computed = set(layer._parameters) != {"weight", "bias"}  # by a hook, from other values
        if computed or layer.padding_mode != "zeros" or id(layer) not in owners:
            continue
        new = expanded_convolution(layer, block, generator)
        for owner, name in owners[id(layer)]:
            setattr(owner, name, new)
        replaced += 1
    if not replaced:
        raise ValueError("the model has no plain convolution to replace; see accepts")
    return result


def expanded_convolution(
    layer: nn.Conv2d,
    block: Callable[..., BranchedConvolution],
    generator: torch.Generator | None,
) -> nn.Module:
    """``block`` with the geometry, dtype, device, mode and function of ``layer``."""
    kernel, stride = _pair(layer.kernel_size), _pair(layer.stride)
    new = block(
        layer.in_channels,
        layer.out_channels,
        kernel,
        stride=stride,
        padding=_pair(layer.padding),
        dilation=_pair(layer.dilation),
        groups=layer.groups,
    )
    draw(new, generator)
    set_function(new, layer.weight.detach())
    new = new.to(layer.weight.device, layer.weight.dtype)
    whole = new if layer.bias is None else BiasedBlock(new, layer.bias)
    keep_hooks(whole, layer)
    return whole.train(layer.training)


def _pair(values: Any) -> tuple[int, int]:
    return int(values[0]), int(values[1])


def draw(block: nn.Module, generator: torch.Generator | None) -> None:
    """Fill the weights of every convolution as torch does, from ``generator``."""
    for layer in block.modules():
        if isinstance(layer, nn.Conv2d):
            reach = math.prod(layer.kernel_size) * layer.in_channels // layer.groups
            bound = 1 / math.sqrt(reach)
            with torch.no_grad():
                layer.weight.uniform_(-bound, bound, generator=generator)


def set_function(block: BranchedConvolution, weight: Tensor) -> None:
    """Choose the k x k branch of ``block`` so that the sum is a convolution with ``weight``.

    ``weight`` is ``(out, in / groups, k, k)``.
    """
    main = next(branch for branch in block.branches.values() if isinstance(branch, ConvNorm))
    convolution, norm = main[-2], main[-1]
    assert isinstance(convolution, nn.Conv2d)
    assert isinstance(norm, nn.BatchNorm2d)
    with torch.no_grad():
        convolution.weight.zero_()
        example = block.double().eval()
        size = [s * 4 + d * k for s, d, k in zip(*_sizes(block), strict=True)]
        x = torch.zeros(1, block.in_channels, *size, dtype=torch.float64)
        rest = fold(example, x, verify=False)
        others = folded_weight(rest, weight)
        scale = norm_scale(norm)
        if isinstance(block, QARepVGGBlock):
            scale = scale * norm_scale(block.norm)
        convolution.weight.copy_((weight.double().cpu() - others) / scale.reshape(-1, 1, 1, 1))


def norm_scale(norm: nn.BatchNorm2d) -> Tensor:
    """What a BatchNorm multiplies by in evaluation mode: ``(C,)``, float64."""
    assert norm.running_var is not None
    return norm.weight.double() / torch.sqrt(norm.running_var.double() + norm.eps)


def _sizes(block: BranchedConvolution) -> tuple[Any, Any, Any]:
    return block.geometry.stride, block.geometry.dilation, block.geometry.kernel


def folded_weight(rest: nn.Module, weight: Tensor) -> Tensor:
    """The kernel of a folded block, which has the shape of ``weight``.

    Raises:
        ValueError: The block has no such convolution.
    """
    for layer in rest.modules():
        if isinstance(layer, nn.Conv2d) and layer.weight.shape == weight.shape:
            return layer.weight.detach()
    raise ValueError("the block does not fold to one convolution of the same shape")
