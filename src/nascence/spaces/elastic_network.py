"""The networks of an elastic space: their stages, how they are put together, what they cost."""

import math
from collections import OrderedDict
from collections.abc import Callable, Sequence
from typing import Literal, NamedTuple, Protocol, runtime_checkable

from torch import Tensor, nn

from nascence.spaces.additive import Cost, total
from nascence.spaces.blocks import convolution_cost, normalised
from nascence.spaces.decisions import Architecture
from nascence.spaces.inverted_residual import InvertedResidual, activation, block_cost
from nascence.spaces.space import Costed, Crossable, Listable, Readable, Sharable

Blocks = Sequence[Sequence[tuple[int, int]]]
"""Kernel and expansion of each block of each stage."""


class Stage(NamedTuple):
    """Blocks of one width: their channels, the stride of the first, and what they are made of."""

    channels: int
    stride: int
    squeeze: bool = False
    hard_swish: bool = False


STAGES = (
    Stage(24, 2),
    Stage(40, 2, squeeze=True),
    Stage(80, 2, hard_swish=True),
    Stage(112, 1, squeeze=True, hard_swish=True),
    Stage(160, 2, squeeze=True, hard_swish=True),
)
RESOLUTIONS = tuple(range(128, 225, 4))
STEM, FINAL, LAST = 16, 960, 1280


class Place(NamedTuple):
    """Where a block stands: its stage, and the channels and stride that follow from it."""

    stage: Stage
    in_channels: int
    out_channels: int
    stride: int


class Geometry(NamedTuple):
    """What all networks of a space have: channels, strides, and the places of their blocks."""

    in_channels: int
    stem: int
    stem_stride: int
    places: tuple[tuple[Place, ...], ...]
    final: int
    last: int
    classes: int
    dropout: float


class Setting(NamedTuple):
    """An architecture in values: the side of its images, and kernel and expansion of each block.

    ``resolution`` is None in a space without resolutions; ``stages`` holds the blocks up to each
    stage's depth.
    """

    resolution: int | None
    stages: Blocks


Kind = Literal["resolution", "depth", "kernel", "expansion"]


@runtime_checkable
class Elastic(Costed, Crossable, Listable, Readable, Sharable, Protocol):
    """A space whose networks are slices of its largest one, as Once-for-All needs.

    Attributes:
        geometry: What all networks have in common.
        kernels, expansions: Values that the blocks choose among, ascending.
        kinds: For each decision what it decides.
    """

    geometry: Geometry
    kernels: tuple[int, ...]
    expansions: tuple[int, ...]
    kinds: tuple[Kind, ...]

    @property
    def largest(self) -> Architecture:
        """The network that all others are slices of."""

    def setting(self, architecture: Architecture) -> Setting:
        """Return the architecture in values, without what has no effect."""

    def build(self, architecture: Architecture) -> nn.Sequential:
        """Build a network: stem, stages and what follows them, by name."""


def strides_for(side: int) -> list[int]:
    """Published strides of stem and stages, as many of the first left out as leave 4 pixels."""
    strides = [2, *(stage.stride for stage in STAGES)]
    surplus = strides.count(2) - min(int(math.log2(side / 4)), 5)
    for place, stride in enumerate(strides):
        if stride == 2 and surplus > 0:
            strides[place], surplus = 1, surplus - 1
    return strides


class Resize(nn.Module):
    """Scale images (B, C, H, W) so that their longer side has ``side`` pixels."""

    def __init__(self, side: int) -> None:
        super().__init__()
        self.side = side

    def forward(self, images: Tensor) -> Tensor:
        """Scale ``(B, C, H, W)`` to the side."""
        return resized(images, self.side)

    def extra_repr(self) -> str:
        """Return what is printed between the brackets."""
        return str(self.side)


def resized(images: Tensor, side: int) -> Tensor:
    """Scale images ``(B, C, H, W)`` to a longer side of ``side`` pixels.

    Bilinear, and smoothed where they shrink.
    """
    height, width = images.shape[-2:]
    longer = max(height, width)
    if longer == side:
        return images
    target = (max(round(height * side / longer), 1), max(round(width * side / longer), 1))
    return nn.functional.interpolate(images, target, mode="bilinear", antialias=True)


def plain_block(place: Place, kernel: int, expansion: int) -> InvertedResidual:
    """Make the block of one network."""
    return InvertedResidual(
        place.in_channels,
        place.out_channels,
        kernel=kernel,
        expansion=expansion,
        stride=place.stride,
        squeeze=place.stage.squeeze,
        hard_swish=place.stage.hard_swish,
    )


def assembled(
    geometry: Geometry, setting: Setting, make: Callable[[Place, int, int], nn.Module]
) -> nn.Sequential:
    """Put a network together from what ``make`` gives for each place, kernel and expansion."""
    stem, final, last = geometry.stem, geometry.final, geometry.last
    parts: OrderedDict[str, nn.Module] = OrderedDict()
    if setting.resolution is not None:
        parts["resize"] = Resize(setting.resolution)
    head = normalised(geometry.in_channels, stem, 3, stride=geometry.stem_stride)
    parts["stem"] = nn.Sequential(*head, activation(True))
    parts["first"] = InvertedResidual(stem, stem, kernel=3, expansion=1, stride=1)
    stages = []
    for places, blocks in zip(geometry.places, setting.stages, strict=True):
        made = [make(place, *block) for place, block in zip(places, blocks, strict=False)]
        stages.append(nn.Sequential(*made))
    parts["stages"] = nn.Sequential(*stages)
    tail = normalised(geometry.places[-1][-1].out_channels, final)
    parts["final"] = nn.Sequential(*tail, activation(True))
    parts["pool"] = nn.AdaptiveAvgPool2d(1)
    parts["last"] = nn.Sequential(nn.Conv2d(final, last, 1, bias=False), activation(True))
    parts["flatten"] = nn.Flatten()
    parts["dropout"] = nn.Dropout(geometry.dropout)
    parts["classifier"] = nn.Linear(last, geometry.classes)
    return nn.Sequential(parts)


class NetworkCosts(NamedTuple):
    """What networks cost at one side of their images: costs of blocks add up.

    Attributes:
        fixed: of what every network has.
        blocks: for each place of each stage, by kernel and expansion.
    """

    fixed: Cost
    blocks: tuple[tuple[dict[tuple[int, int], Cost], ...], ...]

    def of(self, stages: Blocks) -> Cost:
        """Sum of the fixed cost and of the blocks' costs."""
        chosen = [
            costs[block]
            for places, blocks in zip(self.blocks, stages, strict=True)
            for costs, block in zip(places, blocks, strict=False)
        ]
        return total([self.fixed, *chosen])


def network_costs(
    geometry: Geometry, side: int, *, kernels: tuple[int, ...], expansions: tuple[int, ...]
) -> NetworkCosts:
    """Costs of the networks that :func:`assembled` makes of plain blocks, for ``side`` pixels."""
    stem, final, last = geometry.stem, geometry.final, geometry.last
    side = -(-side // geometry.stem_stride)
    weights = final * last + last * geometry.classes
    fixed = [
        convolution_cost(geometry.in_channels, stem, 3, side),
        block_cost(stem, stem, kernel=3, expansion=1, side=side, out=side),
        Cost(weights + geometry.classes, weights),
    ]
    stages = []
    for places in geometry.places:
        rows = []
        for place in places:
            rows.append({
                (kernel, expansion): _place_cost(place, kernel, expansion, side)
                for kernel in kernels
                for expansion in expansions
            })  # fmt: skip
            side = -(-side // place.stride)
        stages.append(tuple(rows))
    fixed.append(convolution_cost(geometry.places[-1][-1].out_channels, final, 1, side))
    return NetworkCosts(total(fixed), tuple(stages))


def _place_cost(place: Place, kernel: int, expansion: int, side: int) -> Cost:
    return block_cost(
        place.in_channels,
        place.out_channels,
        kernel=kernel,
        expansion=expansion,
        side=side,
        out=-(-side // place.stride),
        squeeze=place.stage.squeeze,
    )
