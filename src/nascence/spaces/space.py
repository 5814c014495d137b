"""What a search space is: decisions, and a network for every choice of them."""

from collections.abc import Callable, Sequence
from functools import partial
from typing import NamedTuple, Protocol, runtime_checkable

import torch
from torch import Tensor, nn

Architecture = tuple[int, ...]
"""One index per decision, into that decision's choices."""

Choose = Callable[[str, Sequence[Callable[[], nn.Module]]], nn.Module]
"""What decides at every place of a decision while a space's ``network(choose)`` is built.

It gets the decision's name and one builder per choice, in the order of ``decision.choices``, and
returns the module that is put there: what one builder gives, all of them mixed, or :class:`Zero`
where the place has no effect. A decision that stands in several places is asked for at each.
The candidates of a place take the same inputs and give outputs of one shape.
"""


Choices = tuple[tuple[int, ...], ...]
"""For each decision the indices of the choices that a supernet holds, in ascending order."""


class Zero(nn.Module):
    """The candidate ``none``: zeros of the shape of its input."""

    def forward(self, x: Tensor) -> Tensor:
        return torch.zeros_like(x)


class Decision(NamedTuple):
    """One thing to choose: its name, and the values to choose from."""

    name: str
    choices: tuple[str | int, ...]


@runtime_checkable
class SearchSpace(Protocol):
    """A set of networks. Every method returns a new value and changes nothing.

    A method that takes an architecture raises ``ValueError`` for one outside of the space.
    """

    @property
    def decisions(self) -> tuple[Decision, ...]:
        """The decisions, in the order in which an architecture holds their indices."""

    @property
    def description(self) -> str:
        """One line with the space and its settings: equal lines mean equal networks."""

    def sample(self, *, generator: torch.Generator) -> Architecture:
        """Draw an architecture, every decision uniformly and independently."""

    def mutate(self, architecture: Architecture, *, generator: torch.Generator) -> Architecture:
        """Take the smallest step, drawn uniformly: one decision to another of its choices.

        Where the space does not hold every combination of choices, two decisions may change.
        """

    def canonical(self, architecture: Architecture) -> Architecture:
        """Return the representative of the architectures that compute the same function."""

    def format(self, architecture: Architecture) -> str:
        """Write the architecture as one readable line, different for different ones."""

    def build(self, architecture: Architecture) -> nn.Module:
        """Build the network, with PyTorch's initialisation from the global generator."""


@runtime_checkable
class NetworkSpace(SearchSpace, Protocol):
    """A space that can put all its candidates into one network.

    It may also have ``built(architecture)``, which tells for each decision whether ``build``
    puts its candidate into the network; where not, the supernet computes nothing, and the place
    gives None.
    """

    def network(self, choose: Choose) -> nn.Module:
        """Build the network with what ``choose`` gives at each place of a decision."""


def check_architecture(architecture: Architecture, decisions: tuple[Decision, ...]) -> Architecture:
    """Return ``architecture`` as a tuple, or raise ``ValueError`` naming what is wrong with it."""
    if len(architecture) != len(decisions):
        names = ", ".join(decision.name for decision in decisions)
        raise ValueError(
            f"architecture {tuple(architecture)} has {len(architecture)} indices; "
            f"this space has {len(decisions)} decisions: {names}"
        )
    for index, (name, choices) in zip(architecture, decisions, strict=True):
        if isinstance(index, bool) or not isinstance(index, int) or not 0 <= index < len(choices):
            raise ValueError(
                f"decision {name!r} has index {index!r}; it must be an int from 0 to "
                f"{len(choices) - 1}, one of the choices {', '.join(map(str, choices))}"
            )
    return tuple(architecture)


def sample_decisions(
    decisions: tuple[Decision, ...], *, generator: torch.Generator
) -> Architecture:
    """Draw one index per decision, uniformly and independently."""
    return tuple(_draw(len(decision.choices), generator) for decision in decisions)


def mutate_decision(
    architecture: Architecture, decisions: tuple[Decision, ...], *, generator: torch.Generator
) -> Architecture:
    """Change one decision, drawn uniformly among those with a choice, to another choice."""
    check_architecture(architecture, decisions)
    free = [place for place, decision in enumerate(decisions) if len(decision.choices) > 1]
    if not free:
        raise ValueError("no decision of this space has a second choice; nothing can be mutated")
    place = free[_draw(len(free), generator)]
    step = 1 + _draw(len(decisions[place].choices) - 1, generator)
    index = (architecture[place] + step) % len(decisions[place].choices)
    return (*architecture[:place], index, *architecture[place + 1 :])


def name_of(function: object) -> str:
    """Name a function, class or :func:`functools.partial` of one, the same in every process."""
    if isinstance(function, partial):
        settings = [repr(value) for value in function.args]
        settings += [f"{key}={value!r}" for key, value in sorted(function.keywords.items())]
        return f"{name_of(function.func)}({', '.join(settings)})"
    return getattr(function, "__qualname__", type(function).__qualname__)


def _draw(bound: int, generator: torch.Generator) -> int:
    return int(torch.randint(bound, (1,), generator=generator))
