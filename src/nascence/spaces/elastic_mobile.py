"""The space of Once-for-All: MobileNetV3 of elastic resolution, depth, kernel and expansion."""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from nascence.spaces import elastic_line
from nascence.spaces.additive import Cost, check_counts, check_fraction, check_positive
from nascence.spaces.blocks import check_width
from nascence.spaces.costed import CostedSpace
from nascence.spaces.decisions import Architecture, Decision
from nascence.spaces.elastic_network import (
    FINAL,
    LAST,
    RESOLUTIONS,
    STAGES,
    STEM,
    Geometry,
    Kind,
    NetworkCosts,
    Place,
    Setting,
    Stage,
    assembled,
    network_costs,
    plain_block,
    strides_for,
)
from nascence.spaces.inverted_residual import divisible


class ElasticMobile(CostedSpace):
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
        geometry: what all of them have.

    Raises:
        ValueError: there is no stage, or a setting is out of its range.
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
        self.geometry = Geometry(
            in_channels,
            divisible(STEM * width),
            stem_stride,
            tuple(self._places()),
            divisible(final * width),
            divisible(last * width),
            classes,
            self.dropout,
        )
        self._costs: dict[int, NetworkCosts] = {}

    @classmethod
    def for_side(
        cls, side: int = 224, *, width: int | None = None, **settings: Any
    ) -> "ElasticMobile":
        """Return the space for images of ``side`` pixels, with three resolutions up to it.

        From 128 pixels on the strides are the published ones. For smaller images, a choice of
        ours, the first strides are left out until the last stage has 4 pixels or more.

        Args:
            side: side of the images, 8 or more.
            width: channels of the first stage, published 24, to which all others are in
                proportion; None for 24 from 128 pixels on and 8 below.
            settings: settings of the class, except strides and resolutions.

        Raises:
            ValueError: ``side`` is no int of 8 or more.
        """
        if isinstance(side, bool) or not isinstance(side, int) or side < 8:
            raise ValueError(f"side is {side!r}; it must be an int of 8 or more pixels")
        if width is not None:
            check_positive("width", width)
        stem_stride, *strides = strides_for(side)
        own = zip(STAGES, strides, strict=True)
        stages = [stage._replace(stride=stride) for stage, stride in own]
        channels = width or (STAGES[0].channels if side >= 128 else 8)
        return cls(
            **{"width": channels / STAGES[0].channels, "stages": stages, **settings},
            stem_stride=stem_stride,
            resolutions=(-(-3 * side // 4), -(-7 * side // 8), side),
        )

    @classmethod
    def for_images(
        cls, image_shape: tuple[int, int, int], *, classes: int, **settings: Any
    ) -> "ElasticMobile":
        """Return the space for images of one shape, with :meth:`for_side` the longer side.

        Args:
            image_shape: channels, height and width, in pixels.
            classes: of the classifier.
            settings: further ones of :meth:`for_side`.
        """
        channels, *sides = image_shape
        settings |= {"classes": classes, "in_channels": channels}
        return cls.for_side(max(sides), **settings)

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

    def _places(self) -> Iterator[tuple[Place, ...]]:
        before = divisible(STEM * self.width)
        for stage in self.stages:
            after = divisible(stage.channels * self.width)
            further = (Place(stage, after, after, 1),) * (self.depths[-1] - 1)
            yield (Place(stage, before, after, stage.stride), *further)
            before = after

    def sample(self, *, generator: torch.Generator) -> Architecture:
        """Draw an architecture, every decision uniformly and independently, at one go."""
        drawn = torch.rand(len(self.decisions), generator=generator, dtype=torch.float64)
        sizes = (len(decision.choices) for decision in self.decisions)
        return tuple(int(part * size) for part, size in zip(drawn.tolist(), sizes, strict=True))

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
        architecture, there = self.check(architecture), [True] * len(self.decisions)
        length = 1 + 2 * self.depths[-1]
        for start in range(bool(self.resolutions), len(there), length):
            unused = 2 * (self.depths[-1] - self.depths[architecture[start]])
            there[start + length - unused : start + length] = [False] * unused
        return tuple(there)

    def codes(self, architectures: Sequence[Architecture]) -> npt.NDArray[np.float64]:
        """Write architectures as points, (n, codes): one-hot, and zeros where nothing is built.

        The code of the paper's accuracy predictor (its section 3.4).
        """
        rows = []
        for architecture in architectures:
            architecture = tuple(int(index) for index in architecture)
            pieces = []
            for index, there, decision in zip(
                architecture, self.built(architecture), self.decisions, strict=True
            ):
                piece = [0.0] * len(decision.choices)
                piece[index] = float(there)
                pieces += piece
            rows.append(pieces)
        return np.array(rows).reshape(len(rows), sum(len(each.choices) for each in self.decisions))

    def canonical(self, architecture: Architecture) -> Architecture:
        """Return the architecture with the first choices for blocks beyond the depth."""
        built = self.built(architecture)
        return tuple(
            index if there else 0 for index, there in zip(architecture, built, strict=True)
        )

    def build(self, architecture: Architecture) -> nn.Sequential:
        """Build the network, with PyTorch's initialisation from the global generator."""
        return assembled(self.geometry, self.setting(architecture), plain_block)

    def cost(self, architecture: Architecture, *, side: int | None = None) -> Cost:
        """Return parameters and multiply-adds together, without building anything.

        Raises:
            ValueError: ``side`` is not the resolution that the network has chosen.
        """
        setting = self.setting(architecture)
        if self.resolutions:
            if side is not None and side != setting.resolution:
                raise ValueError(f"this network scales all images to {setting.resolution} pixels")
            side = setting.resolution
        side = 224 if side is None else side
        if side not in self._costs:
            check_positive("side", side)
            self._costs[side] = network_costs(
                self.geometry, side, kernels=self.kernels, expansions=self.expansions
            )
        return self._costs[side].of(setting.stages)

    def parameters(self, architecture: Architecture) -> int:
        """Count the learnable values of a network without building it."""
        return self.cost(architecture).parameters

    def macs(self, architecture: Architecture, *, side: int | None = None) -> int:
        """Count the multiply-adds of one square image, as :func:`nascence.graph.count_macs` does.

        ``side`` is for a space without resolutions, where None is 224 pixels.
        """
        return self.cost(architecture, side=side).macs

    def format(self, architecture: Architecture) -> str:
        """Write one line: the resolution, then kernel and expansion of each block."""
        values = [int(value) for value in self.values(architecture).values()]
        return elastic_line.written(
            values, resolution=bool(self.resolutions), depth=self.depths[-1]
        )

    def parse(self, text: str) -> Architecture:
        """Read what :meth:`format` writes; ``ValueError`` names the block it cannot read."""
        values = elastic_line.read(
            text,
            resolution=bool(self.resolutions),
            depth=self.depths[-1],
            stages=len(self.stages),
        )
        return self.indices(values)


def _check_ascending(**lists: tuple[int, ...]) -> None:
    for name, values in lists.items():
        check_counts(name, values, len(values))
        if not values or sorted(set(values)) != list(values):
            raise ValueError(f"{name} are {values}; give one or more, in ascending order")
