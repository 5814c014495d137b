"""What the jobs share that train a supernet, whole or split."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, TypeVar

from nascence import registry
from nascence.core.files import write_whole
from nascence.gan import GanSearchError
from nascence.gradient import GradientSearchError
from nascence.jobs.job import NamedJob
from nascence.jobs.names import check_settings
from nascence.supernets import ElasticSuperNet, SuperNet, split

HISTORY = "history.json"
Net = TypeVar("Net", SuperNet, ElasticSuperNet)


@dataclass(frozen=True, kw_only=True)
class SupernetJob(NamedJob):
    """A search that trains a supernet; see also `nascence.jobs.job.NamedJob`.

    Attributes:
        split: Names of decisions at which the supernet is split; none leaves it whole.
    """

    split: tuple[str, ...] = ()

    def method(self, kind: str, *loops: Callable[..., Any]) -> Callable[..., Any]:
        """Return the strategy of a kind, having checked the settings.

        Args:
            kind: Kind of strategy, as in the registry.
            loops: What the strategy hands on the settings to that it does not take itself.

        Raises:
            ValueError: An unknown strategy or setting.
        """
        found: Callable[..., Any] = registry.find(self.strategy, kind).load()
        check_settings(self.strategy, found, *loops, self.settings)
        return found

    def parts(self, whole: Net) -> list[Net]:
        """Return the sub-supernets, or the supernet itself where nothing is to be split."""
        return split(whole, list(self.split)) if self.split else [whole]

    @contextmanager
    def failures_kept(self) -> Iterator[None]:
        """Write the history of a search that fails before the error goes on."""
        try:
            yield
        except (GanSearchError, GradientSearchError) as error:
            self.keep(error.history.to_json())
            raise

    def keep(self, history: str) -> None:
        """Write the history into the folder."""
        write_whole(self.out / HISTORY, history.encode())
