"""Which sum of scores ranks the best networks of NAS-Bench-201, and what it finds among all.

    python -m benchmarks.metrics.zero_cost_top --table nb201.csv scores.jsonl [...]

Scores are those that ``zero_cost.py score`` wrote, of its 1,000 random networks, and, with
``--supernets``, the mean rank of candidates' angle and of negative loss of the three supernets
that ``nb201_supernets.py run`` left. Every sum of the ranks of one to three of them is tried on
500 of the networks; that with the largest tau within the best fifth by CIFAR-10 accuracy is shown
on the other 500, and on as many networks beyond the 1,000, in their random order, as its scores
have come to, by the ranks among the 500, as the mean over the seeds. Counts that rank as
``live_macs`` does are left out.
"""

from collections.abc import Sequence
from itertools import combinations
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from benchmarks import ledger
from benchmarks.metrics.zero_cost import (
    TRUTH,
    agreement,
    complete,
    computed,
    drawn,
    ranking_table,
    read_scores,
    read_truth,
    representatives,
    show,
)
from benchmarks.metrics.zero_cost_fit import ranks_among
from nascence.core.resumable import load_checkpoint
from nascence.metrics import kendall_tau, top_kendall_tau
from nascence.spaces import NB201, Architecture
from nascence.supernets import AngleEvaluator, SuperNet

LEFT_OUT = ("macs", "parameters")
PART = 500


def of_supernets(folder: Path, cells: list[Architecture]) -> dict[str, NDArray]:
    """Mean rank over three supernets of the candidates' angle and of negative loss."""
    small = NB201(width=8, cells=1)
    means: dict[str, NDArray] = {}
    for seed in (0, 1, 2):
        content = load_checkpoint(folder / f"supernet-{seed}.pt")
        initial, current = SuperNet(small), SuperNet(small)
        initial.load_state_dict(content["initial"])
        current.load_state_dict(content["trained"])
        angle = AngleEvaluator(initial, current, convention="candidates")
        places = [small.index(cell) for cell in cells]
        loss = load_checkpoint(folder / f"scores-{seed}-1.pt")["negative loss"][places]
        found = {"angle": angle.many(torch.tensor(cells)).numpy(), "negative loss": loss.numpy()}
        for name, values in found.items():
            means[name] = means.get(name, np.zeros(len(cells))) + ranks_among(values, values) / 3
    return means


def chosen_sums(
    ranks: dict[str, NDArray], truth: NDArray, part: NDArray
) -> list[tuple[float, float, tuple[str, ...]]]:
    """Tau within the best fifth, tau and names of every sum of one to three, best first."""
    found = []
    for size in (1, 2, 3):
        for names in combinations(ranks, size):
            total = summed(ranks, names)[part]
            top = top_kendall_tau(total, truth[part], fraction=0.2)
            found.append((top, kendall_tau(total, truth[part]), names))
    return sorted(found, reverse=True)


def scored(
    known: dict[tuple[str, int, Architecture], float], names: tuple[str, ...]
) -> list[Architecture]:
    """The first networks of the random order that have all of some scores."""
    order = drawn()
    for place, cell in enumerate(order):
        if not all((name, 0, representatives()[computed(cell)]) in known for name in names):
            return order[:place]
    return order


def first_of(scores: NDArray, truth: dict[str, NDArray], count: int) -> str:
    """True accuracies of the network with the best score, and of the best among ``count``."""
    order = np.argsort(-scores, kind="stable")[:count]
    first = "/".join(f"{values[order[0]]:.2f}" for values in truth.values())
    return f"{first}; of {count}: " + "/".join(f"{v[order].max():.2f}" for v in truth.values())


def main(words: Sequence[str] | None = None) -> None:
    parser = ledger.parser(__doc__)
    parser.add_argument("scores", type=Path, nargs="+", help="files that zero_cost.py score wrote")
    parser.add_argument("--table", type=Path, required=True, help="nb201.csv")
    parser.add_argument("--supernets", type=Path, help="folder of nb201_supernets.py")
    options = ledger.parse(parser, words)
    cells, truth = read_truth(options.table)
    known = read_scores(options.scores)
    places, names, scores = complete(cells, known)
    sample = {name: scores[:, i] for i, name in enumerate(names) if name not in LEFT_OUT}
    if options.supernets:
        means = of_supernets(options.supernets, cells)
        sample |= {name: values[places] for name, values in means.items()}
    order = np.random.default_rng(0).permutation(len(places))
    part, rest = order[:PART], order[PART:]
    accuracies = {name: truth[name][places] for name in TRUTH}
    ranks = {name: ranks_among(values, values[part]) for name, values in sample.items()}
    sums = chosen_sums(ranks, accuracies["C10"], part)
    best = sums[0][2]
    with ledger.Report(options) as report:
        first = report.table(
            f"The best of {len(sums)} sums of ranks on {PART} networks, CIFAR-10",
            "sum",
            ("tau in the best fifth", "", "higher"),
            ("tau", "", "higher"),
        )
        for top, tau, which in sums[:8]:
            first.row(" + ".join(which), f"{top:.3f}", f"{tau:.3f}")
        table = ranking_table(report, "On the rest of the 1,000")
        singles = [(name,) for name in ("channel_independence", "synflow", "live_macs")]
        for which in dict.fromkeys([best, *singles, *((name,) for name in ranks)]):
            total = summed(ranks, which)[rest]
            rows = [[agreement(total, values[rest]) for values in accuracies.values()]]
            show(table, " + ".join(which), rows)
        if set(best) <= set(names):
            show_others(report, cells, truth, known, best, part)


def summed(ranks: dict[str, NDArray], names: tuple[str, ...]) -> NDArray:
    """The sum of some ranks."""
    return np.sum([ranks[name] for name in names], axis=0)


def show_others(
    report: ledger.Report,
    cells: list[Architecture],
    truth: dict[str, NDArray],
    known: dict[tuple[str, int, Architecture], float],
    best: tuple[str, ...],
    part: NDArray,
) -> None:
    """Show how a sum and its scores rank the networks that are not among the 1,000."""
    place, sample = {cell: index for index, cell in enumerate(cells)}, drawn(1000)
    many = [cell for cell in scored(known, best) if cell not in set(sample)]
    of_many = {name: value[[place[cell] for cell in many]] for name, value in truth.items()}
    accuracies = list(of_many.values())

    def column(name: str, seed: int, chosen: list[Architecture]) -> NDArray:
        """Scores of a seed, or of seed 0 where there is no other."""
        distinct = [representatives()[computed(cell)] for cell in chosen]
        return np.array([known.get((name, seed, c), known[name, 0, c]) for c in distinct])

    table = ranking_table(report, f"On {len(many):,} networks that are not among the 1,000")
    chosen = report.table("True accuracies of what each score puts first", "score", "first")
    live = np.array([NB201().macs(cell) for cell in many], dtype=float)
    show(table, "live_macs", [[agreement(live, accuracy) for accuracy in accuracies]])
    chosen.row("live_macs", first_of(live, of_many, 50))
    for which in [best, *((name,) for name in best if len(best) > 1)]:
        rows = []
        for seed in sorted({seed for name, seed, _ in known if name in which}):
            ranks = {
                name: ranks_among(column(name, seed, many), column(name, seed, sample)[part])
                for name in which
            }
            total = summed(ranks, which) if len(which) > 1 else column(which[0], seed, many)
            rows.append([agreement(total, accuracy) for accuracy in accuracies])
            chosen.row(f"{' + '.join(which)}, seed {seed}", first_of(total, of_many, 50))
        show(table, f"{' + '.join(which)}, {len(rows)} seeds", rows)


if __name__ == "__main__":
    main()
