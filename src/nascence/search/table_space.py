"""Spaces of the architectures that benchmark tables hold: whole ones, and parts of larger ones."""

from collections.abc import Iterator, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from nascence.data import Table
from nascence.spaces import Architecture, Decision, ProductSpace
from nascence.spaces.decisions import check_weights


class TableSpace(ProductSpace):
    """All architectures of a benchmark table: for searching, not to build its networks.

    Args:
        table: table of a whole space, such as :func:`nascence.data.nats_size`;
            :class:`nascence.search.ListedSpace` is for those of a part.
    """

    def __init__(self, table: Table) -> None:
        self._accept(table)
        super().__init__(tuple(Decision(name, choices) for name, choices in table.decisions))
        self.table = table

    def _accept(self, table: Table) -> None:
        if table.rows is not None:
            raise ValueError(
                f"the table of {table.name} holds a part of its space only; searching it would "
                "ask for architectures that nobody trained: use ListedSpace"
            )

    @property
    def description(self) -> str:
        """One line with the table's name."""
        return f"TableSpace({self.table.name})"

    def build(self, architecture: Architecture) -> torch.nn.Module:
        """Raise ``ValueError``: there are only measurements of the networks."""
        raise ValueError(f"the networks of {self.table.name} cannot be built; score them by table")


class ListedSpace(TableSpace):
    """The architectures that a table lists, and no others: for searching, not to build networks.

    Two listed architectures seldom differ in one decision only, so the smallest step is to one of
    the nearest listed ones, by the number of decisions in which they differ.

    Args:
        table: one that lists a part of its space, such as :func:`nascence.data.accel_nasbench`.
        nearest: number of the listed architectures that count as neighbours of one, more where
            several are equally far. With few, steps lead round in small circles.

    Raises:
        ValueError: a table of a whole space, of fewer than two architectures, or ``nearest``
            below 1.
    """

    def __init__(self, table: Table, *, nearest: int = 8) -> None:
        if nearest < 1:
            raise ValueError(f"nearest is {nearest}; it must be at least 1")
        super().__init__(table)
        self.size, self.nearest = len(table), nearest
        most = max(len(choices) for _, choices in table.decisions)
        listed = table.architectures().T.astype(np.min_scalar_type(most))
        self._listed = np.ascontiguousarray(listed)  # (decisions, size): ten times faster to sum
        self._own = {each: each for each in map(self._at, range(self.size))}
        self._near: dict[Architecture, tuple[int, ...]] = {}

    def _accept(self, table: Table) -> None:
        if table.rows is None:
            raise ValueError(f"the table of {table.name} holds its whole space; use TableSpace")
        if len(table.rows) < 2:
            raise ValueError(
                f"the table of {table.name} lists {len(table.rows)} architectures; searching "
                "needs at least 2"
            )

    @property
    def description(self) -> str:
        """One line with the table's name and what counts as near."""
        return f"ListedSpace({self.table.name}, {self.size} listed, nearest={self.nearest})"

    def check(self, architecture: Architecture) -> Architecture:
        """Return ``architecture`` as a tuple; raise ``ValueError`` where it is not listed."""
        own = self._own.get(tuple(architecture))
        if own is not None:
            return own
        architecture = super().check(architecture)
        self.table.row(architecture)  # says what the table holds
        return architecture

    def __iter__(self) -> Iterator[Architecture]:
        """Every listed architecture, in the order of the table's rows."""
        return map(self._at, range(self.size))

    def index(self, architecture: Architecture) -> int:
        """Position among ``size`` architectures: the row of the table."""
        return self.table.row(super().check(architecture))

    def architecture(self, index: int) -> Architecture:
        """Return the architecture at a position from 0 to ``size - 1``: undoes :meth:`index`."""
        return self._at(self.check_index(index))

    def sample(self, *, generator: torch.Generator) -> Architecture:
        """Draw a listed architecture, all with the same probability."""
        return self._at(int(torch.randint(self.size, (), generator=generator)))

    def neighbours(self, architecture: Architecture) -> list[Architecture]:
        """The ``nearest`` other listed ones, nearest first, and any as near as the last."""
        return [self._at(row) for row in self._neighbours(architecture)]

    def mutate(self, architecture: Architecture, *, generator: torch.Generator) -> Architecture:
        """Draw one of the :meth:`neighbours`, all with the same probability."""
        rows = self._neighbours(architecture)
        return self._at(rows[int(torch.randint(len(rows), (), generator=generator))])

    def crossover(
        self, first: Architecture, second: Architecture, *, generator: torch.Generator
    ) -> Architecture:
        """Draw one of the listed architectures that are nearest to a mixture of two."""
        mixed = super().crossover(first, second, generator=generator)
        distances = self._distances(mixed)
        rows = np.flatnonzero(distances == distances.min())
        return self._at(int(rows[int(torch.randint(len(rows), (), generator=generator))]))

    def derive(self, weights: Sequence[Tensor]) -> Architecture:
        """Choose the listed architecture with the greatest sum of weights, the first of equals.

        ``weights`` holds one ``(choices,)`` per decision.
        """
        check_weights(weights, self.decisions)
        columns = torch.from_numpy(self._listed.astype(np.int64))
        chosen = [vector[column] for vector, column in zip(weights, columns, strict=True)]
        return self._at(int(torch.stack(chosen).sum(dim=0).argmax()))

    def _neighbours(self, architecture: Architecture) -> tuple[int, ...]:
        architecture = self.check(architecture)
        if architecture not in self._near:
            distances = self._distances(architecture)
            distances[self.table.row(architecture)] = len(self.decisions) + 1
            place = min(self.nearest, self.size - 1) - 1
            last = np.partition(distances, place)[place]
            rows = np.flatnonzero(distances <= last)
            order = rows[np.argsort(distances[rows], kind="stable")]
            self._near[architecture] = tuple(order.tolist())
        return self._near[architecture]

    def _distances(self, architecture: Architecture) -> NDArray[np.unsignedinteger]:
        """Decisions in which each listed architecture differs: (size,)."""
        other = np.array(architecture, self._listed.dtype)[:, None]
        return (self._listed != other).sum(axis=0, dtype=np.min_scalar_type(len(other) + 1))

    def _at(self, row: int) -> Architecture:
        return tuple(self._listed[:, row].tolist())


def table_space(table: Table) -> TableSpace:
    """Return the space of all architectures that a table has."""
    return TableSpace(table) if table.rows is None else ListedSpace(table)
