"""Spaces whose candidates can stand side by side in one network, and what is left of them."""

from abc import abstractmethod
from collections.abc import Callable, Sequence
from typing import Any, Self

from torch import nn

from nascence.spaces.costed import CostedSpace, Restricted
from nascence.spaces.decisions import Architecture
from nascence.spaces.space import Choose, Zero


class CandidateSpace(CostedSpace):
    """A space that defines its network once, for all that may stand at each place.

    A new space of this kind writes three things: its decisions, ``description`` and ``network``.
    From them follow building, supernets, splitting, weights of choices, angles and costs.
    """

    @abstractmethod
    def network(self, choose: Choose) -> nn.Module:
        """Build the network with what ``choose`` gives at each place of a decision."""

    @classmethod
    def for_images(
        cls, image_shape: tuple[int, int, int], *, classes: int, **settings: Any
    ) -> Self:
        """Return the space whose networks classify images of one shape.

        Args:
            image_shape: channels, height and width, in pixels.
            classes: of the classifier.
            settings: further ones of the class.

        Raises:
            TypeError: a setting that the class does not have.
        """
        make: Any = cls
        return make(classes=classes, in_channels=image_shape[0], **settings)

    def build(self, architecture: Architecture) -> nn.Module:
        """Build the network, with PyTorch's initialisation from the global generator."""
        return self.network(self.chooser(architecture))

    def chooser(self, architecture: Architecture) -> Choose:
        """Return what puts the choices of an architecture into :meth:`network`.

        Where a choice has no effect (see :meth:`built`), it puts a :class:`Zero`.
        """
        chosen = {
            decision.name: index if there else None
            for index, there, decision in zip(
                architecture, self.built(architecture), self.decisions, strict=True
            )
        }

        def choose(name: str, builders: Sequence[Callable[[], nn.Module]]) -> nn.Module:
            index = chosen[name]
            return Zero() if index is None else builders[index]()

        return choose

    def restricted(self, choices: Sequence[Sequence[int]]) -> "RestrictedCandidates":
        """Return the space of the architectures that use only these choices.

        Args:
            choices: for each decision the indices that are left.

        Raises:
            ValueError: no choice for a decision, one that it does not have, or choices of which
                the space has no network.
        """
        return RestrictedCandidates(self, choices)


class RestrictedCandidates(Restricted, CandidateSpace):
    """What is left of a :class:`CandidateSpace`: a supernet of it holds nothing else.

    Args:
        space: the whole space.
        choices: for each decision the indices that are left.
    """

    space: CandidateSpace

    def __init__(self, space: CandidateSpace, choices: Sequence[Sequence[int]]) -> None:
        super().__init__(space, choices)

    def network(self, choose: Choose) -> nn.Module:
        """Build the whole space's network with builders of what is left alone."""
        left = dict(zip((name for name, _ in self.decisions), self.choices, strict=True))

        def among(name: str, builders: Sequence[Callable[[], nn.Module]]) -> nn.Module:
            return choose(name, [builders[index] for index in left[name]])

        return self.space.network(among)
