"""What a search space is, and what it may be able to do: small protocols."""

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any, NamedTuple, Protocol, Self, runtime_checkable

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from nascence.spaces.decisions import Architecture, Choices, Decision

Choose = Callable[[str, Sequence[Callable[[], nn.Module]]], nn.Module]
"""What decides at every place of a decision while a space's ``network(choose)`` is built.

It gets the decision's name and one builder per choice, in the order of ``decision.choices``, and
returns the module that is put there: what one builder gives, all of them mixed, or :class:`Zero`
where the place has no effect. A decision that stands in several places is asked for at each.
The candidates of a place take the same inputs and give outputs of one shape.
"""


class Zero(nn.Module):
    """The candidate ``none``: zeros of the shape of its input."""

    def forward(self, x: Tensor) -> Tensor:
        """Return zeros of the shape of ``x``."""
        return torch.zeros_like(x)


@runtime_checkable
class SearchSpace(Protocol):
    """A set of networks. Every method returns a new value and changes nothing.

    A method that takes an architecture raises ``ValueError`` for one outside of the space. What
    else a space can do are small protocols below; :class:`nascence.spaces.ProductSpace` has most
    of them for spaces whose decisions are independent.
    """

    @property
    def decisions(self) -> tuple[Decision, ...]:
        """The decisions, in the order in which an architecture holds their indices."""

    @property
    def description(self) -> str:
        """One line with the space and its settings: equal lines mean equal networks."""

    def sample(self, *, generator: torch.Generator) -> Architecture:
        """Draw an architecture; where decisions are independent, each of them uniformly."""

    def mutate(self, architecture: Architecture, *, generator: torch.Generator) -> Architecture:
        """Take the smallest step, drawn uniformly: one decision to another of its choices.

        Where the space does not hold every combination of choices, more decisions may change.
        """

    def canonical(self, architecture: Architecture) -> Architecture:
        """Return the representative of the architectures that compute the same function."""

    def format(self, architecture: Architecture) -> str:
        """Write the architecture as one readable line, different for different ones."""

    def build(self, architecture: Architecture) -> nn.Module:
        """Build the network, with PyTorch's initialisation from the global generator."""


@runtime_checkable
class Readable(SearchSpace, Protocol):
    """A space whose architectures can be read from text.

    Each reader raises ``ValueError`` of one line that names what it cannot read.
    """

    def parse(self, text: str) -> Architecture:
        """Read what ``format`` writes."""

    def to_json(self, architecture: Architecture) -> str:
        """Write a JSON object, decision name to choice."""

    def from_json(self, text: str) -> Architecture:
        """Read what ``to_json`` writes."""


@runtime_checkable
class Costed(SearchSpace, Protocol):
    """A space that knows what its networks cost without building them."""

    def parameters(self, architecture: Architecture) -> int:
        """Count the learnable values of the network that ``build`` gives."""

    def macs(self, architecture: Architecture, *, side: int | None = None) -> int:
        """Count the multiply-adds of one image, as :func:`nascence.graph.count_macs` does.

        Args:
            architecture: of the network.
            side: side of the square image, in pixels; None for the one that the space is made for.
        """


@runtime_checkable
class Listable(SearchSpace, Protocol):
    """A space that numbers its architectures."""

    @property
    def size(self) -> int:
        """Number of architectures."""

    def __iter__(self) -> Iterator[Architecture]:
        """Go through every architecture, in the order of ``index``."""

    def index(self, architecture: Architecture) -> int:
        """Return the position among all architectures, from 0 to ``size - 1``."""

    def architecture(self, index: int) -> Architecture:
        """Return the architecture at a position: undoes ``index``."""


@runtime_checkable
class Crossable(SearchSpace, Protocol):
    """A space that mixes two architectures and knows those next to one."""

    def crossover(
        self, first: Architecture, second: Architecture, *, generator: torch.Generator
    ) -> Architecture:
        """Take each decision from one of the two."""

    def neighbours(self, architecture: Architecture) -> list[Architecture]:
        """List all architectures that the smallest step can lead to."""


@runtime_checkable
class Derivable(SearchSpace, Protocol):
    """A space that chooses an architecture by weights of all choices."""

    def derive(self, weights: Sequence[Tensor]) -> Architecture:
        """Choose by weights ``(choices,)`` for each decision."""


@runtime_checkable
class Coded(SearchSpace, Protocol):
    """A space that says how its architectures are written as points."""

    def codes(self, architectures: Any) -> NDArray[np.float64]:
        """Write architectures ``(n, decisions)`` as points ``(n, codes)``."""


class CellGraph(NamedTuple):
    """The graph of a cell whose edges are decisions; over the choice ``none`` nothing passes.

    Attributes:
        places: numbers of the decisions, one for each edge.
        edges: source and target node of each; node 0 and, of some, node 1 are inputs.
        outputs: the nodes of which the cell's output is made.
        inputs: how many edges into each node are not ``none``; None where any number may be.
    """

    places: tuple[int, ...]
    edges: tuple[tuple[int, int], ...]
    outputs: tuple[int, ...]
    inputs: int | None = None

    def incoming(self) -> list[tuple[int, ...]]:
        """Return for each node the places of the edges into it."""
        nodes = sorted({target for _, target in self.edges})
        pairs = list(zip(self.places, self.edges, strict=True))
        return [tuple(place for place, (_, end) in pairs if end == node) for node in nodes]


@runtime_checkable
class Cellular(SearchSpace, Protocol):
    """A space some of whose decisions are the edges of cells."""

    @property
    def cell_graphs(self) -> tuple[CellGraph, ...]:
        """The kinds of cells."""


@runtime_checkable
class Sharable(SearchSpace, Protocol):
    """A space whose networks can share weights."""

    @property
    def in_channels(self) -> int:
        """Channels of the images that the networks take."""

    def built(self, architecture: Architecture) -> tuple[bool, ...]:
        """Tell for each decision whether ``build`` puts its choice into the network.

        Where not, a supernet computes nothing, and the place gives None.
        """


@runtime_checkable
class NetworkSpace(Sharable, Protocol):
    """A space that can put all its candidates into one network."""

    def network(self, choose: Choose) -> nn.Module:
        """Build the network with what ``choose`` gives at each place of a decision."""


@runtime_checkable
class Growing(NetworkSpace, Costed, Readable, Protocol):
    """A space of generators that are searched stage by stage, as AutoGAN does.

    Attributes:
        stages: Cells of a generator; each doubles the side of the images.
        latent: Values from which an image is made.
        side: Side of the square images in pixels.
    """

    stages: int
    latent: int
    side: int

    def grown(self, stages: int) -> Self:
        """Return the space of the first ``stages`` cells alone, its decisions the first of these.

        Raises:
            ValueError: more stages than there are.
        """


@runtime_checkable
class Restriction(Listable, Protocol):
    """The architectures of a whole space that use some of its choices, as a space.

    Its decisions are those of the whole space with fewer choices, counted anew.
    """

    @property
    def choices(self) -> Choices:
        """The choices that are left of each decision, by the indices of the whole space."""

    def widen(self, architecture: Architecture) -> Architecture:
        """Return the same architecture by the indices of the whole space."""

    def narrow(self, architecture: Architecture) -> Architecture:
        """Undo ``widen``; raises ``ValueError`` for a choice that is not left."""


@runtime_checkable
class Restrictable(SearchSpace, Protocol):
    """A space from which choices can be dropped."""

    def restricted(self, choices: Sequence[Sequence[int]]) -> Restriction:
        """Return the space of the architectures that use only these choices.

        Args:
            choices: for each decision the indices that are left.

        Raises:
            ValueError: no choice for a decision, one that it does not have, or choices of which
                the space has no network.
        """

    def operations(self, choices: Choices) -> Choices:
        """Return those of the choices that stand for something to compute or to pass on.

        Such a choice can be dropped as long as its decision has another one.
        """


def name_of(function: object) -> str:
    """Name a function, class or :func:`functools.partial` of one, the same in every process."""
    if isinstance(function, partial):
        settings = [repr(value) for value in function.args]
        settings += [f"{key}={value!r}" for key, value in sorted(function.keywords.items())]
        return f"{name_of(function.func)}({', '.join(settings)})"
    return getattr(function, "__qualname__", type(function).__qualname__)
