"""The MobileNet-like space of ProxylessNAS, in the form in which later work searches it."""

from collections import OrderedDict
from collections.abc import Callable
from functools import partial
from typing import Any, ClassVar

from torch import Tensor, nn

from nascence.spaces.additive import Cost, CostTable, check_positive, total
from nascence.spaces.block_space import BlockSpace
from nascence.spaces.blocks import convolution_cost, normalised, read_numbers
from nascence.spaces.decisions import Architecture
from nascence.spaces.space import Choose

KERNELS_AND_EXPANSIONS = ((3, 3), (3, 6), (5, 3), (5, 6), (7, 3), (7, 6))
MBCONVS = tuple(f"{k}x{k}_MBConv{expansion}" for k, expansion in KERNELS_AND_EXPANSIONS)
CHANNELS = (32, 56, 112, 128, 256, 432)
STEM, FIRST = 40, 24


class MBConv(nn.Module):
    """Mobile inverted bottleneck (Sandler et al., CVPR 2018): 1x1, depthwise, linear 1x1.

    ``(B, in_channels, H, W)`` to ``(B, out_channels, ceil(H / stride), ceil(W / stride))``, the
    input added where the shapes agree. An expansion of one has no first 1x1.
    """

    def __init__(
        self, in_channels: int, out_channels: int, *, kernel: int, expansion: int, stride: int
    ) -> None:
        super().__init__()
        hidden = in_channels * expansion
        widen = [*normalised(in_channels, hidden), nn.ReLU6(inplace=True)] if expansion > 1 else []
        self.residual = nn.Sequential(
            *widen,
            *normalised(hidden, hidden, kernel, stride=stride, groups=hidden),
            nn.ReLU6(inplace=True),
            *normalised(hidden, out_channels),
        )
        self.shortcut = stride == 1 and in_channels == out_channels

    def forward(self, x: Tensor) -> Tensor:
        """Compute ``(B, in_channels, H, W)`` to ``(B, out_channels, H / stride, W / stride)``."""
        return x + self.residual(x) if self.shortcut else self.residual(x)


class Mobile(BlockSpace):
    """MobileNet-like networks: 21 blocks, each an MBConv of six kinds or the identity.

    The first block of a stage is no identity.

    Cai, Zhu and Han, "ProxylessNAS", ICLR 2019 (the widths of its GPU network); as a single-path
    space in Hu et al., "Angle-based Search Space Shrinking", ECCV 2020, and Zhang et al., "Neural
    Architecture Search with Random Labels", CVPR 2021. Stem of 40 channels, a fixed block of 24,
    six stages of 32, 56, 112, 128, 256 and 432 channels, 1x1 convolution to 1728, classifier.
    6^6 · 7^15 = 2.2e17 networks from ``(B, in_channels, H, W)`` to ``(B, classes)``.

    Args are those of :class:`BlockSpace`; channels are multiples of 8. For images of 32 pixels
    take ``stem_stride=1, strides=(1, 2, 2, 1, 2, 1)``, which :meth:`for_images` does.

    One line holds the published numbers of the blocks: 0 to 5 for kernel 3, 5, 7 with expansion
    3 and 6 each, -1 for the identity.
    """

    kind = "Mobile"
    channels, first, multiple = CHANNELS, FIRST, 8
    published: ClassVar[dict[str, Any]] = {
        "depths": (4, 4, 4, 4, 4, 1),
        "strides": (2, 2, 2, 1, 2, 1),
        "last": 1728,
        "dropout": 0.2,
    }

    def _choices(self, position: int) -> tuple[str, ...]:
        return (*MBCONVS, "identity") if position else MBCONVS

    def network(self, choose: Choose) -> nn.Sequential:
        """Build the network with what ``choose`` gives at each block."""
        stem, first = self._channels(STEM), self._channels(FIRST)
        blocks: list[nn.Module] = []
        channels = first
        for (name, choices), (_, before, after, stride) in zip(
            self.decisions, self._places(), strict=True
        ):
            builders: list[Callable[[], nn.Module]] = [
                partial(MBConv, before, after, kernel=kernel, expansion=expansion, stride=stride)
                for kernel, expansion in KERNELS_AND_EXPANSIONS
            ]
            blocks.append(choose(name, [*builders, nn.Identity][: len(choices)]))
            channels = after
        stem_parts = normalised(self.in_channels, stem, 3, stride=self.stem_stride)
        return nn.Sequential(
            OrderedDict(
                stem=nn.Sequential(*stem_parts, nn.ReLU6(inplace=True)),
                first=MBConv(stem, first, kernel=3, expansion=1, stride=1),
                blocks=nn.Sequential(*blocks),
                tail=nn.Sequential(*normalised(channels, self._tail), nn.ReLU6(inplace=True)),
                pool=nn.AdaptiveAvgPool2d(1),
                flatten=nn.Flatten(),
                dropout=nn.Dropout(self.dropout),
                classifier=nn.Linear(self._tail, self.classes),
            )
        )

    def cost_table(self, *, side: int | None = None) -> CostTable:
        """Add up what each choice costs at images of ``side`` pixels, at all its places."""
        side = self.default_side if side is None else side
        check_positive("side", side)
        stem, first = self._channels(STEM), self._channels(FIRST)
        side = -(-side // self.stem_stride)
        stem_cost = convolution_cost(self.in_channels, stem, 3, side)
        fixed = [stem_cost, *_costs(stem, first, 3, 1, side, side)]
        choices, channels = [], first
        for (_, names), (_, before, after, stride) in zip(
            self.decisions, self._places(), strict=True
        ):
            out = -(-side // stride)
            costs = [
                total(_costs(before, after, kernel, expansion, side, out))
                for kernel, expansion in KERNELS_AND_EXPANSIONS
            ]
            choices.append(tuple([*costs, Cost(0, 0)][: len(names)]))
            side, channels = out, after
        fixed.append(convolution_cost(channels, self._tail, 1, side))
        weights = self._tail * self.classes
        fixed.append(Cost(weights + self.classes, weights))
        return CostTable(total(fixed), tuple(choices))

    def format(self, architecture: Architecture) -> str:
        """Write the published line of block numbers, ``2 0 -1 2 …``."""
        return " ".join(
            str(-1 if index == len(MBCONVS) else index) for index in self.check(architecture)
        )

    def parse(self, text: str) -> Architecture:
        """Read what :meth:`format` writes; raises ``ValueError`` naming the block it cannot read.

        Commas and brackets around the numbers are allowed.
        """
        numbers = read_numbers(text, len(self.decisions))
        for number, (name, choices) in zip(numbers, self.decisions, strict=True):
            least = 0 if len(choices) == len(MBCONVS) else -1
            if not least <= number < len(MBCONVS):
                why = (
                    ", and -1 is for blocks that are not the first of a stage" if least == 0 else ""
                )
                raise ValueError(f"{name} is {number}; it must be from {least} to 5{why}")
        return tuple(len(MBCONVS) if number == -1 else number for number in numbers)


def _costs(before: int, after: int, kernel: int, expansion: int, side: int, out: int) -> list[Cost]:
    """Costs of the convolutions of an MBConv with input of ``side`` and output of ``out``."""
    hidden = before * expansion
    widen = [convolution_cost(before, hidden, 1, side)] if expansion > 1 else []
    depthwise = convolution_cost(hidden, hidden, kernel, out, groups=hidden)
    return [*widen, depthwise, convolution_cost(hidden, after, 1, out)]
