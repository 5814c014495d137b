"""Spaces whose decisions are independent: everything that follows from the list of decisions."""

import json
import math
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from itertools import product
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from nascence.spaces.decisions import (
    Architecture,
    Decision,
    check_architecture,
    check_weights,
    mutate_decision,
    one_hot,
    sample_decisions,
    shortened,
)
from nascence.spaces.space import CellGraph


class ProductSpace(ABC):
    """The architectures that take any choice for every decision.

    A space adds ``description`` and ``build``; whatever follows from more than the decisions it
    writes itself, such as ``format`` with a published form and ``canonical``.

    Args:
        decisions: in the order in which an architecture holds their indices.
    """

    cell_graphs: tuple[CellGraph, ...] = ()

    def __init__(self, decisions: tuple[Decision, ...]) -> None:
        self.decisions: tuple[Decision, ...] = decisions
        self.size = math.prod(len(decision.choices) for decision in decisions)

    @property
    @abstractmethod
    def description(self) -> str:
        """One line with the space and its settings: equal lines mean equal networks."""

    @abstractmethod
    def build(self, architecture: Architecture) -> nn.Module:
        """Build the network, with PyTorch's initialisation from the global generator."""

    def __repr__(self) -> str:
        return self.description

    def check(self, architecture: Architecture) -> Architecture:
        """Return ``architecture`` as a tuple; raise ``ValueError`` where it is not of the space."""
        return check_architecture(architecture, self.decisions)

    def canonical(self, architecture: Architecture) -> Architecture:
        """Return the architecture itself: no two of them are known to compute the same."""
        return self.check(architecture)

    def built(self, architecture: Architecture) -> tuple[bool, ...]:
        """Tell for each decision whether :meth:`build` puts its choice into the network."""
        return (True,) * len(self.check(architecture))

    def __iter__(self) -> Iterator[Architecture]:
        """Go through every architecture, in the order of :meth:`index`."""
        return product(*(range(len(decision.choices)) for decision in self.decisions))

    def sample(self, *, generator: torch.Generator) -> Architecture:
        """Draw an architecture, every decision uniformly and independently."""
        return sample_decisions(self.decisions, generator=generator)

    def mutate(self, architecture: Architecture, *, generator: torch.Generator) -> Architecture:
        """Change exactly one decision, drawn uniformly, to another of its choices."""
        return mutate_decision(architecture, self.decisions, generator=generator)

    def crossover(
        self, first: Architecture, second: Architecture, *, generator: torch.Generator
    ) -> Architecture:
        """Take each decision from one of two architectures, either with probability one half."""
        first, second = self.check(first), self.check(second)
        coins = torch.randint(2, (len(first),), generator=generator).tolist()
        return tuple(b if coin else a for coin, a, b in zip(coins, first, second, strict=True))

    def neighbours(self, architecture: Architecture) -> list[Architecture]:
        """List all architectures which differ from this one in exactly one decision."""
        architecture = self.check(architecture)
        return [
            (*architecture[:place], index, *architecture[place + 1 :])
            for place, decision in enumerate(self.decisions)
            for index in range(len(decision.choices))
            if index != architecture[place]
        ]

    def index(self, architecture: Architecture) -> int:
        """Return the position among ``size`` architectures, the last decision fastest.

        This is not the number in a published table, whose order is random.
        """
        number = 0
        for index, decision in zip(self.check(architecture), self.decisions, strict=True):
            number = number * len(decision.choices) + index
        return number

    def architecture(self, index: int) -> Architecture:
        """Return the architecture at a position from 0 to ``size - 1``: undoes :meth:`index`."""
        index = self.check_index(index)
        indices = []
        for decision in reversed(self.decisions):
            index, remainder = divmod(index, len(decision.choices))
            indices.append(remainder)
        return tuple(reversed(indices))

    def check_index(self, index: int) -> int:
        """Return ``index``; raise ``ValueError`` where it is not from 0 to ``size - 1``."""
        if isinstance(index, bool) or not isinstance(index, int) or not 0 <= index < self.size:
            raise ValueError(f"index is {index!r}; it must be an int from 0 to {self.size - 1}")
        return index

    def codes(self, architectures: Any) -> NDArray[np.float64]:
        """Write architectures ``(n, decisions)`` as points ``(n, codes)``: one-hot, side by side.

        The architectures are not checked, since many are written at a time.
        """
        return one_hot(architectures, self.decisions)

    def format(self, architecture: Architecture) -> str:
        """Write the choices, with colons between them."""
        return ":".join(map(str, self.values(architecture).values()))

    def parse(self, text: str) -> Architecture:
        """Read what :meth:`format` writes; raises ``ValueError`` for anything else."""
        words = text.strip().split(":")
        if len(words) != len(self.decisions):
            raise ValueError(
                f"cannot read the architecture {shortened(text)}: it has {len(words)} choices, and "
                f"this space has {len(self.decisions)} decisions"
            )
        return self.indices(words)

    def to_json(self, architecture: Architecture) -> str:
        """Write a JSON object, decision name to choice."""
        return json.dumps(self.values(architecture))

    def from_json(self, text: str) -> Architecture:
        """Read what :meth:`to_json` writes; raises ``ValueError`` where it is something else."""
        try:
            values = json.loads(text)
        except (ValueError, RecursionError) as error:  # an int of too many digits is a ValueError
            raise ValueError(f"cannot read the architecture: not JSON ({error})") from None
        names = [decision.name for decision in self.decisions]
        if not isinstance(values, dict) or set(values) != set(names):
            raise ValueError(
                f"cannot read the architecture {shortened(text)}; it must be an object with the "
                f"keys {', '.join(names)}"
            )
        return self.indices([values[name] for name in names])

    def values(self, architecture: Architecture) -> dict[str, str | int]:
        """Return the choice of every decision, by the decision's name."""
        architecture = self.check(architecture)
        return {
            decision.name: decision.choices[index]
            for index, decision in zip(architecture, self.decisions, strict=True)
        }

    def indices(self, values: Sequence[object]) -> Architecture:
        """Return the architecture with these choices; raises ``ValueError`` for any other value."""
        indices = []
        for value, (name, choices) in zip(values, self.decisions, strict=True):
            allowed = [str(choice) for choice in choices]
            if str(value) not in allowed:
                raise ValueError(f"{name} is {shortened(value)}; use one of {', '.join(allowed)}")
            indices.append(allowed.index(str(value)))
        return self.check(tuple(indices))

    def derive(self, weights: Sequence[Tensor]) -> Architecture:
        """Choose for each decision the choice of greatest weight, the first among equals.

        ``weights`` holds one ``(choices,)`` per decision.
        """
        check_weights(weights, self.decisions)
        return tuple(int(vector.argmax()) for vector in weights)
