"""What is left of the DARTS space when operations are dropped."""

from collections.abc import Iterator, Sequence

import torch

from nascence.spaces.candidates import CandidateSpace, RestrictedCandidates
from nascence.spaces.darts_edges import at_position, count, position
from nascence.spaces.decisions import Architecture


class RestrictedDarts(RestrictedCandidates):
    """What is left of DARTS cells: ``none`` stays everywhere, beside one operation or more.

    Args:
        space: the whole space.
        choices: for each decision the indices that are left, 0 among them.

    Raises:
        ValueError: an edge without ``none``, or with nothing but it.
    """

    def __init__(self, space: CandidateSpace, choices: Sequence[Sequence[int]]) -> None:
        super().__init__(space, choices)
        for indices, (name, _) in zip(self.choices, space.decisions, strict=True):
            if indices[0] != 0 or len(indices) == 1:
                raise ValueError(f"choices {indices} of {name!r}; leave none (0) and an operation")
        self._kept = [len(indices) - 1 for indices in self.choices]
        self.size = count(self._kept)

    def __iter__(self) -> Iterator[Architecture]:
        """Go through every architecture, in the order of :meth:`index`."""
        return map(self.architecture, range(self.size))

    def index(self, architecture: Architecture) -> int:
        """Return the position among ``size``, the last node of the reduction cell fastest."""
        return position(self.check(architecture), self._kept)

    def architecture(self, index: int) -> Architecture:
        """Return the architecture at a position from 0 to ``size - 1``: undoes :meth:`index`."""
        return at_position(self.check_index(index), self._kept)

    def sample(self, *, generator: torch.Generator) -> Architecture:
        """Draw the two inputs of every node as the whole space does, then what is left there."""
        whole = self.space.sample(generator=generator)
        drawn = []
        for index, kept in zip(whole, self._kept, strict=True):
            step = int(torch.randint(kept, (), generator=generator))
            drawn.append(1 + step if index else 0)
        return tuple(drawn)

    def mutate(self, architecture: Architecture, *, generator: torch.Generator) -> Architecture:
        """Draw one of the :meth:`neighbours`, uniformly."""
        found = self.neighbours(architecture)
        if not found:
            raise ValueError("nothing is left to change; this space holds one network of its kind")
        return found[int(torch.randint(len(found), (), generator=generator))]

    def restricted(self, choices: Sequence[Sequence[int]]) -> "RestrictedDarts":
        """Return the space of the architectures that use only these of the choices left."""
        return RestrictedDarts(self, choices)
