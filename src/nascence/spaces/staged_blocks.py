"""The blocks of staged networks, in training and as they are once folded, and what they cost."""

from typing import NamedTuple

from torch import Tensor, nn

from nascence.spaces.blocks import normalised
from nascence.spaces.cell import ConvolutionFactory

BLOCKS = ("plain", "residual", "inverted", "branched")
EXPANSION = 4
"""Hidden channels of an inverted residual are so many times those of the block."""


class Operator(NamedTuple):
    """A convolution and its place: what costs of a network are added up from.

    Args:
        kernel: side of the kernel.
        in_channels, out_channels: of the convolution.
        stride: of the convolution.
        groups: 1, or as many as channels where it is depthwise.
        side: pixels of a side of its input.
        branched: whether it has branches while it is trained.
    """

    kernel: int
    in_channels: int
    out_channels: int
    stride: int
    groups: int
    side: int
    branched: bool = False

    @property
    def out(self) -> int:
        """Pixels of a side of its output."""
        return -(-self.side // self.stride)

    @property
    def weights(self) -> int:
        """Values of its kernel, once folded."""
        return self.kernel**2 * self.in_channels // self.groups * self.out_channels


class Blocks(NamedTuple):
    """Makes the modules of a network, all of them alike.

    Attributes:
        branched: makes a branched convolution; None where there is none.
        folded: whether convolutions have a bias in place of BatchNorm and branches.
    """

    branched: ConvolutionFactory | None
    folded: bool

    def convolution(self, operator: Operator) -> nn.Module:
        """Make the convolution of an operator, ``(B, C, H, W)`` to ``(B, out, H', W')``."""
        kernel, inputs, outputs, stride, groups, _, branched = operator
        if self.folded:
            return nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, groups=groups)
        if branched:
            assert self.branched is not None
            return self.branched(inputs, outputs, kernel_size=kernel, stride=stride, padding=1)
        return nn.Sequential(*normalised(inputs, outputs, kernel, stride=stride, groups=groups))

    def activated(self, operator: Operator) -> nn.Sequential:
        """Make a convolution with its ReLU."""
        return nn.Sequential(self.convolution(operator), nn.ReLU(inplace=True))

    def block(self, kind: str, channels: int) -> nn.Module:
        """Make one of ``BLOCKS``, ``(B, channels, H, W)`` to the same shape."""
        operators = operators_of(kind, channels, 1)
        if kind in ("plain", "branched"):
            return self.activated(operators[0])
        *inner, last = operators
        layers = [*map(self.activated, inner), self.convolution(last)]
        return Residual(nn.Sequential(*layers), rectified=kind == "residual")


class Residual(nn.Module):
    """Add what layers compute to their input, then take a ReLU if ``rectified``.

    He et al., "Deep Residual Learning for Image Recognition", CVPR 2016, figure 2, and, without
    the ReLU, Sandler et al., "MobileNetV2", CVPR 2018, figure 3: ``(B, C, H, W)`` to the same.
    """

    def __init__(self, layers: nn.Module, *, rectified: bool) -> None:
        super().__init__()
        self.layers = layers
        self.last: nn.Module = nn.ReLU(inplace=True) if rectified else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        """Compute ``(B, C, H, W)`` to the same shape."""
        return self.last(x + self.layers(x))


def operators_of(kind: str, channels: int, side: int) -> tuple[Operator, ...]:
    """List the convolutions of a block of ``BLOCKS`` on maps of ``side`` pixels."""
    if kind == "inverted":
        hidden = EXPANSION * channels
        return (
            Operator(1, channels, hidden, 1, 1, side),
            Operator(3, hidden, hidden, 1, hidden, side),
            Operator(1, hidden, channels, 1, 1, side),
        )
    one = Operator(3, channels, channels, 1, 1, side, kind == "branched")
    return (one, one) if kind == "residual" else (one,)
