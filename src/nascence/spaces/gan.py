"""Generators of images: the space of AutoGAN.

Gong, Chang, Jiang and Wang, "AutoGAN: Neural Architecture Search for Generative Adversarial
Networks", ICCV 2019, section 3.1 and figure 2.
"""

import re
from collections import OrderedDict
from collections.abc import Iterator
from functools import partial
from typing import Any, NamedTuple, Self

from torch import nn

from nascence.spaces.additive import check_positive
from nascence.spaces.candidates import CandidateSpace
from nascence.spaces.decisions import Architecture, Decision, shortened
from nascence.spaces.gan_cell import (
    BOTTOM,
    GeneratorCell,
    Latent,
    PostActivation,
    PreActivation,
    Shortcut,
    Skips,
    Stages,
    convolution,
    normalisation,
    resized,
)
from nascence.spaces.space import Choose

ORDERS = ("post-activation", "pre-activation")
NORMALISATIONS = ("none", "batch", "instance")
UPSAMPLINGS = ("bilinear", "nearest", "deconvolution")
SHORTCUTS = ("no", "yes")


class _Stage(NamedTuple):
    """The choices of one stage, by name."""

    order: str
    normalisation: str
    upsampling: str
    shortcut: bool
    skips: int


class GeneratorSpace(CandidateSpace):
    """Generators of ``stages`` cells, each of which doubles the side: 36^stages 2^(0 + 1 + ...).

    For three stages, images of 32 pixels from 4, these are 373,248; the paper gives no count. A
    cell has two 3x3 convolutions, the first of which is applied to the upsampled input. Decided
    are, for each: the order, convolution, normalisation, ReLU (post-activation) or normalisation,
    ReLU, upsampling, convolution (pre-activation); the normalisation (none, batch, instance); the
    upsampling (bilinear, nearest, 2x2 deconvolution of stride 2); a shortcut around the cell, the
    upsampled input through a 1x1 convolution; and which earlier cells' outputs of the first
    convolution are added, upsampled and through 1x1 convolutions, to that of this cell. Before
    the cells is a linear layer, after them BatchNorm, ReLU, a 3x3 convolution and tanh.

    Every convolution has ``width`` inputs and outputs and starts uniform by Glorot and Bengio
    (2010). ``(B, latent)`` to ``(B, in_channels, 4 * 2^stages, 4 * 2^stages)`` in [-1, 1].

    In a supernet the two orders have convolutions of their own, as in the released one; here they
    share the deconvolution, and every combination of skip connections has its own 1x1 kernels.

    Args:
        stages: number of cells, 1 to 6.
        width: channels of every cell; the paper's final networks have 256.
        latent: values from which an image is made.
        in_channels: channels of the images.

    Raises:
        ValueError: ``stages`` is not 1 to 6, or another number is not positive.
    """

    def __init__(
        self, *, stages: int = 3, width: int = 256, latent: int = 128, in_channels: int = 3
    ) -> None:
        settings = {"stages": stages, "width": width, "latent": latent, "in_channels": in_channels}
        for name, value in settings.items():
            check_positive(name, value)
        if stages > 6:
            raise ValueError(f"stages is {stages}; give 1 to 6")
        self.stages, self.width, self.latent = stages, width, latent
        self.in_channels, self.side = in_channels, BOTTOM * 2**stages
        super().__init__(tuple(_decisions(stages)))

    @property
    def description(self) -> str:
        """One line with the space and its settings: equal lines mean equal networks."""
        return (
            f"GeneratorSpace(stages={self.stages}, width={self.width}, latent={self.latent}, "
            f"in_channels={self.in_channels})"
        )

    @classmethod
    def for_images(
        cls, image_shape: tuple[int, int, int], *, classes: int, **settings: Any
    ) -> Self:
        """Return the space whose generators make images of one shape, of all classes alike.

        Args:
            image_shape: channels, height and width; sides of 8, 16, 32, 64, 128 or 256 pixels.
            classes: not used.
            settings: further ones of the class.

        Raises:
            ValueError: images that no number of stages makes.
        """
        channels, height, width = image_shape
        stages = (height // BOTTOM).bit_length() - 1
        if height != width or height != BOTTOM * 2 ** max(1, stages):
            raise ValueError(f"images are {height}x{width}; give squares of 8, 16, 32 … pixels")
        return cls(stages=stages, in_channels=channels, **settings)

    def grown(self, stages: int) -> Self:
        """Return the space of the first ``stages`` cells alone, its decisions the first of these.

        Raises:
            ValueError: more stages than there are.
        """
        if not 1 <= stages <= self.stages:
            raise ValueError(f"stages is {stages}; give 1 to {self.stages}")
        return type(self)(
            stages=stages, width=self.width, latent=self.latent, in_channels=self.in_channels
        )

    def network(self, choose: Choose) -> nn.Sequential:
        """Build the generator with what ``choose`` gives at each place of a decision."""
        cells = [self._cell(number, choose) for number in range(self.stages)]
        return nn.Sequential(
            OrderedDict(
                latent=Latent(self.latent, self.width),
                cells=Stages(cells),
                norm=nn.BatchNorm2d(self.width),
                relu=nn.ReLU(),
                image=convolution(self.width, self.in_channels),
                tanh=nn.Tanh(),
            )
        )

    def _cell(self, number: int, choose: Choose) -> GeneratorCell:
        stage, width = f"stage_{number + 1}", self.width

        def upsampling(factor: int) -> nn.Module:
            builders = [partial(resized, name, width, factor) for name in UPSAMPLINGS]
            return choose(f"{stage}_upsampling", builders)

        orders = [PostActivation, PreActivation]
        norms = [partial(normalisation, name, width) for name in NORMALISATIONS]
        kernels = [partial(convolution, width, width)] * len(ORDERS)
        parts: dict[str, Any] = {
            "orders": [choose(f"{stage}_order", orders) for _ in range(2)],
            "norms": [choose(f"{stage}_normalisation", norms) for _ in range(2)],
            "convolutions": [choose(f"{stage}_order", kernels) for _ in range(2)],
            "upsampling": upsampling(2),
            "shortcut": choose(
                f"{stage}_shortcut", [partial(Shortcut, None), partial(Shortcut, width)]
            ),
            "shortcut_upsampling": upsampling(2),
        }
        if number:
            skips = [partial(Skips, _sources(code, number), width) for code in range(2**number)]
            parts["skips"] = choose(f"{stage}_skips", skips)
            # the output of the first convolution of cell s has 8 * 2^s pixels
            parts["skip_upsamplings"] = [upsampling(2 ** (number - s)) for s in range(number)]
        return GeneratorCell(**parts)

    def format(self, architecture: Architecture) -> str:
        """Write the released numbers, as ``1 0 1 1 1 0 0 1 1 1 0 1 0 3``.

        For each stage: order (0 post, 1 pre), normalisation (0 none, 1 batch, 2 instance),
        upsampling (0 bilinear, 1 nearest, 2 deconvolution), shortcut, and from the second stage
        on a number whose lowest bit is the skip connection from the stage before.
        """
        return " ".join(map(str, self.check(architecture)))

    def parse(self, text: str) -> Architecture:
        """Read what :meth:`format` writes; raises ``ValueError`` naming what it cannot read."""
        words = re.split(r"[\s,]+", text.strip().strip("[]()"))
        if len(words) != len(self.decisions):
            raise ValueError(
                f"cannot read the architecture {shortened(text)}: it has {len(words)} numbers, "
                f"and {self.stages} stages have {len(self.decisions)}"
            )
        indices = []
        for word, (name, choices) in zip(words, self.decisions, strict=True):
            if not re.fullmatch(r"[0-9]{1,3}", word) or int(word) >= len(choices):
                raise ValueError(
                    f"{name} is {shortened(word)}; it must be from 0 to {len(choices) - 1}"
                )
            indices.append(int(word))
        return tuple(indices)

    def parameters(self, architecture: Architecture) -> int:
        """Count the learnable values of a network without building it."""
        width = self.width
        total = (self.latent + 1) * BOTTOM**2 * width + 2 * width
        total += (9 * width + 1) * self.in_channels
        deconvolution = 4 * width**2 + width
        for number, stage in enumerate(self._stages(architecture)):
            total += 2 * (9 * width**2 + width)
            total += 4 * width * (stage.normalisation == "batch")
            skips = _sources(stage.skips, number)
            total += (stage.shortcut + len(skips)) * (width**2 + width)
            if stage.upsampling == "deconvolution":
                chained = sum(number - source for source in skips)
                total += (1 + stage.shortcut + chained) * deconvolution
        return total

    def macs(self, architecture: Architecture, *, side: int | None = None) -> int:
        """Count the multiply-adds of one image, as :func:`nascence.graph.count_macs` does.

        Args:
            architecture: of the generator.
            side: side of the image that it makes, in pixels: that of the space, or None.

        Raises:
            ValueError: another side.
        """
        if side not in (None, self.side):
            raise ValueError(f"side is {side}; these generators make images of {self.side} pixels")
        width = self.width
        total = self.latent * BOTTOM**2 * width
        total += 9 * width * self.in_channels * self.side**2
        for number, stage in enumerate(self._stages(architecture)):
            pixels = (BOTTOM * 2 ** (number + 1)) ** 2
            skips = _sources(stage.skips, number)
            total += (18 + stage.shortcut + len(skips)) * width**2 * pixels
            if stage.upsampling == "deconvolution":  # one multiply-add for each output and input
                total += (1 + stage.shortcut) * width**2 * pixels
                for source in skips:
                    total += sum(width**2 * pixels // 4**k for k in range(number - source))
        return total

    def _stages(self, architecture: Architecture) -> Iterator[_Stage]:
        architecture = self.check(architecture)
        place = 0
        for number in range(self.stages):
            order, norm, up, shortcut = architecture[place : place + 4]
            skips = architecture[place + 4] if number else 0
            yield _Stage(
                ORDERS[order], NORMALISATIONS[norm], UPSAMPLINGS[up], bool(shortcut), skips
            )
            place += 5 if number else 4


def _decisions(stages: int) -> Iterator[Decision]:
    for number in range(stages):
        stage = f"stage_{number + 1}"
        yield Decision(f"{stage}_order", ORDERS)
        yield Decision(f"{stage}_normalisation", NORMALISATIONS)
        yield Decision(f"{stage}_upsampling", UPSAMPLINGS)
        yield Decision(f"{stage}_shortcut", SHORTCUTS)
        if number:
            names = (
                "+".join(str(source + 1) for source in _sources(code, number)) or "none"
                for code in range(2**number)
            )
            yield Decision(f"{stage}_skips", tuple(names))


def _sources(code: int, number: int) -> tuple[int, ...]:
    """The cells from which cell ``number`` has skip connections: bit 0 is the one before it."""
    return tuple(source for source in range(number) if code >> (number - 1 - source) & 1)
