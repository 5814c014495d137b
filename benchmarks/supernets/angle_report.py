"""Tables of what angle and accuracy of kept supernets rank, shrink and find."""

import argparse
import csv
from collections import defaultdict
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor

from benchmarks import ledger
from benchmarks.supernets.angle_shrinking import (
    EVERYTHING,
    WAYS,
    by_chance,
    inside_of,
    left,
    mean_of,
)
from benchmarks.supernets.angle_supernets import (
    KINDS,
    SPACE,
    kept_path,
    read_kept,
    sample_of,
)
from nascence.core.resumable import load_checkpoint
from nascence.metrics import kendall_tau
from nascence.metrics.angle import CONVENTIONS
from nascence.search import CrossoverEvolution, search
from nascence.spaces import Architecture
from nascence.supernets import (
    AngleEvaluator,
    SuperNet,
)

TRUTHS = {"CIFAR-10": "c10_test_200", "CIFAR-100": "c100_test_200", "ImageNet16": "in16_test_200"}
NOTHING_OF_NORM = CONVENTIONS["rlnas"]._replace(name="without BatchNorm", norm=False)
TRIALS = 500
Row = dict[str, list[float]]


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
