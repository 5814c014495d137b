"""Spaces in which the costs of choices add up, so that no network is built to know them."""

import math
from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from torch import nn

from nascence.spaces.product import ProductSpace
from nascence.spaces.space import Architecture, Choose, Decision


class Cost(NamedTuple):
    """Learnable values and multiply-adds of one image."""

    parameters: int
    macs: int


class CostTable(NamedTuple):
    """Costs that add up: of what every network has, and of each choice of each decision."""

    fixed: Cost
    choices: tuple[tuple[Cost, ...], ...]

    def of(self, architecture: Architecture) -> Cost:
        """Sum of the fixed cost and of the choices' costs."""
        chosen = [costs[index] for costs, index in zip(self.choices, architecture, strict=True)]
        return total([self.fixed, *chosen])


def total(costs: Iterable[Cost]) -> Cost:
    """Sum of costs."""
    parameters = macs = 0
    for cost in costs:
        parameters += cost.parameters
        macs += cost.macs
    return Cost(parameters, macs)


class AdditiveSpace(ProductSpace, ABC):
    """A space with one network and a table of what each choice adds to its cost.

    A space adds ``description``, ``in_channels`` of its images, ``network``, ``cost_table``,
    ``format`` and ``parse``.

    Args:
        decisions: in the order in which an architecture holds their indices.
        default_side: pixels of a side of the images for which costs are given by default.
    """

    in_channels: int

    def __init__(self, decisions: tuple[Decision, ...], *, default_side: int) -> None:
        super().__init__(decisions)
        self.default_side = default_side
        self._tables: dict[int | None, CostTable] = {}

    @property
    @abstractmethod
    def description(self) -> str:
        """One line with the space and its settings: equal lines mean equal networks."""

    @abstractmethod
    def network(self, choose: Choose) -> nn.Module:
        """Build the network with what ``choose`` gives at each place of a decision."""

    @abstractmethod
    def cost_table(self, *, side: int | None = None) -> CostTable:
        """Costs of every choice at images of ``side`` pixels, over all places of its decision."""

    def __repr__(self) -> str:
        return self.description

    def canonical(self, architecture: Architecture) -> Architecture:
        """Return the architecture itself: no two of them are known to compute the same."""
        return self.check(architecture)

    def build(self, architecture: Architecture) -> nn.Module:
        """Build the network, with PyTorch's initialisation from the global generator."""
        architecture = self.check(architecture)
        chosen = {
            decision.name: index
            for index, decision in zip(architecture, self.decisions, strict=True)
        }
        return self.network(lambda name, builders: builders[chosen[name]]())

    def cost(self, architecture: Architecture, *, side: int | None = None) -> Cost:
        """Parameters and multiply-adds together, without building: see the two of that name."""
        architecture = self.check(architecture)
        if side not in self._tables:
            self._tables[side] = self.cost_table(side=side)
        return self._tables[side].of(architecture)

    def parameters(self, architecture: Architecture) -> int:
        """Learnable values of the network that :meth:`build` gives, without building it."""
        return self.cost(architecture).parameters

    def macs(self, architecture: Architecture, *, side: int | None = None) -> int:
        """Multiply-adds of one image of ``side`` pixels, as :func:`nascence.graph.count_macs`.

        ``None`` is the published side, ``default_side``.
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
