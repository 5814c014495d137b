"""Supernets of NAS-Bench-201, one-shot and few-shot, against the accuracies of all 15,625 networks.

    python -m benchmarks.supernets.nb201 run --data cifar10-train.parquet --out supernets
    python -m benchmarks.supernets.nb201 report --table nb201.csv --out supernets

Supernets of width 8 with one cell a stage are trained on CIFAR-10 at 16 pixels; all networks (or
``--sample`` of them) are scored on 128 validation images. The one-shot supernet has T steps. Its
split at one edge (5 parts) and at two (25) trains each part for L more; at equal total cost every
kind has T + 25 L steps in all, with ``--late`` T + 20 L before the split and 5 L after it. What is
finished is kept in ``--out`` and not done again.
"""

import argparse
import csv
from collections.abc import Callable, Container, Sequence
from pathlib import Path

import torch
from torch import Tensor, nn

from benchmarks import ledger
from benchmarks.supernets.runs import (
    Runs,
    accuracy_and_loss,
    columns,
    figures,
    show_figures,
    show_kept,
)
from nascence.data import Dataset
from nascence.spaces import NB201, Architecture
from nascence.supernets import FewShotEvaluator, SuperNet

SPACE = NB201(width=8, cells=1)
SIDE = 16
BATCH = 64
IMAGES = 128
EDGES = ("edge_0_1", "edge_0_2")
Pair = tuple[float, float]


@torch.no_grad()
def scores_of(
    sub_supernet: SuperNet, images: Tensor, labels: Tensor, wanted: Container[Architecture]
) -> dict[Architecture, Pair]:
    """Accuracy and negative loss of the ``wanted``; equal paths are computed once.

    Whatever the first cell can give is put together from the outputs of its edges, each of which
    is computed once: stem and first cell are half of the cost, and the same for many.
    """
    edges = {mixed.decision: mixed.candidates for mixed in sub_supernet.operations()[:6]}
    held = dict(zip((name for name, _ in SPACE.decisions), sub_supernet.choices, strict=True))
    stem, rest = (
        sub_supernet.network.get_submodule("stem")(images),
        after_first_cell(sub_supernet, labels),
    )
    known: dict[tuple[int | None, ...], Pair] = {}
    scores: dict[Architecture, Pair] = {}

    def through(edge: str, x: Tensor) -> dict[int, Tensor]:
        return {index: edges[edge][str(index)](x) for index in held[edge]}

    to_one, to_two, to_three = (through(f"edge_0_{n}", stem) for n in (1, 2, 3))
    for a, one in to_one.items():
        one_to_two, one_to_three = through("edge_1_2", one), through("edge_1_3", one)
        for b, c in ((b, c) for b in to_two for c in one_to_two):
            two_to_three = through("edge_2_3", to_two[b] + one_to_two[c])
            for d in to_three:
                for e in one_to_three:
                    before = to_three[d] + one_to_three[e]
                    for f, last in two_to_three.items():
                        architecture = (a, b, c, d, e, f)
                        if architecture not in wanted:
                            continue
                        path = sub_supernet.path(architecture)
                        if path not in known:
                            known[path] = rest(before + last, architecture)
                        scores[architecture] = known[path]
    return scores


def after_first_cell(
    sub_supernet: SuperNet, labels: Tensor
) -> Callable[[Tensor, Architecture], Pair]:
    """Return what computes accuracy and negative loss from the output of the first cell."""
    network = sub_supernet.network
    shortened = sub_supernet.restrict(sub_supernet.choices)
    cells = list(network.get_submodule("cells").children())
    shortened.network = nn.Sequential(*cells[1:], *list(network.children())[2:])

    def rest(x: Tensor, architecture: Architecture) -> Pair:
        return accuracy_and_loss(shortened(x, architecture), labels)

    return rest


def score(
    sub_supernets: list[SuperNet], data: Dataset, wanted: Sequence[Architecture]
) -> dict[str, Tensor]:
    """Score architectures; twenty of them are compared with the evaluator."""
    images = data.normalise(data.validation.images[:IMAGES])
    images, labels = images.to(memory_format=torch.channels_last), data.validation.labels[:IMAGES]
    scores: dict[Architecture, Pair] = {}
    for sub_supernet in sub_supernets:
        scores |= scores_of(sub_supernet.eval(), images, labels, frozenset(wanted))
    generator = torch.Generator().manual_seed(0)
    evaluate = FewShotEvaluator(sub_supernets, images, labels, measure="loss", batch_size=IMAGES)
    for place in torch.randperm(len(wanted), generator=generator)[:20].tolist():
        architecture = wanted[place]
        found, expected = scores[architecture][1], evaluate(architecture)
        if abs(found - expected) > 1e-3 * abs(expected):
            raise AssertionError(f"{architecture} scores {found}, alone {expected}")
    return columns([scores[architecture] for architecture in wanted])


def chosen(sample: int | None) -> list[int]:
    """Places in the space of the architectures that are scored: all, or a fixed random sample."""
    if sample is None:
        return list(range(SPACE.size))
    order = torch.randperm(SPACE.size, generator=torch.Generator().manual_seed(0))
    return sorted(order[:sample].tolist())


def run(arguments: argparse.Namespace) -> None:
    """Train and score what ``--out`` lacks; every kind of one seed before the next."""
    data = ledger.cifar10(arguments.data, SIDE, cache=arguments.out)
    base, leaf = arguments.steps, arguments.leaf_steps
    wanted = [SPACE.architecture(place) for place in chosen(arguments.sample)]
    first = base + 20 * leaf if arguments.late else base
    for seed in arguments.seeds:
        runs = Runs(
            SPACE,
            data,
            out=arguments.out,
            seed=seed,
            base=first,
            score=lambda sub_supernets: score(sub_supernets, data, wanted),
            suffix="" if arguments.sample is None else f"-of-{arguments.sample}",
            settings={
                "batch_size": BATCH,
                "crop": 2,
                "learning_rate": arguments.learning_rate,
            },
        )
        if arguments.late:
            runs.few_shot("5 split late", EDGES[:1], leaf)
            runs.few_shot("25 split late", EDGES, leaf // 5)
            continue
        runs.one_shot("1", base)
        runs.few_shot("25", EDGES, leaf)
        runs.one_shot("1 at equal total", base + 25 * leaf)
        runs.few_shot("5 at equal total", EDGES[:1], 5 * leaf)
        runs.few_shot("5", EDGES[:1], leaf)


def read_table(path: Path) -> dict[str, list[float]]:
    """Columns of the table in the order of the space."""
    with path.open() as file:
        rows = list(csv.DictReader(file))
    rows.sort(key=lambda row: SPACE.index(SPACE.parse(row["arch"])))
    names = ("c10_test_200", "mflops_c10", "params", "fs_oneshot_c10", "fs_fewshot_c10")
    return {name: [float(row[name]) for row in rows] for name in names}


def report(arguments: argparse.Namespace) -> None:
    """Print the figures of every scoring, of FLOPs and parameters, and of the released scores."""
    known = read_table(arguments.table)
    places = chosen(arguments.sample)
    known = {name: [column[place] for place in places] for name, column in known.items()}
    truth = known.pop("c10_test_200")
    with ledger.Report(arguments) as report:
        show_figures(report, {name: figures(scores, truth) for name, scores in known.items()})
        show_kept(report, arguments.out, lambda scores: scores.tolist(), truth)


def main(words: Sequence[str] | None = None) -> None:
    parser = ledger.parser(__doc__)
    first, second = ledger.run_and_report(parser, run, report)
    first.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    first.add_argument("--steps", type=int, default=1500, help="T, of the one-shot supernet")
    first.add_argument("--leaf-steps", type=int, default=100, help="L, of each of 25 parts")
    first.add_argument("--learning-rate", type=float, default=0.1)
    first.add_argument("--late", action="store_true", help="only the late splits")
    second.add_argument("--table", type=Path, required=True)
    for command in (first, second):
        command.add_argument("--sample", type=int, help="score so many, drawn at random")
    parsed = ledger.parse(parser, words)
    parsed.run(parsed)


if __name__ == "__main__":
    main()
