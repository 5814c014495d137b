"""Whole runs of `design` by family, and a ResNet of the same latency with the same recipe.

    python -m benchmarks.design.whole_runs [--seconds 200] [--seeds 0] [--out runs/whole-runs]
    python -m benchmarks.design.whole_runs --families stages --searched cells --resnet

Each run has the bundled sample and `--seconds` of CPU time of one thread for all that it does,
without a baseline beside it; that is what two thirds of a budget of five minutes are on one core.
The ResNet, of the CIFAR family (He et al. 2016, section 4.2), is as wide as its folded latency
allows to be that of the network of `--family stages`, and is trained with the same recipe for as
long as search and training took there. Latencies are of one image on one thread, measured in turns
at the end. Runs that are finished are read, not repeated.
"""

import statistics
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import nn

from benchmarks import ledger
from benchmarks.design.recipe_choices import ProcessorTime, stop_by_cpu_time
from nascence.data import Dataset, load
from nascence.design import RunFolder, design, load_folded, recipe, resume, stages
from nascence.design.families import cells, family_of, optimizer_of
from nascence.design.families import stages as staged
from nascence.design.pipeline import silent
from nascence.design.results import SearchResult
from nascence.design.run import Run
from nascence.design.settings import DesignSettings, share
from nascence.latency.measurement import network_milliseconds
from nascence.models import resnet_of_macs
from nascence.reparam import fold
from nascence.training import precision, train

COLUMNS = (
    "seed",
    "network",
    ("accuracy", "%", "higher"),
    "parameters",
    ("multiply-adds", "M", "lower"),
    ("latency folded", "ms an image, one thread", "lower"),
    ("search and training", "CPU-s", "lower"),
    "steps",
    "architecture",
)
MILLIONS = (2, 3, 4, 6, 8, 12, 16, 24, 32)
IMAGE = torch.zeros(1, 3, 32, 32)


def run_of(family: str, seed: int, seconds: float, out: Path) -> dict[str, Any]:
    """The summary of a run, which is completed if it is not."""
    path = out / f"{family}-{seed}"
    if (path / "config.yaml").exists():
        return resume(path)
    settings = DesignSettings(family=family, seed=seed, budget=seconds, baseline=False)
    return design(path, settings)


def searched(family: str, seed: int, seconds: float, data: Dataset, out: Path) -> nn.Module:
    """What a family finds for the same budget, folded and not trained: its latency is the same."""
    path = out / f"{family}-{seed}-searched"
    settings = DesignSettings(family=family, seed=seed, budget=seconds, baseline=False)
    begun = (path / "config.yaml").exists()
    run = Run(
        folder=RunFolder.open(path) if begun else RunFolder.create(path, settings),
        optimizer=optimizer_of(settings),
        data=data,
        device=torch.device("cpu"),
        shares=share(seconds, baseline=False),
        progress=silent,
    )
    if not run.folder.is_finished("search"):
        run.folder.finish("search", stages.search_stage(run))
    found = run.needed("search", SearchResult)
    return fold(family_of(settings).build(run, found).eval(), IMAGE)


def milliseconds(networks: Sequence[nn.Module]) -> list[float]:
    """Median latency of each, in turns."""
    found = network_milliseconds(networks, IMAGE, passes=51)
    return [statistics.median(times) for times in found]


def resnet(latency: float, seed: int) -> nn.Module:
    """The ResNet whose folded latency is nearest to ``latency`` milliseconds."""
    made = []
    for millions in MILLIONS:
        torch.manual_seed(seed)
        made.append(resnet_of_macs(millions * 10**6, classes=10, image_shape=(3, 32, 32)))
    times = milliseconds([fold(model.eval(), IMAGE) for model in made])
    return min(zip(made, times, strict=True), key=lambda pair: abs(pair[1] - latency))[0]


def trained_resnet(
    data: Dataset, latency: float, seed: int, seconds: float, out: Path
) -> dict[str, Any]:
    """Train the ResNet with the recipe of staged networks, or read what it gave."""
    kept = out / f"resnet-{seed}.jsonl"
    if not (rows := ledger.read_rows(kept)):
        trained = train(
            resnet(latency, seed),
            data,
            **recipe.staged(32),
            seconds=seconds,
            generator=torch.Generator().manual_seed(seed),
        )
        row = {"accuracy": trained.curve[-1].accuracy, "steps": trained.steps}
        rows = [ledger.keep_row(kept, {**row, "seconds": trained.seconds})]
    return rows[0]


def main(words: Sequence[str] | None = None) -> None:
    parser = ledger.parser(__doc__)
    parser.add_argument("--seconds", type=float, default=200.0)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    parser.add_argument("--families", nargs="+", default=["stages", "cells"])
    parser.add_argument("--searched", nargs="*", default=[], help="families for latency alone")
    parser.add_argument("--resnet", action="store_true", help="train the ResNet, too")
    parser.add_argument("--out", type=Path, default=Path("runs/whole-runs"))
    options = ledger.parse(parser, words)
    torch.set_num_threads(1)
    stop_by_cpu_time()
    for module in (stages, staged, cells, precision):
        module.time = ProcessorTime  # type: ignore[attr-defined]
    data = load("cifar10-sample")
    with ledger.Report(options) as report:
        table = report.table("Whole runs", *COLUMNS)
        for seed in options.seeds:
            found = {f: run_of(f, seed, options.seconds, options.out) for f in options.families}
            networks = [load_folded(options.out / f"{family}-{seed}") for family in found]
            for family in options.searched:
                networks.append(searched(family, seed, options.seconds, data, options.out))
            times = milliseconds(networks)
            for family, time in zip(options.searched, times[len(found) :], strict=True):
                table.row(seed, f"{family}, not trained", *("", "", ""), f"{time:.2f}", "", "", "")
            for (family, summary), time in zip(found.items(), times[: len(found)], strict=True):
                (row,) = summary["networks"]
                table.row(
                    seed,
                    family,
                    f"{100 * row['accuracy']:.1f}",
                    f"{row['parameters']:,}",
                    f"{row['macs'] / 1e6:.2f}",
                    f"{time:.2f}",
                    f"{row['train_seconds']:.0f}",
                    row["train_steps"],
                    summary["architecture"],
                )
            if options.resnet:
                first = next(iter(found.values()))["networks"][0]
                row = trained_resnet(data, times[0], seed, first["train_seconds"], options.out)
                table.row(
                    seed,
                    "ResNet of the same latency, the same recipe",
                    f"{100 * row['accuracy']:.1f}",
                    *("", "", "", f"{row['seconds']:.0f}", row["steps"], ""),
                )


if __name__ == "__main__":
    main()
