"""Spaces whose candidates can stand side by side in one network, and what is left of them."""

import copy
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

    Attributes:
        width: channels from which all others follow, where the space has one such number.
        auxiliary: whether the network gives a second output in training.
    """

    width: Any = None
    auxiliary: bool = False

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

    def narrowed(self, parts: int) -> Self:
        """Return the space with a width of 1 of ``parts``: the same places, fewer channels.

        Raises:
            ValueError: no one width in channels, or parts that do not divide it.
        """
        width = self.width
        if isinstance(width, bool) or not isinstance(width, int):
            raise ValueError(
                f"partial channels need a space of cells with one width, and that of "
                f"{type(self).__name__} is {width!r}; use SmallSpace, NB201 or Darts"
            )
        if parts < 2 or width % parts or width // parts < 2:
            raise ValueError(
                f"{parts} parts of {width} channels; parts must be 2 or more, divide the width, "
                "and leave 2 channels or more"
            )
        narrow = copy.copy(self)
        narrow.width = width // parts
        return narrow

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
        self.auxiliary = space.auxiliary

    def network(self, choose: Choose) -> nn.Module:
        """Build the whole space's network with builders of what is left alone."""
        left = dict(zip((name for name, _ in self.decisions), self.choices, strict=True))

        def among(name: str, builders: Sequence[Callable[[], nn.Module]]) -> nn.Module:
            return choose(name, [builders[index] for index in left[name]])

        return self.space.network(among)
