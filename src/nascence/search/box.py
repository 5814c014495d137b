"""A box of real vectors as a space, to try strategies on functions such as Ackley's."""

import numpy as np
import torch

from nascence.search.support_vectors import Array
from nascence.spaces import Architecture, Decision


class Box:
    """Vectors between two bounds, each coordinate one of ``levels`` evenly spaced values.

    It has what strategies need of a space, and builds no networks: a point is an architecture
    with one index per coordinate, and :meth:`values` are its coordinates.

    Args:
        low: least value of every coordinate.
        high: greatest value.
        dimensions: number of coordinates.
        levels: values of a coordinate.

    Raises:
        ValueError: ``low`` is not below ``high``, ``dimensions`` below 1 or ``levels`` below 2.
    """

    def __init__(
        self, low: float, high: float, *, dimensions: int, levels: int = 2**24 + 1
    ) -> None:
        if not low < high:
            raise ValueError(f"low is {low} and high {high}; low must be below high")
        if dimensions < 1 or levels < 2:
            raise ValueError(
                f"dimensions is {dimensions} and levels {levels}; give 1 and 2 or more"
            )
        self.low, self.high, self.dimensions, self.levels = low, high, dimensions, levels

    @property
    def decisions(self) -> tuple[Decision, ...]:
        """One decision for each coordinate: its levels as numbers."""
        choices: tuple[int, ...] = range(self.levels)  # type: ignore[assignment]
        return tuple(Decision(f"x{place}", choices) for place in range(self.dimensions))

    @property
    def description(self) -> str:
        """One line that describes the box."""
        return f"Box({self.low}, {self.high}, dimensions={self.dimensions}, levels={self.levels})"

    def values(self, point: Architecture) -> Array:
        """Coordinates of a point, ``(dimensions,)``."""
        return self.low + (self.high - self.low) * np.array(point) / (self.levels - 1)

    def codes(self, points: list[Architecture]) -> Array:
        """Points scaled to the unit cube, ``(n, dimensions)``."""
        return np.array(points, dtype=np.float64) / (self.levels - 1)

    def sample(self, *, generator: torch.Generator) -> Architecture:
        """Draw a point uniformly."""
        return tuple(torch.randint(self.levels, (self.dimensions,), generator=generator).tolist())

    def mutate(self, architecture: Architecture, *, generator: torch.Generator) -> Architecture:
        """Draw a point uniformly from a cube about this one, clipped to the box.

        The cube's side is drawn log-uniformly from a hundredth of the box's to all of it.
        """
        side = 10.0 ** (-2 * float(torch.rand((), generator=generator)))
        offsets = torch.rand(self.dimensions, generator=generator, dtype=torch.float64) - 0.5
        moved = torch.tensor(architecture) + (offsets * side * (self.levels - 1)).round().long()
        return tuple(moved.clamp(0, self.levels - 1).tolist())

    def neighbours(self, architecture: Architecture) -> list[Architecture]:
        """List the points one level away in one coordinate."""
        return [
            (*architecture[:place], index + step, *architecture[place + 1 :])
            for place, index in enumerate(architecture)
            for step in (-1, 1)
            if 0 <= index + step < self.levels
        ]

    def crossover(
        self, first: Architecture, second: Architecture, *, generator: torch.Generator
    ) -> Architecture:
        """Take every coordinate from one of the two, each with probability one half."""
        coins = torch.randint(2, (self.dimensions,), generator=generator).tolist()
        return tuple(b if coin else a for a, b, coin in zip(first, second, coins, strict=True))

    def canonical(self, architecture: Architecture) -> Architecture:
        """Return the point itself."""
        return architecture

    def format(self, architecture: Architecture) -> str:
        """Write the coordinates."""
        return " ".join(f"{value:.9g}" for value in self.values(architecture))

    def build(self, architecture: Architecture) -> torch.nn.Module:
        """Raise ``ValueError``: a point is not a network."""
        raise ValueError("a point of a box is no network; score it by its values")
