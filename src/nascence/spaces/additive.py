"""Spaces in which the costs of choices add up, so that no network is built to know them."""

import math
from abc import abstractmethod
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from nascence.spaces.candidates import CandidateSpace
from nascence.spaces.decisions import Architecture, Decision


class Cost(NamedTuple):
    """Learnable values and multiply-adds of one image."""

    parameters: int
    macs: int


class CostTable(NamedTuple):
    """Costs that add up: of what every network has, and of each choice of each decision."""

    fixed: Cost
    choices: tuple[tuple[Cost, ...], ...]

    def of(self, architecture: Architecture) -> Cost:
        """Add up the fixed cost and the costs of the choices."""
        chosen = [costs[index] for costs, index in zip(self.choices, architecture, strict=True)]
        return total([self.fixed, *chosen])


def total(costs: Iterable[Cost]) -> Cost:
    """Add up costs."""
    parameters = macs = 0
    for cost in costs:
        parameters += cost.parameters
        macs += cost.macs
    return Cost(parameters, macs)


class AdditiveSpace(CandidateSpace):
    """A space with one network and a table of what each choice adds to its cost.

    Beside what a :class:`CandidateSpace` writes, such a space adds ``cost_table``.

    Args:
        decisions: in the order in which an architecture holds their indices.
        default_side: pixels of a side of the images for which costs are given by default.
    """

    def __init__(self, decisions: tuple[Decision, ...], *, default_side: int) -> None:
        super().__init__(decisions)
        self.default_side = default_side
        self._tables: dict[int | None, CostTable] = {}

    @abstractmethod
    def cost_table(self, *, side: int | None = None) -> CostTable:
        """Add up what each choice costs at images of ``side`` pixels, at all its places."""

    def cost(self, architecture: Architecture, *, side: int | None = None) -> Cost:
        """Return parameters and multiply-adds together, without building anything."""
        architecture = self.check(architecture)
        if side not in self._tables:
            self._tables[side] = self.cost_table(side=side)
        return self._tables[side].of(architecture)

    def parameters(self, architecture: Architecture) -> int:
        """Count the learnable values of the network that :meth:`build` gives."""
        return self.cost(architecture).parameters

    def macs(self, architecture: Architecture, *, side: int | None = None) -> int:
        """Count the multiply-adds of one image, as :func:`nascence.graph.count_macs` does.

        Sides are in pixels; None is ``default_side``, the published one.
        """
        return self.cost(architecture, side=side).macs


def check_positive(name: str, value: int) -> None:
    """Raise ``ValueError`` where ``value`` is not a positive int."""
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise ValueError(f"{name} is {value!r}; it must be a positive int")


def check_counts(name: str, values: Sequence[int], length: int, at_most: int | None = None) -> None:
    """Raise ``ValueError`` where ``values`` are not ``length`` ints from 1 to ``at_most``."""
    whole = all(isinstance(value, int) and not isinstance(value, bool) for value in values)
    bound = math.inf if at_most is None else at_most
    if len(values) != length or not whole or not all(1 <= value <= bound for value in values):
        allowed = "positive ints" if at_most is None else f"ints from 1 to {at_most}"
        raise ValueError(f"{name} is {values!r}; it must be {length} {allowed}")


def check_fraction(name: str, value: float) -> None:
    """Raise ``ValueError`` where ``value`` is no probability below one."""
    if not 0 <= value < 1:
        raise ValueError(f"{name} is {value!r}; it must be a probability from 0, below 1")
