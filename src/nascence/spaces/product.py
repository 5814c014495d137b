"""Spaces whose decisions are independent: everything that follows from the list of decisions."""

import json
import math
from collections.abc import Iterator, Sequence
from itertools import product

import torch
from torch import Tensor

from nascence.spaces.space import (
    Architecture,
    Decision,
    check_architecture,
    mutate_decision,
    sample_decisions,
)


class ProductSpace:
    """The architectures that take any choice for every decision.

    Args:
        decisions: in the order in which an architecture holds their indices.
    """

    def __init__(self, decisions: tuple[Decision, ...]) -> None:
        self.decisions: tuple[Decision, ...] = decisions
        self.size = math.prod(len(decision.choices) for decision in decisions)

    def check(self, architecture: Architecture) -> Architecture:
        """Return ``architecture`` as a tuple; raise ``ValueError`` where it is not of the space."""
        return check_architecture(architecture, self.decisions)

    def __iter__(self) -> Iterator[Architecture]:
        """Every architecture, in the order of :meth:`index`."""
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
        """All architectures which differ from this one in exactly one decision."""
        architecture = self.check(architecture)
        return [
            (*architecture[:place], index, *architecture[place + 1 :])
            for place, decision in enumerate(self.decisions)
            for index in range(len(decision.choices))
            if index != architecture[place]
        ]

    def index(self, architecture: Architecture) -> int:
        """Position among ``size`` architectures, the last decision fastest.

        This is not the number in a published table, whose order is random.
        """
        number = 0
        for index, decision in zip(self.check(architecture), self.decisions, strict=True):
            number = number * len(decision.choices) + index
        return number

    def architecture(self, index: int) -> Architecture:
        """Return the architecture at a position from 0 to ``size - 1``: undoes :meth:`index`."""
        if isinstance(index, bool) or not isinstance(index, int) or not 0 <= index < self.size:
            raise ValueError(f"index is {index!r}; it must be an int from 0 to {self.size - 1}")
        indices = []
        for decision in reversed(self.decisions):
            index, remainder = divmod(index, len(decision.choices))
            indices.append(remainder)
        return tuple(reversed(indices))

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

    def encode(self, architecture: Architecture) -> Tensor:
        """One-hot code of every decision, side by side: float32 of (sum of numbers of choices,)."""
        architecture = self.check(architecture)
        codes = []
        for index, decision in zip(architecture, self.decisions, strict=True):
            code = torch.zeros(len(decision.choices))
            code[index] = 1
            codes.append(code)
        return torch.cat(codes)

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

        ``weights`` holds one vector per decision, as long as its choices.
        """
        check_weights(weights, self.decisions)
        return tuple(int(vector.argmax()) for vector in weights)


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


def shortened(value: object, limit: int = 120) -> str:
    """Quote a value from outside on one line, cut where it is long."""
    text = repr(value)
    return text if len(text) <= limit else text[:limit] + "…"
