"""What follows from the decisions of a space alone: drawing, crossing, coding, costs that add."""

import json
import math
from collections.abc import Iterable, Sequence
from functools import cached_property
from typing import NamedTuple

import torch
from torch import Tensor, nn

from nascence.spaces.space import (
    Architecture,
    Choose,
    Decision,
    check_architecture,
    mutate_decision,
    sample_decisions,
)


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


class DecisionSpace:
    """The part of a search space that its decisions determine; every choice may meet every other.

    A space adds ``description``, ``network``, ``cost_table``, ``format`` and ``parse``; where
    not every combination is a network, also :meth:`check` and the methods that draw.
    """

    decisions: tuple[Decision, ...]
    default_side: int

    @property
    def description(self) -> str:
        """One line with the space and its settings: equal lines mean equal networks."""
        raise NotImplementedError

    def network(self, choose: Choose) -> nn.Module:
        """Define the network: ``choose`` makes the module of every place of a decision."""
        raise NotImplementedError

    def cost_table(self, *, side: int | None = None) -> CostTable:
        """Costs of every choice at images of ``side`` pixels, over all places of its decision."""
        raise NotImplementedError

    def __repr__(self) -> str:
        return self.description

    @property
    def size(self) -> int:
        """Number of architectures."""
        return math.prod(len(decision.choices) for decision in self.decisions)

    def check(self, architecture: Architecture) -> Architecture:
        """Return ``architecture`` as a tuple; raise ``ValueError`` where it is not of the space."""
        return check_architecture(architecture, self.decisions)

    def sample(self, *, generator: torch.Generator) -> Architecture:
        """Draw an architecture, every decision uniformly and independently."""
        return sample_decisions(self.decisions, generator=generator)

    def mutate(self, architecture: Architecture, *, generator: torch.Generator) -> Architecture:
        """Change exactly one decision, drawn uniformly, to another of its choices."""
        return mutate_decision(architecture, self.decisions, generator=generator)

    def crossover(
        self, first: Architecture, second: Architecture, *, generator: torch.Generator
    ) -> Architecture:
        """Take every decision from one of the two, each with probability one half."""
        first, second = self.check(first), self.check(second)
        coins = torch.randint(2, (len(first),), generator=generator).tolist()
        return tuple(
            other if coin else own for own, other, coin in zip(first, second, coins, strict=True)
        )

    def neighbours(self, architecture: Architecture) -> list[Architecture]:
        """All architectures which differ from this one in exactly one decision."""
        architecture = self.check(architecture)
        return [
            (*architecture[:place], index, *architecture[place + 1 :])
            for place, decision in enumerate(self.decisions)
            for index in range(len(decision.choices))
            if index != architecture[place]
        ]

    def canonical(self, architecture: Architecture) -> Architecture:
        """Return the architecture itself: no two of them are known to compute the same."""
        return self.check(architecture)

    def derive(self, weights: Sequence[Tensor]) -> Architecture:
        """Choose for each decision the choice of greatest weight, the first among equals.

        ``weights`` holds one vector per decision, as long as its choices.
        """
        check_weights(weights, self.decisions)
        return tuple(int(vector.argmax()) for vector in weights)

    def encode(self, architecture: Architecture) -> Tensor:
        """One-hot code of every decision, side by side: float32 of (sum of numbers of choices,)."""
        architecture = self.check(architecture)
        code = torch.zeros(sum(len(decision.choices) for decision in self.decisions))
        start = 0
        for index, decision in zip(architecture, self.decisions, strict=True):
            code[start + index] = 1
            start += len(decision.choices)
        return code

    def to_json(self, architecture: Architecture) -> str:
        """Write a JSON object, decision name to choice."""
        architecture = self.check(architecture)
        return json.dumps(
            {
                decision.name: decision.choices[index]
                for index, decision in zip(architecture, self.decisions, strict=True)
            }
        )

    def from_json(self, text: str) -> Architecture:
        """Read what :meth:`to_json` writes; raises ``ValueError`` where it is something else."""
        try:
            values = json.loads(text)
        except (ValueError, RecursionError) as error:
            raise ValueError(f"cannot read the architecture: not JSON ({error})") from None
        names = [decision.name for decision in self.decisions]
        if not isinstance(values, dict) or set(values) != set(names):
            raise ValueError(
                f"cannot read the architecture {shortened(text)}; it must be an object with the "
                f"keys {', '.join(names)}"
            )
        indices = []
        for name, choices in self.decisions:
            # type and value: JSON's 1, 1.0 and true are equal in Python
            found = [i for i, choice in enumerate(choices) if repr(choice) == repr(values[name])]
            if not found:
                allowed = ", ".join(map(str, choices))
                raise ValueError(f"{name} is {shortened(values[name])}; use one of {allowed}")
            indices += found
        return self.check(tuple(indices))

    def build(self, architecture: Architecture) -> nn.Module:
        """Build the network, with PyTorch's initialisation from the global generator."""
        architecture = self.check(architecture)
        chosen = {
            decision.name: index
            for index, decision in zip(architecture, self.decisions, strict=True)
        }
        return self.network(lambda name, builders: builders[chosen[name]]())

    @cached_property
    def _tables(self) -> dict[int | None, CostTable]:
        return {}

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


def check_weights(weights: Sequence[Tensor], decisions: tuple[Decision, ...]) -> None:
    """Raise ``ValueError`` where ``weights`` are not one finite vector per decision."""
    if len(weights) != len(decisions):
        raise ValueError(
            f"got {len(weights)} weight vectors; this space has {len(decisions)} decisions"
        )
    for vector, (name, choices) in zip(weights, decisions, strict=True):
        if vector.shape != (len(choices),):
            raise ValueError(
                f"the weights of {name!r} have shape {tuple(vector.shape)}; it must be "
                f"({len(choices)},), one for each of {', '.join(map(str, choices))}"
            )
        if not vector.isfinite().all():
            raise ValueError(f"the weights of {name!r} are not finite: {vector.tolist()}")


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


def shortened(value: object, limit: int = 120) -> str:
    """Quote a value from outside on one line, cut where it is long."""
    text = repr(value)
    return text if len(text) <= limit else text[:limit] + "…"
