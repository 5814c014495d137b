"""Sizes of multiscale deep equilibrium models, and the networks of each."""

from typing import NamedTuple

from torch import nn

from nascence.core.randomness import seeded
from nascence.implicit import MDEQBackbone, MDEQClassifier, fixed_iterations

EVALUATIONS = 6
"""Evaluations of the cell in a forward pass, in training at most and after it always. They are
Picard's, the solver whose fixed form is the smallest graph to export."""


class Size(NamedTuple):
    """Number of streams, and channels of the first one.

    Two streams are equally wide; of three, each is twice as wide as the one above, as in the
    published tiny and large networks.
    """

    streams: int
    width: int

    @property
    def name(self) -> str:
        """How results name it."""
        return f"mdeq;streams={self.streams};width={self.width}"

    @property
    def channels(self) -> tuple[int, ...]:
        """Channels of each stream, the finest first."""
        doubled = self.streams > 2
        return tuple(self.width << (level if doubled else 0) for level in range(self.streams))


SIZES = tuple(Size(streams, width) for width in (8, 16, 24, 32, 48, 64) for streams in (2, 3))


def build(size: Size, *, classes: int, in_channels: int, seed: int) -> MDEQClassifier:
    """Build a network whose weights depend on the seed alone."""
    head = max(size.width // 3, 4)
    with seeded(seed):
        return MDEQClassifier(
            MDEQBackbone(
                size.channels, in_channels=in_channels, solver="picard", max_iter=EVALUATIONS
            ),
            classes=classes,
            head_channels=[head << level for level in range(size.streams)],
            final_channels=200,
        )


def deployed(model: nn.Module) -> nn.Module:
    """Fix the number of evaluations, so that the network can be folded and exported."""
    return fixed_iterations(model, EVALUATIONS, solver="picard").eval()
