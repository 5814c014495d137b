"""Which architectures a strategy has met, and what counts as the same one."""

from typing import Literal

from nascence.spaces import Architecture, SearchSpace

Distinct = Literal["functions", "architectures", "nothing"]
"""What a strategy proposes only once: every function that a network computes (the default), every
architecture (isomorphic ones too, as the published benchmarks count them), or nothing."""


class Seen:
    """The architectures met so far: ``architecture in seen`` tells whether to pass it over.

    Raises:
        ValueError: ``distinct`` is unknown.
    """

    def __init__(self, space: SearchSpace, distinct: Distinct) -> None:
        if distinct not in ("functions", "architectures", "nothing"):
            raise ValueError(
                f"distinct is {distinct!r}; use 'functions', 'architectures' or 'nothing'"
            )
        self.distinct = distinct
        self._space = space
        self._keys: set[Architecture] = set()

    def key(self, architecture: Architecture) -> Architecture:
        """Return what stands for the architecture and those that count as the same."""
        if self.distinct == "functions":
            return self._space.canonical(architecture)
        return architecture

    def add(self, architecture: Architecture) -> None:
        """Remember an architecture."""
        if self.distinct != "nothing":
            self._keys.add(self.key(architecture))

    def __contains__(self, architecture: object) -> bool:
        return self.distinct != "nothing" and self.key(architecture) in self._keys  # type: ignore[arg-type]
