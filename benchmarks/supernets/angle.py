"""How angle and accuracy from one supernet rank, shrink and search NAS-Bench-201.

    python -m benchmarks.supernets.angle train --data cifar10-train.parquet --out angle
    python -m benchmarks.supernets.angle score --data cifar10-train.parquet --out angle
    python -m benchmarks.supernets.angle shrink --data cifar10-train.parquet --out angle --seeds 0
    python -m benchmarks.supernets.angle report --table nb201.csv --out angle

``train`` keeps supernets with true labels, with random ones and with random ones of few images at
10, 30 and 100 % of their training.
``score`` keeps the re-calibrated accuracies and losses of ``--sample`` random networks, and at the
end of a training of all that SPOS's evolution asks for. ``shrink`` trains between the drops, as
published. All three go on with what ``--out`` lacks. ``report`` prints means over seeds: Kendall's
tau with the true accuracies on three data sets, of the angle over all networks, of the accuracy and
its sums with the angle on the sample; what is left after shrinking to a tenth; and the true
accuracies of what evolution finds.
"""

import argparse
import csv
from collections import defaultdict
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional

from benchmarks import ledger
from benchmarks.supernets.angle_shrinking import (
    EVERYTHING,
    TENTH,
    WAYS,
    by_chance,
    inside_of,
    left,
    mean_of,
)
from benchmarks.supernets.angle_supernets import (
    KINDS,
    PARTS,
    SIDE,
    SPACE,
    initial_supernet,
    kept_path,
    labelled,
    read_kept,
    train_kept,
)
from nascence.data import Dataset
from nascence.metrics import kendall_tau
from nascence.metrics.angle import CONVENTIONS
from nascence.params import load_checkpoint, save_checkpoint
from nascence.search import CrossoverEvolution, search
from nascence.spaces import Architecture
from nascence.supernets import (
    AngleEvaluator,
    OneShotEvaluator,
    SuperNet,
    restricted_paths,
    shrink,
    train_supernet,
)

TRUTHS = {"CIFAR-10": "c10_test_200", "CIFAR-100": "c100_test_200", "ImageNet16": "in16_test_200"}
NOTHING_OF_NORM = CONVENTIONS["rlnas"]._replace(name="without BatchNorm", norm=False)
TRIALS = 500
IMAGES = 250
Row = dict[str, list[float]]


def train_all(arguments: argparse.Namespace) -> None:
    """Train what ``--out`` lacks: every kind of labels of one seed, then the next seed."""
    data = ledger.cifar10(arguments.data, SIDE, cache=arguments.out)
    for seed in arguments.seeds:
        for kind in KINDS:
            train_kept(data, kind, seed, steps=arguments.steps, out=arguments.out)


def sample_of(size: int) -> list[int]:
    """Places of a fixed random sample, the same as that of ``nb201_supernets.py``."""
    order = torch.randperm(SPACE.size, generator=torch.Generator().manual_seed(0))
    return sorted(order[:size].tolist())


def evaluator_of(supernet: SuperNet, data: Dataset, kind: str) -> OneShotEvaluator:
    """Score by validation images; with random labels, which those lack, by training images."""
    split = data.validation if kind == "true" else data.train
    last = data.train.images
    batches = [data.normalise(last[-64:]), data.normalise(last[-128:-64])]
    images = data.normalise(split.images[:IMAGES])
    return OneShotEvaluator(
        supernet, images, split.labels[:IMAGES], measure="loss", recalibration=batches
    )


def score(arguments: argparse.Namespace) -> None:
    """Accuracies and losses of the sample, those of the end of every training first."""
    data = ledger.cifar10(arguments.data, SIDE, cache=arguments.out)
    for part in reversed(PARTS):
        for kind in KINDS:
            for seed in arguments.seeds:
                path = kept_path(arguments.out, kind, seed, part)
                target = path.with_name(path.name.replace("supernet", "scores"))
                if not path.exists() or target.exists():
                    continue
                current = read_kept(arguments.out, kind, seed, part).current
                found = scored(current, labelled(data, kind, seed), kind, seed, part, arguments)
                save_checkpoint(target, found)
                print(target.name, flush=True)


def scored(
    supernet: SuperNet,
    data: Dataset,
    kind: str,
    seed: int,
    part: float,
    arguments: argparse.Namespace,
) -> dict:
    """Scores of one supernet, as they are kept."""
    evaluate = evaluator_of(supernet, data, kind)
    labels = torch.cat(evaluate.labels)
    known: dict[Architecture, tuple[float, float]] = {}

    def accuracy(architecture: Architecture) -> float:
        path = SPACE.canonical(architecture)
        if path not in known:
            logits = evaluate.logits(path)
            right = (logits.argmax(1) == labels).double().mean()
            known[path] = float(right), -float(functional.cross_entropy(logits, labels))
        return known[path][0]

    places = sample_of(arguments.sample)
    for place in places:
        accuracy(SPACE.architecture(place))
    both = torch.tensor([known[SPACE.canonical(SPACE.architecture(place))] for place in places])
    found = {"places": places, "accuracy": both[:, 0], "negative loss": both[:, 1]}
    if part == 1:
        strategy = CrossoverEvolution(SPACE, generator=torch.Generator().manual_seed(seed))
        best = search(strategy, accuracy, trials=arguments.trials).best.architecture
        found["found"] = SPACE.index(best)
    return found


def shrink_trained(arguments: argparse.Namespace) -> None:
    """The published procedure: train, drop two, train on, until a tenth is left."""
    data = ledger.cifar10(arguments.data, SIDE, cache=arguments.out)
    for seed in arguments.seeds:
        target = arguments.out / f"shrunk-{seed}.pt"
        if target.exists():
            continue

        def step(supernet: SuperNet, number: int, seed: int = seed) -> SuperNet:
            return train_supernet(
                supernet,
                data,
                generator=torch.Generator().manual_seed(100 * seed + number),
                steps=arguments.later_steps if number else arguments.steps,
                sampler=restricted_paths,  # type: ignore[arg-type]
                learning_rate=0.025 if number else 0.1,
                weight_decay=5e-4,
                crop=2,
                checkpoint=arguments.out / f"shrinking-{seed}-{number}.pt",
            ).supernet

        result = shrink(
            initial_supernet(seed),
            step,
            generator=torch.Generator().manual_seed(seed),
            at_most=TENTH,
            drop=2,
            convention="rlnas",
        )
        choices = [list(held) for held in result.space.choices]
        save_checkpoint(target, {"choices": choices, "rounds": len(result.rounds)})


def read_truth(path: Path) -> dict[str, Tensor]:
    """Columns of the table in the order of the space."""
    with path.open() as file:
        rows = list(csv.DictReader(file))
    rows.sort(key=lambda row: SPACE.index(SPACE.parse(row["arch"])))
    names = {**TRUTHS, "MFLOPs": "mflops_c10", "parameters": "params"}
    return {
        name: torch.tensor([float(row[column]) for row in rows], dtype=torch.float64)
        for name, column in names.items()
    }


def ranks(scores: Tensor) -> Tensor:
    """Mean ranks, ties given their mean."""
    _, inverse, counts = torch.unique(scores, return_inverse=True, return_counts=True)
    return (counts.cumsum(0) - (counts - 1) / 2)[inverse]


def taus(scores: Tensor, truth: dict[str, Tensor], places: list[int] | None = None) -> list[float]:
    """Kendall's tau on three data sets; over all networks also in CIFAR-10's best fifth."""
    rows = slice(None) if places is None else places
    found = [kendall_tau(scores, truth[name][rows]) for name in TRUTHS]
    if places is None:
        best = truth["CIFAR-10"].argsort(descending=True)[: SPACE.size // 5]
        found.append(kendall_tau(scores[best], truth["CIFAR-10"][best]))
    return found


def found_by(
    evaluate: Callable[[Architecture], float], truth: dict[str, Tensor], *, seed: int
) -> list[float]:
    """True accuracies of the best network of SPOS's evolution."""
    strategy = CrossoverEvolution(SPACE, generator=torch.Generator().manual_seed(seed))
    best = search(strategy, evaluate, trials=TRIALS).best.architecture
    return [float(truth[name][SPACE.index(best)]) for name in TRUTHS]


def angle_rows(kept_initial: SuperNet, kept_current: SuperNet) -> dict[str, Tensor]:
    """Angles of all networks under every convention."""
    conventions = {**CONVENTIONS, "without BatchNorm": NOTHING_OF_NORM}
    return {
        name: AngleEvaluator(
            kept_initial,
            kept_current,
            convention=convention if name == "without BatchNorm" else name,
        ).many(EVERYTHING)
        for name, convention in conventions.items()
    }


def ranking_rows(angles: dict[str, Tensor], scores: dict, truth: dict[str, Tensor]) -> Row:
    """Tau of every score of one supernet."""
    found: Row = {f"angle, {name}": taus(each, truth) for name, each in angles.items()}
    if not scores:
        return found
    places = scores["places"]
    for name in ("rlnas", "candidates"):
        found[f"angle, {name}, on the sample"] = taus(angles[name][places], truth, places)
    for measure in ("accuracy", "negative loss"):
        found[measure] = taus(scores[measure], truth, places)
        for name in ("rlnas", "candidates"):
            both = ranks(scores[measure]) + ranks(angles[name][places])
            found[f"{measure} + angle, {name}"] = taus(both, truth, places)
    return found


def searching_rows(
    angles: dict[str, Tensor], scores: dict, truth: dict[str, Tensor], seed: int
) -> Row:
    """True accuracies of what evolution finds."""
    found: Row = {}
    for name in ("rlnas", "candidates"):
        known = angles[name]

        def angle(architecture: Architecture, known: Tensor = known) -> float:
            return float(known[SPACE.index(architecture)])

        found[f"evolution on the angle, {name}"] = found_by(angle, truth, seed=seed)
    if "found" in scores:
        place = scores["found"]
        found["evolution on accuracy"] = [float(truth[name][place]) for name in TRUTHS]
    return found


SHRUNK = (
    "by",
    "way",
    "networks left",
    ("mean accuracy left", "%", "higher"),
    ("share of the best 1 % kept", "", "higher"),
    "that share by seed",
)


class Tables(NamedTuple):
    """What the report shows."""

    ranks: ledger.Table
    found: ledger.Table
    shrunk: ledger.Table

    @classmethod
    def of(cls, report: ledger.Report) -> "Tables":
        """The empty tables of a report."""
        taus = [(name, "", "higher") for name in (*TRUTHS, "best fifth by CIFAR-10")]
        accuracies = [(name, "%", "higher") for name in (*TRUTHS, "")]
        head = ("labels", "part of the training", "score")
        return cls(
            report.table("Kendall's tau, mean ± sd", *head, *taus, "seed by seed"),
            report.table("What evolution finds", *head, *accuracies, "seed by seed"),
            report.table("Shrinking to a tenth", *SHRUNK),
        )


def show_rows(table: ledger.Table, head: Sequence[str], rows: Sequence[Row], digits: int) -> None:
    """Add means over seeds, and the first column of every seed."""
    for name in rows[0] if rows else ():
        values = [row[name] for row in rows]
        means = [ledger.spread(column, f".{digits}f") for column in zip(*values, strict=True)]
        first = ", ".join(f"{each[0]:.{digits}f}" for each in values)
        padded = [*means, *[""] * (4 - len(means))]
        table.row(*head, name, *padded, first)


def show_baselines(tables: Tables, truth: dict[str, Tensor], places: list[int]) -> None:
    """What FLOPs, parameters, chance and the truth itself do."""
    for name in ("MFLOPs", "parameters"):
        rows = {name: taus(truth[name], truth)}
        rows[f"{name}, on the sample"] = taus(truth[name][places], truth, places)
        show_rows(tables.ranks, ("none", ""), [rows], 3)
    whole = truth["CIFAR-10"]
    for name in ("MFLOPs", "CIFAR-10"):
        for way, drop in WAYS.items():
            tables.shrunk.row(name, way, *left(drop(truth[name]), whole), "")
    chance = [by_chance(whole, seed) for seed in range(100)]
    tables.shrunk.row("chance, seeds 0 to 2", "", *mean_of(chance[:3]), "")
    tables.shrunk.row("chance, 100 seeds", "", *mean_of(chance), "")


def report(arguments: argparse.Namespace) -> None:
    """Print the figures of the supernets that are kept."""
    truth = read_truth(arguments.table)
    whole = truth["CIFAR-10"]
    with ledger.Report(arguments) as report:
        show(Tables.of(report), arguments, truth, whole)


def show(
    tables: Tables, arguments: argparse.Namespace, truth: dict[str, Tensor], whole: Tensor
) -> None:
    """Fill the tables of the report."""
    show_baselines(tables, truth, sample_of(arguments.sample))
    for part in arguments.parts:
        for kind in KINDS:
            rankings, searches = [], []
            shrinkings = defaultdict(list)
            for seed in arguments.seeds:
                path = kept_path(arguments.out, kind, seed, part)
                if not path.exists():
                    continue
                kept = read_kept(arguments.out, kind, seed, part)
                target = path.with_name(path.name.replace("supernet", "scores"))
                scores = load_checkpoint(target) if target.exists() else {}
                angles = angle_rows(kept.initial, kept.current)
                rankings.append(ranking_rows(angles, scores, truth))
                if part < 1:
                    continue
                searches.append(searching_rows(angles, scores, truth, seed))
                for name, known in angles.items():
                    for way, drop in WAYS.items():
                        shrinkings[name, way].append(left(drop(known), whole))
            head = f"{kind}, {len(rankings)} seeds", f"{part:.0%}"
            show_rows(tables.ranks, head, rankings, 3)
            show_rows(tables.found, head, searches, 2)
            for (name, way), each in shrinkings.items():
                tops = ", ".join(f"{one.top:.3f}" for one in each)
                tables.shrunk.row(f"angle {name}, {kind} labels", way, *mean_of(each), tops)
    for path in sorted(arguments.out.glob("shrunk-*.pt")):
        content = load_checkpoint(path)
        figures = left(inside_of(content["choices"]), whole)
        rounds = f"{content['rounds']} rounds"
        tables.shrunk.row(f"trained between drops, {path.stem}", rounds, *figures, "")


def main(words: Sequence[str] | None = None) -> None:
    parser = ledger.parser(__doc__)
    runs = {"train": train_all, "score": score, "shrink": shrink_trained, "report": report}
    for name, command in ledger.commands(parser, runs).items():
        command.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
        command.add_argument("--out", type=Path, required=True)
        command.add_argument("--sample", type=int, default=400)
        command.add_argument("--trials", type=int, default=200, help="of evolution on accuracy")
        if name == "report":
            command.add_argument("--table", type=Path, required=True)
            command.add_argument("--parts", type=float, nargs="+", default=list(PARTS))
        else:
            command.add_argument("--data", type=Path, required=True)
        command.add_argument("--steps", type=int, default=1500 if name == "shrink" else 4000)
        command.add_argument("--later-steps", type=int, default=150, help="between drops")
    arguments = ledger.parse(parser, words)
    arguments.run(arguments)


if __name__ == "__main__":
    main()
