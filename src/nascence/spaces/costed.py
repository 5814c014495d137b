"""Spaces that know what their networks cost, and what is left of them when choices are dropped."""

import json
from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn

from nascence.graph import count_macs, count_parameters
from nascence.spaces.decisions import (
    Architecture,
    Choices,
    Decision,
    check_choices,
    check_weights,
)
from nascence.spaces.product import ProductSpace

COMPARED = 20_000
"""Architectures of a restricted space that are compared one by one."""


class CostedSpace(ProductSpace):
    """A space of networks with known costs, from which choices can be dropped.

    Costs are counted on the network, built without values; a space that can add them up instead
    is faster.

    Attributes:
        in_channels: channels of the images that the networks take.
        default_side: pixels of a side of the images for which costs are given by default.
    """

    in_channels: int = 3
    default_side: int = 32

    def parameters(self, architecture: Architecture) -> int:
        """Count the learnable values of the network that :meth:`build` gives."""
        with torch.device("meta"):
            return count_parameters(self.build(architecture))

    def macs(self, architecture: Architecture, *, side: int | None = None) -> int:
        """Count the multiply-adds of one image, as :func:`nascence.graph.count_macs` does.

        Args:
            architecture: of the network.
            side: side of the square image, in pixels; None is ``default_side``.
        """
        side = self.default_side if side is None else side
        with torch.device("meta"):
            images = torch.zeros(1, self.in_channels, side, side)
            return count_macs(self.build(architecture), images)

    def operations(self, choices: Choices) -> Choices:
        """Return those of the choices that can be dropped one by one: here all of them."""
        return choices

    def restricted(self, choices: Sequence[Sequence[int]]) -> "Restricted":
        """Return the space of the architectures that use only these choices.

        Args:
            choices: for each decision the indices that are left.

        Raises:
            ValueError: no choice for a decision, or one that it does not have.
        """
        return Restricted(self, choices)


class Restricted(CostedSpace):
    """The architectures of a space that use only some choices, as a space of its own.

    Its decisions are those of the whole space with fewer choices, counted anew: :meth:`widen` and
    :meth:`narrow` go between the two, and :meth:`scored` makes an evaluator of the whole space
    one of this. ``space.restricted(choices)`` makes one.

    Args:
        space: the whole space.
        choices: for each decision the indices that are left.

    Raises:
        ValueError: no choice for a decision, or one that the space does not have.
    """

    def __init__(self, space: CostedSpace, choices: Sequence[Sequence[int]]) -> None:
        self.space, self.choices = space, check_choices(choices, space.decisions)
        super().__init__(
            tuple(
                Decision(name, tuple(values[index] for index in indices))
                for indices, (name, values) in zip(self.choices, space.decisions, strict=True)
            )
        )
        self.in_channels, self.default_side = space.in_channels, space.default_side
        self.cell_graphs = space.cell_graphs
        self._canonical: dict[Architecture, Architecture] | None = None

    @property
    def description(self) -> str:
        """One line with the space and what is left of it."""
        return f"{self.space.description} with choices {json.dumps(self.choices)}"

    def widen(self, architecture: Architecture) -> Architecture:
        """Return the same architecture by the indices of the whole space."""
        architecture = super().check(architecture)
        return tuple(kept[index] for index, kept in zip(architecture, self.choices, strict=True))

    def narrow(self, architecture: Architecture) -> Architecture:
        """Undo :meth:`widen`; raises ``ValueError`` for a choice that is not left."""
        architecture = self.space.check(architecture)
        for index, kept, (name, values) in zip(
            architecture, self.choices, self.space.decisions, strict=True
        ):
            if index not in kept:
                left = ", ".join(str(values[each]) for each in kept)
                raise ValueError(f"{name} is {values[index]}, and what is left is {left}")
        return tuple(
            kept.index(index) for index, kept in zip(architecture, self.choices, strict=True)
        )

    def scored(self, evaluate: Callable[[Architecture], float]) -> Callable[[Architecture], float]:
        """Return the evaluator of this space that asks one of the whole space."""
        return lambda architecture: evaluate(self.widen(architecture))

    def check(self, architecture: Architecture) -> Architecture:
        """Return ``architecture`` as a tuple; raise ``ValueError`` where it is not of the space."""
        self.space.check(self.widen(architecture))
        return tuple(architecture)

    def neighbours(self, architecture: Architecture) -> list[Architecture]:
        """List those of the whole space's neighbours that are left."""
        whole = self.space.neighbours(self.widen(self.check(architecture)))
        return [self.narrow(each) for each in whole if self._left(each)]

    def crossover(
        self, first: Architecture, second: Architecture, *, generator: torch.Generator
    ) -> Architecture:
        """Mix two as the whole space does."""
        mixed = self.space.crossover(self.widen(first), self.widen(second), generator=generator)
        return self.narrow(mixed)

    def canonical(self, architecture: Architecture) -> Architecture:
        """Return the first of what is left that computes the same.

        Where more than :data:`COMPARED` are left they are not compared, and it is the whole
        space's own representative, if that is left, or else the architecture itself.
        """
        whole = self.space.canonical(self.widen(self.check(architecture)))
        if self.size > COMPARED:
            return self.narrow(whole) if self._left(whole) else tuple(architecture)
        if self._canonical is None:
            self._canonical = {}
            for each in self:
                self._canonical.setdefault(self.space.canonical(self.widen(each)), each)
        return self._canonical[whole]

    def derive(self, weights: Sequence[Tensor]) -> Architecture:
        """Choose by weights ``(choices left,)`` for each decision, as the whole space does."""
        check_weights(weights, self.decisions)
        full = []
        for vector, kept, (_, values) in zip(
            weights, self.choices, self.space.decisions, strict=True
        ):
            spread = torch.full((len(values),), torch.finfo(vector.dtype).min, dtype=vector.dtype)
            spread[list(kept)] = vector.detach()
            full.append(spread)
        return self.narrow(self.space.derive(full))

    def operations(self, choices: Choices) -> Choices:
        """Return those of the choices that the whole space can drop one by one."""
        wide = (
            tuple(kept[index] for index in indices)
            for indices, kept in zip(choices, self.choices, strict=True)
        )
        return tuple(
            tuple(kept.index(index) for index in indices)
            for indices, kept in zip(self.space.operations(tuple(wide)), self.choices, strict=True)
        )

    def build(self, architecture: Architecture) -> nn.Module:
        """Build the network, with PyTorch's initialisation from the global generator."""
        return self.space.build(self.widen(architecture))

    def built(self, architecture: Architecture) -> tuple[bool, ...]:
        """Tell for each decision whether :meth:`build` puts its choice into the network."""
        return self.space.built(self.widen(architecture))

    def format(self, architecture: Architecture) -> str:
        """Write the architecture as the whole space does."""
        return self.space.format(self.widen(architecture))

    def parse(self, text: str) -> Architecture:
        """Read what :meth:`format` writes."""
        return self.narrow(self.space.parse(text))

    def parameters(self, architecture: Architecture) -> int:
        """Count the learnable values, as the whole space does."""
        return self.space.parameters(self.widen(architecture))

    def macs(self, architecture: Architecture, *, side: int | None = None) -> int:
        """Count the multiply-adds of one image, as the whole space does."""
        return self.space.macs(self.widen(architecture), side=side)

    def _left(self, whole: Architecture) -> bool:
        return all(index in kept for index, kept in zip(whole, self.choices, strict=True))
