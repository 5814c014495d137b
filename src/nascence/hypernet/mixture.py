"""Networks of several kinds for one meta-training: those that users train beside DeepNets-1M."""

from collections.abc import Mapping
from itertools import accumulate
from random import Random

from nascence.graph import Graph
from nascence.hypernet.draws import Network, Networks


class Mixture:
    """Networks of several sources: each draw takes a source by its share, and a network of it.

    Args:
        sources: The share of every source of networks; the shares need not add up to 1.

    Raises:
        ValueError: There is no source, or a share is not positive.
    """

    def __init__(self, sources: Mapping[Networks, float]) -> None:
        if not sources or min(sources.values()) <= 0:
            raise ValueError(
                f"shares are {list(sources.values())}; give at least one, all above zero"
            )
        self._sources = list(sources)
        self._ends = list(accumulate(sources.values()))

    def __len__(self) -> int:
        """How many draws there are."""
        return 2**31

    def __call__(self, index: int) -> tuple[Graph, Network]:
        """Graph and network of draw ``index``."""
        random = Random(f"mixture {index}")
        source = random.choices(self._sources, cum_weights=self._ends)[0]
        return source(random.randrange(1_000_000))
