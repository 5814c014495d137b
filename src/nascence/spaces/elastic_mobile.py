"""The space of Once-for-All: MobileNetV3 of elastic resolution, depth, kernel and expansion."""

import math
import re
from collections import OrderedDict
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Literal, NamedTuple

from torch import Tensor, nn

from nascence.spaces.additive import (
    Cost,
    check_counts,
    check_fraction,
    check_positive,
    total,
)
from nascence.spaces.blocks import check_width, convolution_cost, normalised
from nascence.spaces.inverted_residual import InvertedResidual, activation, block_cost, divisible
from nascence.spaces.product import ProductSpace, shortened
from nascence.spaces.space import Architecture, Decision

Kind = Literal["resolution", "depth", "kernel", "expansion"]
MakeBlock = Callable[["Place", int, int], nn.Module]
"""Makes the block of a place with a kernel and an expansion."""


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


class Setting(NamedTuple):
    """An architecture in values: the side of its images, and kernel and expansion of each block.

    ``resolution`` is None in a space without resolutions; ``stages`` holds the blocks up to each
    stage's depth.
    """

    resolution: int | None
    stages: tuple[tuple[tuple[int, int], ...], ...]


class Resize(nn.Module):
    """Scale images (B, C, H, W) so that their longer side has ``side`` pixels."""

    def __init__(self, side: int) -> None:
        super().__init__()
        self.side = side

    def forward(self, images: Tensor) -> Tensor:
        return resized(images, self.side)

    def extra_repr(self) -> str:
        return str(self.side)


def resized(images: Tensor, side: int) -> Tensor:
    """Scale images (B, C, H, W) bilinearly, smoothed where they shrink."""
    height, width = images.shape[-2:]
    longer = max(height, width)
    if longer == side:
        return images
    target = (max(round(height * side / longer), 1), max(round(width * side / longer), 1))
    return nn.functional.interpolate(images, target, mode="bilinear", antialias=True)


class ElasticMobile(ProductSpace):
    """MobileNetV3 whose resolution, depths, kernels and expansions are to be chosen.

    Cai, Gan, Wang, Zhang and Han, "Once-for-All: Train One Network and Specialize it for
    Efficient Deployment", ICLR 2020. Stem and a fixed block of 16 channels, five stages of 2, 3 or
    4 blocks, each with kernel 3, 5 or 7 and expansion 3, 4 or 6, a 1x1 convolution to 960
    channels, pooling, 1280 channels and a classifier: ``(B, in_channels, H, W)`` to
    ``(B, classes)``. The published geometry is the default; :meth:`for_side` has a small one.

    The decisions are ``resolution``, then for each stage ``stage_1_depth`` and for each of its
    blocks ``stage_1_block_1_kernel`` and ``stage_1_block_1_expansion``. Those of blocks beyond the
    depth have no effect. A network scales its images to its resolution.

    One line holds it all, blocks beyond the depth in brackets:
    ``r160 k3e4 k7e6 (k5e3) (k3e3) | …``.

    Args:
        classes, in_channels: of the classifier and of the images.
        width: multiplies all channels, rounded to multiples of 8.
        stages: channels before ``width``, first stride (1 or 2), squeeze and activation of each.
        depths, kernels, expansions, resolutions: what to choose from, ascending. Without
            resolutions the networks take images as they are.
        stem_stride: of the first convolution, 1 or 2.
        final, last: channels after the last stage and before the classifier, before ``width``.
        dropout: probability before the classifier.

    Attributes:
        kinds: of each decision what it decides.
        networks: how many different ones there are; published 2.2e19 for each resolution.
    """

    def __init__(
        self,
        *,
        classes: int = 1000,
        in_channels: int = 3,
        width: float = 1.0,
        stages: Sequence[Stage] = STAGES,
        depths: tuple[int, ...] = (2, 3, 4),
        kernels: tuple[int, ...] = (3, 5, 7),
        expansions: tuple[int, ...] = (3, 4, 6),
        resolutions: tuple[int, ...] = RESOLUTIONS,
        stem_stride: int = 2,
        final: int = FINAL,
        last: int = LAST,
        dropout: float = 0.1,
    ) -> None:
        for name, value in {
            "classes": classes, "in_channels": in_channels, "final": final, "last": last
        }.items():  # fmt: skip
            check_positive(name, value)
        check_width(width)
        check_fraction("dropout", dropout)
        if not stages:
            raise ValueError("stages is empty; give at least one")
        check_counts("strides", [stage.stride for stage in stages], len(stages), 2)
        check_counts("stem_stride", (stem_stride,), 1, 2)
        check_counts("channels", [stage.channels for stage in stages], len(stages))
        _check_ascending(depths=depths, kernels=kernels, expansions=expansions)
        if resolutions:
            _check_ascending(resolutions=resolutions)
        if any(kernel % 2 == 0 for kernel in kernels) or expansions[0] < 2:
            raise ValueError(
                f"kernels are {kernels} and expansions {expansions}; kernels must be odd, and "
                "expansions 2 or more"
            )
        self.classes, self.in_channels, self.width = classes, in_channels, float(width)
        self.stages, self.stem_stride = tuple(Stage(*stage) for stage in stages), stem_stride
        self.depths, self.kernels, self.expansions = tuple(depths), tuple(kernels), expansions
        self.resolutions, self.final, self.last = tuple(resolutions), final, last
        self.dropout = float(dropout)
        decided = tuple(self._decided())
        self.kinds: tuple[Kind, ...] = tuple(kind for kind, _ in decided)
        super().__init__(tuple(decision for _, decision in decided))
        per_block = len(kernels) * len(expansions)
        per_stage = sum(per_block**depth for depth in depths)
        self.networks = max(1, len(resolutions)) * per_stage ** len(self.stages)
        self._costs: dict[tuple[int, ...], Cost] = {}

    @classmethod
    def for_side(cls, side: int, *, width: int | None = None, **settings: Any) -> "ElasticMobile":
        """Return the space for images of ``side`` pixels, with three resolutions up to it.

        From 128 pixels on the strides are the published ones. For smaller images, a choice of
        ours, the first strides are left out until the last stage has 4 pixels or more.

        Args:
            side: of the images, 8 or more.
            width: channels of the first stage, published 24, to which all others are in
                proportion; None for 24 from 128 pixels on and 8 below.
            settings: of the class, except strides and resolutions.
        """
        if isinstance(side, bool) or not isinstance(side, int) or side < 8:
            raise ValueError(f"side is {side!r}; it must be an int of 8 or more pixels")
        if width is not None:
            check_positive("width", width)
        halvings = min(int(math.log2(side / 4)), 5)
        strides = [2] + [stage.stride for stage in STAGES]
        surplus = sum(stride == 2 for stride in strides) - halvings
        for place, stride in enumerate(strides):
            if stride == 2 and surplus > 0:
                strides[place], surplus = 1, surplus - 1
        stages = [
            stage._replace(stride=own) for stage, own in zip(STAGES, strides[1:], strict=True)
        ]
        channels = width or (STAGES[0].channels if side >= 128 else 8)
        return cls(
            **{"width": channels / STAGES[0].channels, "stages": stages, **settings},
            stem_stride=strides[0],
            resolutions=(-(-3 * side // 4), -(-7 * side // 8), side),
        )

    @property
    def description(self) -> str:
        """One line with the space and its settings: equal lines mean equal networks."""
        stages = "; ".join(
            f"{s.channels}/{s.stride}{' squeeze' * s.squeeze}{' hard swish' * s.hard_swish}"
            for s in self.stages
        )
        return (
            f"ElasticMobile(classes={self.classes}, in_channels={self.in_channels}, "
            f"width={self.width}, stages={stages}, depths={self.depths}, kernels={self.kernels}, "
            f"expansions={self.expansions}, resolutions={self.resolutions}, "
            f"stem_stride={self.stem_stride}, final={self.final}, last={self.last}, "
            f"dropout={self.dropout})"
        )

    def __repr__(self) -> str:
        return self.description

    def _decided(self) -> Iterator[tuple[Kind, Decision]]:
        if self.resolutions:
            yield "resolution", Decision("resolution", self.resolutions)
        for stage in range(1, len(self.stages) + 1):
            yield "depth", Decision(f"stage_{stage}_depth", self.depths)
            for block in range(1, self.depths[-1] + 1):
                name = f"stage_{stage}_block_{block}"
                yield "kernel", Decision(f"{name}_kernel", self.kernels)
                yield "expansion", Decision(f"{name}_expansion", self.expansions)

    @property
    def largest(self) -> Architecture:
        """The network with the last choice of every decision."""
        return tuple(len(decision.choices) - 1 for decision in self.decisions)

    def places(self) -> list[list[Place]]:
        """Where blocks stand in each stage at the greatest depth."""
        found, before = [], divisible(STEM * self.width)
        for stage in self.stages:
            after = divisible(stage.channels * self.width)
            row = [Place(stage, before, after, stage.stride)]
            row += [Place(stage, after, after, 1)] * (self.depths[-1] - 1)
            found.append(row)
            before = after
        return found

    def setting(self, architecture: Architecture) -> Setting:
        """Return the architecture in values, without what has no effect."""
        architecture = self.check(architecture)
        start = bool(self.resolutions)
        resolution = self.resolutions[architecture[0]] if start else None
        length = 1 + 2 * self.depths[-1]
        stages = []
        for number in range(len(self.stages)):
            depth, *blocks = architecture[start + number * length : start + (number + 1) * length]
            pairs = zip(blocks[::2], blocks[1::2], strict=True)
            chosen = [(self.kernels[kernel], self.expansions[each]) for kernel, each in pairs]
            stages.append(tuple(chosen[: self.depths[depth]]))
        return Setting(resolution, tuple(stages))

    def built(self, architecture: Architecture) -> tuple[bool, ...]:
        """Tell for each decision whether it has an effect: those beyond the depth have none."""
        there = [True] * bool(self.resolutions)
        for blocks in self.setting(architecture).stages:
            beyond = self.depths[-1] - len(blocks)
            there += [True] * (1 + 2 * len(blocks)) + [False] * (2 * beyond)
        return tuple(there)

    def canonical(self, architecture: Architecture) -> Architecture:
        """Return the architecture with the first choices for blocks beyond the depth."""
        built = self.built(architecture)
        return tuple(
            index if there else 0 for index, there in zip(architecture, built, strict=True)
        )

    def build(self, architecture: Architecture) -> nn.Sequential:
        """Build the network, with PyTorch's initialisation from the global generator."""
        setting = self.setting(architecture)
        return self.assembled(plain_block, setting.stages, resolution=setting.resolution)

    def assembled(
        self,
        make: MakeBlock,
        stages: Sequence[Sequence[tuple[int, int]]],
        *,
        resolution: int | None,
    ) -> nn.Sequential:
        """Put a network together from what ``make`` gives for the kernels and expansions."""
        stem = divisible(STEM * self.width)
        final, last = divisible(self.final * self.width), divisible(self.last * self.width)
        places = self.places()
        parts: OrderedDict[str, nn.Module] = OrderedDict()
        if resolution is not None:
            parts["resize"] = Resize(resolution)
        head = normalised(self.in_channels, stem, 3, stride=self.stem_stride)
        parts["stem"] = nn.Sequential(*head, activation(True))
        parts["first"] = InvertedResidual(stem, stem, kernel=3, expansion=1, stride=1)
        parts["stages"] = nn.Sequential(
            *(
                nn.Sequential(
                    *(make(place, *block) for place, block in zip(row, blocks, strict=False))
                )
                for row, blocks in zip(places, stages, strict=True)
            )
        )
        tail = normalised(places[-1][-1].out_channels, final)
        parts["final"] = nn.Sequential(*tail, activation(True))
        parts["pool"] = nn.AdaptiveAvgPool2d(1)
        parts["last"] = nn.Sequential(nn.Conv2d(final, last, 1, bias=False), activation(True))
        parts["flatten"] = nn.Flatten()
        parts["dropout"] = nn.Dropout(self.dropout)
        parts["classifier"] = nn.Linear(last, self.classes)
        return nn.Sequential(parts)

    def cost(self, architecture: Architecture, *, side: int | None = None) -> Cost:
        """Parameters and multiply-adds together, without building: see the two of that name."""
        setting = self.setting(architecture)
        if self.resolutions:
            if side is not None and side != setting.resolution:
                raise ValueError(f"this network scales all images to {setting.resolution} pixels")
            side = setting.resolution
        side = 224 if side is None else side
        check_positive("side", side)
        stem, side = divisible(STEM * self.width), -(-side // self.stem_stride)
        costs = [
            convolution_cost(self.in_channels, stem, 3, side),
            block_cost(stem, stem, kernel=3, expansion=1, side=side, out=side),
        ]
        places = self.places()
        for row, blocks in zip(places, setting.stages, strict=True):
            for place, block in zip(row, blocks, strict=False):
                costs.append(self._block_cost(place, *block, side))
                side = -(-side // place.stride)
        final, last = divisible(self.final * self.width), divisible(self.last * self.width)
        costs.append(convolution_cost(places[-1][-1].out_channels, final, 1, side))
        weights = final * last + last * self.classes
        return total([*costs, Cost(weights + self.classes, weights)])

    def _block_cost(self, place: Place, kernel: int, expansion: int, side: int) -> Cost:
        _, before, after, stride = place
        key = (before, after, stride, place.stage.squeeze, kernel, expansion, side)
        if key not in self._costs:
            self._costs[key] = block_cost(
                before,
                after,
                kernel=kernel,
                expansion=expansion,
                side=side,
                out=-(-side // stride),
                squeeze=place.stage.squeeze,
            )
        return self._costs[key]

    def parameters(self, architecture: Architecture) -> int:
        """Learnable values of the network that :meth:`build` gives, without building it."""
        return self.cost(architecture).parameters

    def macs(self, architecture: Architecture, *, side: int | None = None) -> int:
        """Multiply-adds of one square image, as :func:`nascence.graph.count_macs`.

        ``side`` is for a space without resolutions, where None is 224 pixels.
        """
        return self.cost(architecture, side=side).macs

    def format(self, architecture: Architecture) -> str:
        """Write one line: the resolution, then kernel and expansion of each block."""
        values = list(self.values(architecture).values())
        text = f"r{values.pop(0)} " if self.resolutions else ""
        length = 1 + 2 * self.depths[-1]
        stages = []
        for start in range(0, len(values), length):
            depth, *blocks = values[start : start + length]
            written = [f"k{k}e{e}" for k, e in zip(blocks[::2], blocks[1::2], strict=True)]
            written[int(depth) :] = [f"({block})" for block in written[int(depth) :]]
            stages.append(" ".join(written))
        return text + " | ".join(stages)

    def parse(self, text: str) -> Architecture:
        """Read what :meth:`format` writes; ``ValueError`` names the block it cannot read."""
        words = text.split("|")
        values: list[object] = []
        if self.resolutions:
            first = words[0].split(maxsplit=1) or [""]
            if not re.fullmatch(r"r\d{1,6}", first[0], re.ASCII):
                raise ValueError(
                    f"cannot read the architecture {shortened(text)}: it must start with a "
                    f"resolution, r{self.resolutions[-1]}"
                )
            values.append(int(first[0][1:]))
            words[0] = first[1] if len(first) > 1 else ""
        if len(words) != len(self.stages):
            raise ValueError(
                f"cannot read the architecture {shortened(text)}: it has {len(words)} stages "
                f"between |, and this space has {len(self.stages)}"
            )
        for number, word in enumerate(words, 1):
            values += self._read_stage(number, word.split())
        return self.indices(values)

    def _read_stage(self, number: int, blocks: list[str]) -> list[int]:
        if len(blocks) != self.depths[-1]:
            raise ValueError(
                f"stage {number} has {len(blocks)} blocks; write {self.depths[-1]}, those beyond "
                "its depth in brackets"
            )
        found = [re.fullmatch(r"(\()?k(\d{1,3})e(\d{1,3})(\))?", b, re.ASCII) for b in blocks]
        depth, values = 0, []
        for place, (block, match) in enumerate(zip(blocks, found, strict=True)):
            if match is None or bool(match[1]) != bool(match[4]):
                raise ValueError(
                    f"stage {number} has the block {shortened(block)}; write k3e4 for kernel 3 "
                    "and expansion 4, and (k3e4) beyond the depth"
                )
            if not match[1]:
                if depth < place:
                    raise ValueError(f"stage {number} has a block after one in brackets")
                depth += 1
            values += [int(match[2]), int(match[3])]
        return [depth, *values]


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


def _check_ascending(**lists: tuple[int, ...]) -> None:
    for name, values in lists.items():
        check_counts(name, values, len(values))
        if not values or sorted(set(values)) != list(values):
            raise ValueError(f"{name} are {values}; give one or more, in ascending order")
