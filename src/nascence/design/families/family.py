"""What a run needs from a family of networks."""

from collections.abc import Mapping
from typing import Any, Protocol

from torch import nn

from nascence.design.results import SearchResult, TrainingPlan
from nascence.design.run import Run
from nascence.training import Training


class Family(Protocol):
    """A kind of network that a run can search, train and read back.

    Attributes:
        optimizers: What can train it, the one that is taken by default first.
        starts: Where its training can start.
        why_random: A sentence for the report on why it starts at random unless told otherwise.
    """

    optimizers: tuple[str, ...]
    starts: tuple[str, ...]
    why_random: str

    def search(self, run: Run) -> SearchResult:
        """Choose an architecture within the limits of the run.

        Raises:
            LimitError: No architecture keeps to the limits.
        """

    def build(self, run: Run, found: SearchResult) -> nn.Module:
        """Build the chosen network, with weights that depend only on the seed."""

    def plan(self, run: Run, model: nn.Module, seconds: float) -> TrainingPlan:
        """Measure how many steps of training fit into ``seconds`` on this machine."""

    def train(self, run: Run, model: nn.Module, plan: TrainingPlan) -> Training:
        """Train the network as planned; what is returned can be folded and exported."""

    def describe(self, run: Run, found: SearchResult) -> dict[str, str]:
        """What :meth:`load` must know, as metadata of a file of weights."""

    def load(self, metadata: Mapping[str, str]) -> nn.Module:
        """A network of the architecture that a file of weights describes, with other weights."""

    def cell_edges(self, decisions: Mapping[str, Any]) -> tuple[tuple[int, int, str], ...]:
        """(from node, to node, operation) of every edge to draw; none where nothing is drawn."""

    def skeleton(self, decisions: Mapping[str, Any], side: int) -> tuple[str, ...]:
        """Describe the network in words, from images of ``side`` pixels to classes."""
