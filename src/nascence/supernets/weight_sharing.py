"""What all supernets have in common: networks of one space that share weights."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Literal, Self, TypeVar

from torch import Tensor, nn

from nascence.spaces.decisions import Architecture, Choices, check_architecture, check_choices
from nascence.spaces.space import Sharable

Statistics = Literal["batch", "tracked"]


class WeightSharing(nn.Module, ABC):
    """Networks of one space with shared weights: what splitting, training and scoring need.

    How weights are shared is the subclass's: :class:`SuperNet` has a module for every candidate,
    :class:`ElasticSuperNet` slices one.

    Attributes:
        space: whose networks these are.
        choices: for each decision the indices of the choices that it holds.
        statistics: of BatchNorm: ``"batch"``, or ``"tracked"``, which belong to no path and are
            measured anew for each.
    """

    space: Sharable
    choices: Choices
    statistics: Statistics

    @abstractmethod
    def forward(self, images: Tensor, choice: Architecture) -> Tensor:
        """Compute one path: ``(B, C, H, W)`` to ``(B, classes)``."""

    @abstractmethod
    def extract(self, architecture: Architecture) -> nn.Module:
        """Return one path as a plain network named as ``space.build(architecture)``."""

    @abstractmethod
    def restrict(self, choices: Sequence[Sequence[int]]) -> Self:
        """Return a copy that holds only these choices of each decision, with equal weights.

        Raises:
            ValueError: choices that are not held, or none for a decision.
        """

    @abstractmethod
    def shared_parameters(self, decision: str) -> list[nn.Parameter]:
        """Return the parameters that do not belong to a single choice of this decision."""

    def check(self, architecture: Architecture) -> Architecture:
        """Return the architecture as a tuple, or raise ``ValueError`` if it is not held."""
        architecture = check_architecture(architecture, self.space.decisions)
        for index, held, decision in zip(
            architecture, self.choices, self.space.decisions, strict=True
        ):
            if index not in held:
                names = ", ".join(str(decision.choices[each]) for each in held)
                raise ValueError(
                    f"decision {decision.name!r} is {decision.choices[index]!r}, and this "
                    f"sub-supernet holds only {names}; ask the one that holds it"
                )
        return architecture

    def path(self, architecture: Architecture) -> tuple[int | None, ...]:
        """Return the choices that an architecture computes, None where it computes nothing.

        Equal paths compute the same.
        """
        architecture = self.check(architecture)
        built = self.space.built(architecture)
        return tuple(
            index if there else None for index, there in zip(architecture, built, strict=True)
        )

    def _kept(self, choices: Sequence[Sequence[int]]) -> Choices:
        """Return the choices to restrict to, in order, or raise ``ValueError``."""
        return check_choices(choices, self.space.decisions, held=self.choices)


AnySuperNet = TypeVar("AnySuperNet", bound=WeightSharing)
