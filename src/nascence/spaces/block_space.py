"""What the spaces of stages of blocks have in common: their settings, channels and strides."""

from collections.abc import Iterator
from typing import Any, ClassVar, Self

from nascence.spaces.additive import AdditiveSpace, check_counts, check_fraction, check_positive
from nascence.spaces.blocks import check_width
from nascence.spaces.decisions import Decision

SMALL_STEM = 64  # sides below which the first convolution keeps the size
PUBLISHED = 128  # sides from which on the published strides are taken


class BlockSpace(AdditiveSpace):
    """Networks of stages of blocks, each block a decision.

    Args:
        classes: of the classifier.
        in_channels: channels of the images.
        width: multiplies all channels, rounded to the nearest ``multiple``; those of the last
            convolution only where it is above one.
        depths: blocks in each stage; None is as published.
        stem_stride: of the first convolution, 1 or 2.
        strides: of each stage's first block, 1 or 2; None is as published, for 224 pixels. See
            :meth:`strides_for` for smaller ones.
        last: channels of the last convolution; None is as published.
        dropout: probability before the classifier; None is as published.
        side: pixels of a side of the images for which costs are given by default.
    """

    kind: ClassVar[str]
    channels: ClassVar[tuple[int, ...]]
    first: ClassVar[int]  # channels before the first stage
    multiple: ClassVar[int]
    published: ClassVar[dict[str, Any]]

    def __init__(
        self,
        *,
        classes: int = 1000,
        in_channels: int = 3,
        width: float = 1.0,
        depths: tuple[int, ...] | None = None,
        stem_stride: int = 2,
        strides: tuple[int, ...] | None = None,
        last: int | None = None,
        dropout: float | None = None,
        side: int = 224,
    ) -> None:
        depths = self.published["depths"] if depths is None else depths
        strides = self.published["strides"] if strides is None else strides
        last = self.published["last"] if last is None else last
        dropout = self.published["dropout"] if dropout is None else dropout
        for name, value in (("classes", classes), ("in_channels", in_channels), ("last", last)):
            check_positive(name, value)
        check_width(width)
        check_counts("depths", depths, len(self.channels))
        check_counts("strides", strides, len(self.channels), 2)
        check_counts("stem_stride", (stem_stride,), 1, 2)
        check_fraction("dropout", dropout)
        check_positive("side", side)
        self.classes, self.in_channels, self.width = classes, in_channels, float(width)
        self.depths, self.strides, self.stem_stride = tuple(depths), tuple(strides), stem_stride
        self.last, self.dropout = last, float(dropout)
        decisions = (
            Decision(f"block_{number}", self._choices(position))
            for number, (position, *_) in enumerate(self._places())
        )
        super().__init__(tuple(decisions), default_side=side)

    @classmethod
    def strides_for(cls, side: int) -> dict[str, Any]:
        """Return strides that leave images of ``side`` pixels 4 or more where they can."""
        published = cls.published["strides"]
        if side >= PUBLISHED:
            return {"stem_stride": 2, "strides": published}
        return {"stem_stride": 1 if side < SMALL_STEM else 2, "strides": (1, *published[1:])}

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
            f"{self.kind}(classes={self.classes}, in_channels={self.in_channels}, "
            f"width={self.width}, depths={self.depths}, stem_stride={self.stem_stride}, "
            f"strides={self.strides}, last={self.last}, dropout={self.dropout})"
        )

    def _choices(self, position: int) -> tuple[str, ...]:
        """What a block may be at a position of its stage."""
        raise NotImplementedError

    def _channels(self, published: int) -> int:
        multiple = self.multiple
        return max(multiple, round(published * self.width / multiple) * multiple)

    @property
    def _tail(self) -> int:
        return round(self.last * max(1.0, self.width))

    def _places(self) -> Iterator[tuple[int, int, int, int]]:
        """Position in its stage, input and output channels and stride of every block."""
        before = self._channels(self.first)
        for published, depth, stride in zip(self.channels, self.depths, self.strides, strict=True):
            after = self._channels(published)
            for position in range(depth):
                yield position, before, after, 1 if position else stride
                before = after
