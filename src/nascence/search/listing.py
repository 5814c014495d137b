"""Everything that is left to propose in a space that can be listed."""

import numpy as np

from nascence.search.codes import coder
from nascence.search.limits import Allowed
from nascence.search.seen import Seen
from nascence.spaces import Architecture, Listable, SearchSpace

MOST_LISTED = 50_000


class Listing:
    """The allowed architectures of a space, one for each that counts as different.

    Args:
        space: a space that can be iterated over.
        allowed: tells which may be proposed.
        seen: tells which count as the same, and those met already.

    Attributes:
        architectures: the first allowed one of each that count as the same.
        codes: codes of their canonical forms, (n, codes).
        left: which of them were not met yet, (n,).
    """

    def __init__(self, space: Listable, allowed: Allowed | None, seen: Seen) -> None:
        found: dict[Architecture, Architecture] = {}
        for architecture in space:
            if allowed is None or allowed(architecture):
                found.setdefault(seen.key(architecture), architecture)
        self._seen = seen
        self._rows = {key: row for row, key in enumerate(found)}
        self.architectures = list(found.values())
        canonical = [space.canonical(architecture) for architecture in self.architectures]
        self.codes = coder(space)(canonical)
        self.left = np.array([each not in seen for each in self.architectures], dtype=bool)

    def remove(self, architecture: Architecture) -> None:
        """Note that an architecture, or one that counts as the same, has been seen."""
        if self._seen.distinct == "nothing":
            return
        row = self._rows.get(self._seen.key(architecture))
        if row is not None:
            self.left = self.left.copy()  # what another process sent may be read-only
            self.left[row] = False


def listing(
    space: SearchSpace, allowed: Allowed | None, seen: Seen, *, most: int = MOST_LISTED
) -> Listing | None:
    """List a space, if it can be listed and has at most ``most`` architectures."""
    if not isinstance(space, Listable) or space.size > most:
        return None
    return Listing(space, allowed, seen)
