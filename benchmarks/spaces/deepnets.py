"""Node and parameter statistics of the DeepNets splits, and graphs per second.

    python -m benchmarks.spaces.deepnets
    python -m benchmarks.spaces.deepnets --beyond 1000

The second draws as many networks from each generator, also beyond the hundred of a split, so that
the mean is that of the generator and not of the hundred. Beside each figure stands the published
one (Knyazev et al., 2021; parameters recomputed from its released results), where there is one.
"""

import statistics
import time
from collections.abc import Sequence

from benchmarks import ledger
from nascence.spaces.deepnets import SPLITS, DeepNets

PUBLISHED = {
    "train": "192+-95 (35-681)",
    "test": "3.3 M (2.5-34.8)",
    "wide": "179, 51.6 M (38.8-101)",
    "deep": "391 (74-1017)",
    "dense": "355",
    "bn-free": "135",
}
COLUMNS = (
    "split",
    ("nodes", "mean ± sd", ""),
    "standard error",
    "range",
    ("parameters", "M", ""),
    ("graphs", "a CPU-second", "higher"),
    "published",
)


def main(words: Sequence[str] | None = None) -> None:
    parser = ledger.parser(__doc__)
    parser.add_argument("--networks", type=int, default=500, help="at most, for each split")
    parser.add_argument("--beyond", type=int, help="this many, whatever the size of the split")
    arguments = ledger.parse(parser, words)
    if arguments.beyond:
        arguments.networks = arguments.beyond
        SPLITS.update(dict.fromkeys(set(SPLITS) - {"predefined"}, arguments.beyond))
    with ledger.Report(arguments) as report:
        table = report.table("Networks of each split", *COLUMNS)
        for split in SPLITS:
            table.row(split, *statistics_of(split, arguments.networks), PUBLISHED.get(split))


def statistics_of(split: str, most: int) -> list[str]:
    """Nodes, parameters and graphs a second of a split's first networks."""
    networks = DeepNets(split)
    count = min(most, len(networks))
    start = time.process_time()
    graphs = [networks.graph(index) for index in range(count)]
    seconds = time.process_time() - start
    nodes = [len(graph) for graph in graphs]
    millions = [graph.parameter_count / 1e6 for graph in graphs]
    return [
        f"{statistics.mean(nodes):.0f} ± {statistics.pstdev(nodes):.0f}",
        f"{statistics.pstdev(nodes) / count**0.5:.0f}",
        f"{min(nodes)} to {max(nodes)}",
        f"{statistics.mean(millions):.1f} ({min(millions):.1f} to {max(millions):.1f})",
        f"{count / seconds:.0f}",
    ]


if __name__ == "__main__":
    main()
