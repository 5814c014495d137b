"""The ShuffleNetV2 space of Single Path One-Shot."""

from collections import OrderedDict
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any, Self

import torch
from torch import Tensor, nn

from nascence.spaces.additive import (
    AdditiveSpace,
    Cost,
    CostTable,
    check_counts,
    check_fraction,
    check_positive,
    total,
)
from nascence.spaces.blocks import check_width, convolution_cost, normalised, read_numbers
from nascence.spaces.decisions import Architecture, Decision
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


class ShuffleNetSpace(AdditiveSpace):
    """ShuffleNetV2-like networks: 20 blocks of four kinds each, 4^20 = 1.1e12 of them.

    Guo et al., "Single Path One-Shot Neural Architecture Search with Uniform Sampling", ECCV
    2020, table 2 and section 4.1 (the search of blocks; the channel search is not part): stem of
    16 channels, stages of 64, 160, 320 and 640, a 1x1 convolution to 1024, dropout, a classifier
    without bias. A block is a ShuffleNetV2 unit (Ma et al., ECCV 2018) with kernel 3, 5 or 7, or
    an Xception-like unit. ``(B, in_channels, H, W)`` to ``(B, classes)``.

    Args:
        classes, in_channels: of the classifier and of the images.
        width: multiplies all channels, rounded to the nearest multiple of 4; those of the last
            convolution only where it is above one.
        depths: blocks in each stage.
        stem_stride, strides: of the first convolution and of each stage's first block, 1 or 2.
            The published ones divide the side by 32, for 224 pixels; for 32 pixels take
            ``stem_stride=1, strides=(1, 2, 2, 2)``, see :meth:`strides_for`.
        last: channels of the last convolution.
        dropout: probability before the classifier.
        side: pixels of a side of the images for which costs are given by default.

    One line holds the published numbers of the blocks: 0, 1, 2 for kernels 3, 5, 7, and 3 for
    Xception.
    """

    def __init__(
        self,
        *,
        classes: int = 1000,
        in_channels: int = 3,
        width: float = 1.0,
        depths: tuple[int, ...] = (4, 4, 8, 4),
        stem_stride: int = 2,
        strides: tuple[int, ...] = (2, 2, 2, 2),
        last: int = LAST,
        dropout: float = 0.1,
        side: int = 224,
    ) -> None:
        check_positive("classes", classes)
        check_positive("in_channels", in_channels)
        check_positive("last", last)
        check_width(width)
        check_counts("depths", depths, len(CHANNELS))
        check_counts("strides", strides, len(CHANNELS), 2)
        check_counts("stem_stride", (stem_stride,), 1, 2)
        check_fraction("dropout", dropout)
        check_positive("side", side)
        self.classes, self.in_channels, self.width = classes, in_channels, float(width)
        self.depths, self.strides, self.stem_stride = tuple(depths), tuple(strides), stem_stride
        self.last, self.dropout = last, float(dropout)
        decisions = (Decision(f"block_{number}", UNITS) for number in range(sum(depths)))
        super().__init__(tuple(decisions), default_side=side)

    @staticmethod
    def strides_for(side: int) -> dict[str, Any]:
        """Return strides that leave images of ``side`` pixels 4 or more where they can."""
        if side >= 128:
            return {"stem_stride": 2, "strides": (2, 2, 2, 2)}
        return {"stem_stride": 1 if side < 64 else 2, "strides": (1, 2, 2, 2)}

    @classmethod
    def for_images(
        cls, image_shape: tuple[int, int, int], *, classes: int, **settings: Any
    ) -> Self:
        """Return the space for images of one shape, with :meth:`strides_for` the shorter side.

        Args:
            image_shape: channels, height and width, in pixels.
            classes: of the classifier.
            settings: further ones of the class, but for strides and side.
        """
        channels, *sides = image_shape
        settings |= {"side": min(sides), **cls.strides_for(min(sides))}
        return cls(classes=classes, in_channels=channels, **settings)

    @property
    def description(self) -> str:
        """One line with the space and its settings: equal lines mean equal networks."""
        return (
            f"ShuffleNetV2(classes={self.classes}, in_channels={self.in_channels}, "
            f"width={self.width}, depths={self.depths}, stem_stride={self.stem_stride}, "
            f"strides={self.strides}, last={self.last}, dropout={self.dropout})"
        )

    def _channels(self, published: int) -> int:
        return max(4, round(published * self.width / 4) * 4)

    @property
    def _tail(self) -> int:
        return round(self.last * max(1.0, self.width))

    def _places(self) -> Iterator[tuple[bool, int, int, int]]:
        """Whether it is its stage's first, input and output channels and stride of every block."""
        before = self._channels(STEM)
        for published, depth, stride in zip(CHANNELS, self.depths, self.strides, strict=True):
            after = self._channels(published)
            for position in range(depth):
                yield position == 0, before, after, 1 if position else stride
                before = after

    def network(self, choose: Choose) -> nn.Sequential:
        """Build the network with what ``choose`` gives at each block."""
        stem, channels = self._channels(STEM), self._channels(CHANNELS[-1])
        blocks: list[nn.Module] = []
        for (name, choices), (first, before, after, stride) in zip(
            self.decisions, self._places(), strict=True
        ):
            builders: list[Callable[[], nn.Module]] = [
                partial(unit, choice, before, after, first=first, stride=stride)
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
        for (_, names), (first, before, after, stride) in zip(
            self.decisions, self._places(), strict=True
        ):
            out = -(-side // stride)
            choices.append(
                tuple(
                    unit_cost(name, before, after, first=first, side=side, out=out)
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
