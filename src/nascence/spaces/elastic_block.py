"""An inverted residual block from which smaller ones are sliced."""

from itertools import pairwise
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional

from nascence.params import Params
from nascence.spaces.elastic_network import Place
from nascence.spaces.inverted_residual import InvertedResidual, squeezed

Axis = Literal["hidden", "middle", "whole"]
AXES: dict[str, tuple[Axis, ...]] = {
    "expand": ("hidden",),
    "depthwise": ("hidden",),
    "squeeze.reduce": ("middle", "hidden"),
    "squeeze.restore": ("hidden", "middle"),
    "project.0": ("whole", "hidden"),
    "project.1": ("whole",),
}
"""What the first axes of the tensors count, by how their names start: hidden channels, or those
in the middle of squeeze-and-excitation."""


class ElasticBlock(InvertedResidual):
    """The largest block of a place, which computes with any kernel and expansion it holds.

    Cai et al., "Once-for-All", ICLR 2020, section 3.3: a smaller expansion takes the leading
    hidden channels; a smaller kernel is the centre of the next larger one, times a learned matrix
    that all channels share and that starts as the identity. BatchNorm is sliced with the channels.

    Args:
        place: where the block stands.
        kernels, expansions: to choose from, ascending.
    """

    def __init__(
        self, place: Place, *, kernels: tuple[int, ...], expansions: tuple[int, ...]
    ) -> None:
        super().__init__(
            place.in_channels,
            place.out_channels,
            kernel=kernels[-1],
            expansion=expansions[-1],
            stride=place.stride,
            squeeze=place.stage.squeeze,
            hard_swish=place.stage.hard_swish,
        )
        self.place, self.kernels = place, kernels
        self.transforms = nn.ParameterDict(
            {f"to_{kernel}": nn.Parameter(torch.eye(kernel**2)) for kernel in kernels[:-1]}
        )

    def forward(self, x: Tensor, kernel: int, expansion: int) -> Tensor:  # type: ignore[override]
        """Compute with a kernel and an expansion: ``(B, in, H, W)`` to ``(B, out, H', W')``."""
        tensors = self.sliced(kernel, expansion)
        y = functional.conv2d(x, tensors["expand.0.weight"])
        y = self._activated(self._normalised("expand.1", y, tensors))
        weight = tensors["depthwise.0.weight"]
        padding, stride = kernel // 2, self.place.stride
        y = functional.conv2d(y, weight, stride=stride, padding=padding, groups=len(weight))
        y = self._activated(self._normalised("depthwise.1", y, tensors))
        if self.place.stage.squeeze:
            y = y * _scale(y.mean((2, 3), keepdim=True), tensors)
        y = functional.conv2d(y, tensors["project.0.weight"])
        y = self._normalised("project.1", y, tensors)
        return x + y if self.shortcut else y

    def sliced(self, kernel: int, expansion: int) -> Params:
        """Return parameters and buffers of a smaller block, by their names in its ``residual``.

        Slices share the block's storage; a smaller kernel is computed.
        """
        hidden = self.place.in_channels * expansion
        sizes = {"hidden": hidden, "middle": squeezed(hidden)}
        tensors = self._tensors()
        for name, tensor in tensors.items():
            for axis, kind in enumerate(_axes(name, tensor)):
                if kind != "whole":
                    tensors[name] = tensors[name].narrow(axis, 0, sizes[kind])
        tensors["depthwise.0.weight"] = self._kernel(tensors["depthwise.0.weight"], kernel)
        return tensors

    @torch.no_grad()
    def sort_channels_(self, expansions: tuple[int, ...]) -> None:
        """Put the hidden channels with the greatest L1 norm first.

        The norm is that of the weights of the last convolution that read a channel. Channels stay
        among those that each of the ``expansions`` adds to the one before, so that blocks with
        these compute what they did; those of squeeze-and-excitation are sorted likewise.
        """
        tensors = self._tensors()
        edges = [0, *(self.place.in_channels * each for each in expansions)]
        orders = {"hidden": _order(tensors["project.0.weight"], edges)}
        if self.place.stage.squeeze:
            edges = [0, *(squeezed(edge) for edge in edges[1:])]
            orders["middle"] = _order(tensors["squeeze.restore.weight"], edges)
        for name, tensor in tensors.items():
            for axis, kind in enumerate(_axes(name, tensor)):
                if kind != "whole":
                    tensor.copy_(tensor.index_select(axis, orders[kind]))

    def _tensors(self) -> Params:
        return dict(self.residual.named_parameters()) | dict(self.residual.named_buffers())

    def _kernel(self, weight: Tensor, kernel: int) -> Tensor:
        """Shrink weights (hidden, 1, K, K) of the largest kernel to (hidden, 1, k, k)."""
        for larger, smaller in pairwise(reversed(self.kernels)):
            if larger == kernel:
                break
            edge = (larger - smaller) // 2
            centre = weight[:, :, edge : edge + smaller, edge : edge + smaller]
            flat = centre.reshape(len(weight), smaller**2) @ self.transforms[f"to_{smaller}"].T
            weight = flat.view(len(weight), 1, smaller, smaller)
        return weight

    def _activated(self, x: Tensor) -> Tensor:
        activate = functional.hardswish if self.place.stage.hard_swish else functional.relu
        return activate(x, inplace=True)

    def _normalised(self, name: str, x: Tensor, tensors: Params) -> Tensor:
        norm = self.residual.get_submodule(name)
        assert isinstance(norm, nn.BatchNorm2d)
        if norm.training:
            tensors[f"{name}.num_batches_tracked"].add_(1)
        mean, variance, weight, bias = (
            tensors[f"{name}.{own}"] for own in ("running_mean", "running_var", "weight", "bias")
        )
        return functional.batch_norm(
            x, mean, variance, weight, bias, norm.training, norm.momentum or 0.0, norm.eps
        )


def _axes(name: str, tensor: Tensor) -> tuple[Axis, ...]:
    """What the axes of a tensor count that may be sliced."""
    for start, axes in AXES.items():
        if name.startswith(start):
            return axes[: tensor.ndim]
    raise AssertionError(f"an elastic block has no tensor {name}")


def _scale(means: Tensor, tensors: Params) -> Tensor:
    """Squeeze-and-excitation of means (B, hidden, 1, 1)."""
    weight, bias = tensors["squeeze.reduce.weight"], tensors["squeeze.reduce.bias"]
    middle = functional.relu(functional.conv2d(means, weight, bias))
    weight, bias = tensors["squeeze.restore.weight"], tensors["squeeze.restore.bias"]
    return functional.hardsigmoid(functional.conv2d(middle, weight, bias))


def _order(readers: Tensor, edges: list[int]) -> Tensor:
    """Sort inputs of weights (out, in, 1, 1) by L1 norm within each range between two edges."""
    norms = readers.abs().sum((0, 2, 3))
    pieces = [
        start + norms[start:stop].argsort(descending=True, stable=True)
        for start, stop in pairwise([*edges, len(norms)])
    ]
    return torch.cat(pieces)
