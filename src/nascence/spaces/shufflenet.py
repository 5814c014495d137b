"""The ShuffleNetV2 space of Single Path One-Shot."""

from collections import OrderedDict
from collections.abc import Callable
from functools import partial
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from nascence.spaces.additive import Cost, CostTable, check_positive, total
from nascence.spaces.block_space import BlockSpace
from nascence.spaces.blocks import convolution_cost, normalised, read_numbers
from nascence.spaces.decisions import Architecture
from nascence.spaces.space import Choose

UNITS = ("shuffle_3x3", "shuffle_5x5", "shuffle_7x7", "xception")
KERNELS = (3, 5, 7)
CHANNELS = (64, 160, 320, 640)
STEM, LAST = 16, 1024


class Unit(nn.Module):
    """One block: half of the channels through, or the whole input projected, beside ``branch``.

    ``split``: the even channels pass as they are and the odd ones go through the branch, which
    undoes the shuffle of the block before; otherwise both ways see all channels.
    ``(B, C, H, W)`` to ``(B, out_channels, ceil(H / stride), ceil(W / stride))``.
    """

    def __init__(self, projection: nn.Module | None, branch: nn.Module) -> None:
        super().__init__()
        self.projection, self.branch = projection, branch

    def forward(self, x: Tensor) -> Tensor:
        """Compute ``(B, in_channels, H, W)`` to ``(B, out_channels, H / stride, W / stride)``."""
        if self.projection is None:
            return torch.cat((x[:, ::2], self.branch(x[:, 1::2])), dim=1)
        return torch.cat((self.projection(x), self.branch(x)), dim=1)


def _activated(in_channels: int, out_channels: int) -> list[nn.Module]:
    return [*normalised(in_channels, out_channels), nn.ReLU(inplace=True)]


def unit(choice: str, in_channels: int, out_channels: int, *, first: bool, stride: int) -> Unit:
    """Build one of ``UNITS``: the first of a stage sees all channels, the others half of them.

    The middle has half of the output's channels; figure 5 and section 4 of the paper, the
    Xception-like unit with three depthwise 3x3 convolutions.
    """
    seen = in_channels if first else in_channels // 2
    middle, given = out_channels // 2, out_channels - seen
    kernel = 3 if choice == "xception" else KERNELS[UNITS.index(choice)]
    projection = None
    if first:
        projection = nn.Sequential(
            *normalised(seen, seen, kernel, stride=stride, groups=seen), *_activated(seen, seen)
        )
    if choice == "xception":
        branch = [*normalised(seen, seen, 3, stride=stride, groups=seen), *_activated(seen, middle)]
        for after in (middle, given):
            branch += [*normalised(middle, middle, 3, groups=middle), *_activated(middle, after)]
    else:
        branch = [
            *_activated(seen, middle),
            *normalised(middle, middle, kernel, stride=stride, groups=middle),
            *_activated(middle, given),
        ]
    return Unit(projection, nn.Sequential(*branch))


def unit_cost(
    choice: str, in_channels: int, out_channels: int, *, first: bool, side: int, out: int
) -> Cost:
    """Cost of :func:`unit` with input of ``side`` and output of ``out`` pixels."""
    seen = in_channels if first else in_channels // 2
    middle, given = out_channels // 2, out_channels - seen
    kernel = 3 if choice == "xception" else KERNELS[UNITS.index(choice)]
    costs = []
    if first:
        costs.append(convolution_cost(seen, seen, kernel, out, groups=seen))
        costs.append(convolution_cost(seen, seen, 1, out))
    if choice == "xception":
        costs.append(convolution_cost(seen, seen, 3, out, groups=seen))
        costs.append(convolution_cost(seen, middle, 1, out))
        for after in (middle, given):
            costs.append(convolution_cost(middle, middle, 3, out, groups=middle))
            costs.append(convolution_cost(middle, after, 1, out))
    else:
        costs.append(convolution_cost(seen, middle, 1, side))
        costs.append(convolution_cost(middle, middle, kernel, out, groups=middle))
        costs.append(convolution_cost(middle, given, 1, out))
    return total(costs)


class ShuffleNetSpace(BlockSpace):
    """ShuffleNetV2-like networks: 20 blocks of four kinds each, 4^20 = 1.1e12 of them.

    Guo et al., "Single Path One-Shot Neural Architecture Search with Uniform Sampling", ECCV
    2020, table 2 and section 4.1 (the search of blocks; the channel search is not part): stem of
    16 channels, stages of 64, 160, 320 and 640, a 1x1 convolution to 1024, dropout, a classifier
    without bias. A block is a ShuffleNetV2 unit (Ma et al., ECCV 2018) with kernel 3, 5 or 7, or
    an Xception-like unit. ``(B, in_channels, H, W)`` to ``(B, classes)``.

    Args are those of :class:`BlockSpace`; channels are multiples of 4. For images of 32 pixels
    take ``stem_stride=1, strides=(1, 2, 2, 2)``, which :meth:`for_images` does.

    One line holds the published numbers of the blocks: 0, 1, 2 for kernels 3, 5, 7, and 3 for
    Xception.
    """

    kind = "ShuffleNetV2"
    channels, first, multiple = CHANNELS, STEM, 4
    published: ClassVar[dict[str, Any]] = {
        "depths": (4, 4, 8, 4),
        "strides": (2, 2, 2, 2),
        "last": LAST,
        "dropout": 0.1,
    }

    def _choices(self, position: int) -> tuple[str, ...]:
        return UNITS

    def network(self, choose: Choose) -> nn.Sequential:
        """Build the network with what ``choose`` gives at each block."""
        stem, channels = self._channels(STEM), self._channels(CHANNELS[-1])
        blocks: list[nn.Module] = []
        for (name, choices), (position, before, after, stride) in zip(
            self.decisions, self._places(), strict=True
        ):
            builders: list[Callable[[], nn.Module]] = [
                partial(unit, choice, before, after, first=position == 0, stride=stride)
                for choice in map(str, choices)
            ]
            blocks.append(choose(name, builders))
        stem_parts = normalised(self.in_channels, stem, 3, stride=self.stem_stride)
        return nn.Sequential(
            OrderedDict(
                stem=nn.Sequential(*stem_parts, nn.ReLU(inplace=True)),
                blocks=nn.Sequential(*blocks),
                tail=nn.Sequential(*_activated(channels, self._tail)),
                pool=nn.AdaptiveAvgPool2d(1),
                flatten=nn.Flatten(),
                dropout=nn.Dropout(self.dropout),
                classifier=nn.Linear(self._tail, self.classes, bias=False),
            )
        )

    def cost_table(self, *, side: int | None = None) -> CostTable:
        """Add up what each choice costs at images of ``side`` pixels, at all its places."""
        side = self.default_side if side is None else side
        check_positive("side", side)
        side = -(-side // self.stem_stride)
        fixed = [convolution_cost(self.in_channels, self._channels(STEM), 3, side)]
        choices = []
        for (_, names), (position, before, after, stride) in zip(
            self.decisions, self._places(), strict=True
        ):
            out = -(-side // stride)
            choices.append(
                tuple(
                    unit_cost(name, before, after, first=position == 0, side=side, out=out)
                    for name in map(str, names)
                )
            )
            side = out
        weights = self._tail * self.classes
        fixed.append(convolution_cost(self._channels(CHANNELS[-1]), self._tail, 1, side))
        return CostTable(total([*fixed, Cost(weights, weights)]), tuple(choices))

    def format(self, architecture: Architecture) -> str:
        """Write the published line of block numbers, ``2 1 0 1 …``."""
        return " ".join(map(str, self.check(architecture)))

    def parse(self, text: str) -> Architecture:
        """Read what :meth:`format` writes; raises ``ValueError`` naming the block it cannot read.

        Commas and brackets around the numbers are allowed, as in the published tuple.
        """
        numbers = read_numbers(text, len(self.decisions))
        for number, (name, _) in zip(numbers, self.decisions, strict=True):
            if not 0 <= number < len(UNITS):
                raise ValueError(f"{name} is {number}; it must be from 0 to {len(UNITS) - 1}")
        return tuple(numbers)
