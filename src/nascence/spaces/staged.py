"""Staged networks: few wide convolutions on small maps, which processors compute fast."""

from collections import OrderedDict
from typing import Self

import torch
from torch import nn

from nascence.graph import count_parameters
from nascence.spaces.additive import check_positive
from nascence.spaces.cell import ConvolutionFactory
from nascence.spaces.costed import CostedSpace
from nascence.spaces.decisions import Architecture, Decision, shortened
from nascence.spaces.space import name_of
from nascence.spaces.staged_blocks import BLOCKS, Blocks, Operator, operators_of

STEMS = (1, 2, 4)
GRAIN = 16
WIDTHS = (16, 32, 48, 64, 96, 128, 192, 256, 384, 512)
DEPTHS = (0, 1, 2, 3)
STEM_KERNELS = {1: 3, 2: 3, 4: 5}


class StagedSpace(CostedSpace):
    """Networks of a stem and stages, each with a width, a depth and a kind of block.

    The stem is a convolution of stride 1, 2 or 4 to the width of the first stage; every later
    stage begins with a 3x3 convolution of stride 2 to its own width. ``depth`` blocks follow, which
    keep shape and channels: ``plain`` (3x3 convolution), ``residual`` (two of them with an
    identity beside, He et al., CVPR 2016), ``inverted`` (1x1, depthwise 3x3, 1x1 with four times
    the channels in between, Sandler et al., CVPR 2018) or ``branched`` (a convolution whose
    branches are folded into one after training, such as RepVGG's, Ding et al., CVPR 2021). Every
    convolution has BatchNorm; global average and a linear layer end the network.
    ``(B, in_channels, H, W)`` to ``(B, classes)`` for images of any size.

    One line is ``stem2;32x1 residual;64x1 plain;128x0 plain``: the stride of the stem, then width,
    depth and block of each stage.

    Args:
        classes: outputs of the linear layer.
        in_channels: channels of the images.
        stages: number of stages, 1 to 6.
        stems: strides of the stem to choose from.
        widths: channels to choose from. Processors compute multiples of 16 in whole vectors.
        depths: numbers of blocks to choose from.
        branched: makes the convolution of the block ``branched``, called as
            ``branched(in_channels, out_channels, kernel_size=3, stride=1, padding=1)``; without
            it the space does not have that block.
        folded: build networks as :func:`nascence.fold` leaves them, one convolution with a bias
            for a convolution with BatchNorm or branches. Costs are then those of deployment.
        side: pixels of a side of the images for which costs are given by default.

    Raises:
        ValueError: settings without a network.
    """

    def __init__(
        self,
        *,
        classes: int = 10,
        in_channels: int = 3,
        stages: int = 3,
        stems: tuple[int, ...] = STEMS,
        widths: tuple[int, ...] = WIDTHS,
        depths: tuple[int, ...] = DEPTHS,
        branched: ConvolutionFactory | None = None,
        folded: bool = False,
        side: int = 32,
    ) -> None:
        for name, value in (("classes", classes), ("in_channels", in_channels), ("side", side)):
            check_positive(name, value)
        if stages not in range(1, 7) or not set(stems) <= set(STEMS):
            raise ValueError(
                f"stages {stages}, stems {stems}; give 1 to 6 stages, stems of {STEMS}"
            )
        for width in widths:
            check_positive("width", width)
        if not depths or any(depth not in range(17) for depth in depths):
            raise ValueError(f"depths are {depths}; give numbers from 0 to 16")
        self.classes, self.in_channels, self.stages = classes, in_channels, stages
        self.stems, self.widths, self.depths = tuple(stems), tuple(widths), tuple(depths)
        self.branched, self.folded, self.default_side = branched, folded, side
        self._make = Blocks(branched, folded)
        blocks = BLOCKS if branched or folded else BLOCKS[:-1]
        decisions = [Decision("stem", self.stems)]
        for stage in range(1, stages + 1):
            decisions += [
                Decision(f"width_{stage}", self.widths),
                Decision(f"depth_{stage}", self.depths),
                Decision(f"block_{stage}", blocks),
            ]
        super().__init__(tuple(decisions))

    @classmethod
    def for_images(
        cls,
        image_shape: tuple[int, int, int],
        *,
        classes: int,
        branched: ConvolutionFactory | None = None,
        folded: bool = False,
    ) -> Self:
        """Return the space for images of one shape, three stages up to 40 pixels and then four.

        Args:
            image_shape: channels, height and width, in pixels.
            classes: of the classifier.
            branched: as for the class.
            folded: as for the class.
        """
        channels, *sides = image_shape
        return cls(
            classes=classes,
            in_channels=channels,
            stages=3 if min(sides) <= 40 else 4,
            branched=branched,
            folded=folded,
            side=max(sides),
        )

    @property
    def description(self) -> str:
        """One line with the space and its settings: equal lines mean equal networks."""
        branched = None if self.branched is None else name_of(self.branched)
        return (
            f"Staged(classes={self.classes}, in_channels={self.in_channels}, "
            f"stages={self.stages}, stems={self.stems}, widths={self.widths}, "
            f"depths={self.depths}, branched={branched}, folded={self.folded})"
        )

    def canonical(self, architecture: Architecture) -> Architecture:
        """Return the architecture with the first kind of block in stages without blocks."""
        built = self.built(architecture)
        return tuple(
            index if there else 0 for index, there in zip(architecture, built, strict=True)
        )

    def built(self, architecture: Architecture) -> tuple[bool, ...]:
        """Tell for each decision whether it shows: a block does not where there are none."""
        values = self.values(architecture)
        return tuple(
            not name.startswith("block_") or values[name.replace("block", "depth")] != 0
            for name, _ in self.decisions
        )

    def format(self, architecture: Architecture) -> str:
        """Write the stem and every stage, ``stem2;32x1 residual;64x1 plain;128x0 plain``."""
        stages = [f"{width}x{depth} {block}" for width, depth, block in self._stages(architecture)]
        return ";".join([f"stem{self.values(architecture)['stem']}", *stages])

    def parse(self, text: str) -> Architecture:
        """Read what :meth:`format` writes; raises ``ValueError`` naming the part it cannot read."""
        stem, *stages = text.strip().split(";")
        if len(stages) != self.stages or not stem.startswith("stem"):
            raise ValueError(
                f"cannot read the architecture {shortened(text)}; its form is stem2 and "
                f"{self.stages} stages such as 32x1 residual, with semicolons"
            )
        values: list[str] = [stem.removeprefix("stem")]
        for stage in stages:
            size, _, block = stage.strip().partition(" ")
            width, _, depth = size.partition("x")
            values += [width, depth, block]
        return self.indices(values)

    def build(self, architecture: Architecture) -> nn.Sequential:
        """Build the network, with PyTorch's initialisation from the global generator."""
        make, parts = self._make, OrderedDict[str, nn.Module]()
        entries = self._entries(architecture)
        for number, (entry, (width, depth, kind)) in enumerate(
            zip(entries, self._stages(architecture), strict=True)
        ):
            blocks = [make.block(kind, width) for _ in range(depth)]
            name = f"stage{number}" if number else "stem"
            parts[name] = nn.Sequential(make.activated(entry), *blocks)
        parts["pool"] = nn.AdaptiveAvgPool2d(1)
        parts["flatten"] = nn.Flatten()
        parts["classifier"] = nn.Linear(entries[-1].out_channels, self.classes)
        return nn.Sequential(parts)

    def operators(
        self, architecture: Architecture, *, side: int | None = None
    ) -> tuple[Operator, ...]:
        """List the convolutions of a network from the images on.

        Args:
            architecture: of the network.
            side: of the square image, in pixels; None is ``default_side``.

        Raises:
            ValueError: ``side`` is not positive.
        """
        found: list[Operator] = []
        for entry, (width, depth, kind) in zip(
            self._entries(architecture, side), self._stages(architecture), strict=True
        ):
            found += [entry, *(depth * operators_of(kind, width, entry.out))]
        return tuple(found)

    def module(self, operator: Operator) -> nn.Module:
        """Build one convolution with what belongs to it, so that it can be timed alone."""
        return self._make.activated(operator)

    def parameters(self, architecture: Architecture) -> int:
        """Count the learnable values of the network that :meth:`build` gives."""
        if self.branched is not None and not self.folded:
            with torch.device("meta"):
                return count_parameters(self.build(architecture))
        operators = self.operators(architecture)
        beside = 1 if self.folded else 2
        convolutions = sum(each.weights + beside * each.out_channels for each in operators)
        return convolutions + (self._last(architecture) + 1) * self.classes

    def macs(self, architecture: Architecture, *, side: int | None = None) -> int:
        """Count the multiply-adds of one image, as :func:`nascence.graph.count_macs` does.

        Args:
            architecture: of the network.
            side: of the square image, in pixels; None is ``default_side``.
        """
        if self.branched is not None and not self.folded:
            return super().macs(architecture, side=side)
        operators = self.operators(architecture, side=side)
        convolutions = sum(each.weights * each.out**2 for each in operators)
        return convolutions + self._last(architecture) * self.classes

    def _last(self, architecture: Architecture) -> int:
        return self._stages(architecture)[-1][0]

    def _stages(self, architecture: Architecture) -> list[tuple[int, int, str]]:
        """Width, depth and block of every stage."""
        _, *rest = self.values(architecture).values()
        return [
            (int(rest[place]), int(rest[place + 1]), str(rest[place + 2]))
            for place in range(0, len(rest), 3)
        ]

    def _entries(self, architecture: Architecture, side: int | None = None) -> list[Operator]:
        """The first convolution of every stage."""
        side = self.default_side if side is None else side
        check_positive("side", side)
        stride, before = int(self.values(architecture)["stem"]), self.in_channels
        entries = []
        for number, (width, _, _) in enumerate(self._stages(architecture)):
            kernel = 3 if number else STEM_KERNELS[stride]
            entries.append(Operator(kernel, before, width, 2 if number else stride, 1, side))
            before, side = width, entries[-1].out
        return entries
