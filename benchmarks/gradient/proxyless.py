"""ProxylessNAS on a small mobile space: weights of latency, and one-shot against few-shot.

    python -m benchmarks.gradient.proxyless run --data cifar10-train.parquet --out proxyless
    python -m benchmarks.gradient.proxyless report --out proxyless

Nine blocks of width 0.25 on CIFAR-10 at 16 pixels, latencies of batches of 16 on one thread. One
search for each weight of latency, then the network that it derives and random ones of nearly the
same predicted latency are trained alone for ``--alone`` steps, all alike. One-shot against
few-shot: one supernet, or the three parts of the split of ``block_1`` with a third of the steps
each, at one weight. One line of JSON for each part is kept in ``--out``; a finished part is not
done again.
"""

import argparse
import statistics
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

import torch

from benchmarks import ledger
from benchmarks.supernets.runs import train_alone
from nascence.data import Dataset, Split
from nascence.gradient import proxyless
from nascence.jobs.gradient import scaled_rate
from nascence.latency.measurement import measure_latencies, network_milliseconds
from nascence.latency.table import LatencyTable, LatencyTerm, read_latencies
from nascence.spaces import Architecture, Mobile
from nascence.supernets import split
from nascence.supernets.trained import new_supernet

SIDE, BATCH = 16, 16
SPACE = Mobile(
    classes=10, width=0.25, depths=(2, 2, 2, 1, 1, 1), stem_stride=1, strides=(1, 2, 2, 1, 1, 1),
    last=128, dropout=0.0, side=SIDE,
)  # fmt: skip
WEIGHTS = (0.0, 0.01, 0.03, 0.1, 0.2, 1.0)
COMPARED = 0.03
"""Weight at which one supernet and its parts are compared."""
GROUPS = {"block_1": [(0, 1, 2), (3, 4, 5), (6,)]}
COLUMNS = (
    "network",
    ("predicted latency", "ms", "lower"),
    ("predicted by the later table", "ms", "lower"),
    ("measured latency", "ms", "lower"),
    ("accuracy alone", "%, mean ± sd", "higher"),
)
RANDOM = 1
"""Random networks beside every chosen one."""


def table_in(out: Path) -> LatencyTable:
    """The table of this machine, measured once."""
    path = out / "latency.json"
    if not path.exists():
        generator = torch.Generator().manual_seed(0)
        table = measure_latencies(
            SPACE, side=SIDE, batch_size=BATCH, generator=generator, networks=20
        )
        table.save(path)
    return read_latencies(path, space=SPACE, side=SIDE)


def searched(
    data: Dataset, table: LatencyTable, arguments: argparse.Namespace, weight: float, seed: int,
    kind: str = "one-shot",
) -> dict:  # fmt: skip
    """One search: its result, and the network after every epoch."""
    whole = new_supernet(SPACE, seed=seed)
    parts = [whole] if kind == "one-shot" else split(whole, GROUPS)
    history = proxyless(
        parts,
        data,
        generator=torch.Generator().manual_seed(seed),
        latency=LatencyTerm(table, weight),
        steps=arguments.steps,
        epochs=6 // len(parts),
        learning_rate=0.1,
        crop=2,
        out=arguments.out / f"{kind}-{weight}-{seed}",
        **scaled_rate("proxyless", arguments.steps // len(parts)),
    )
    derived = history.derived
    return {
        "architecture": derived.architecture,
        "latency": derived.latency,
        "shared": derived.accuracy,
        "entropy": derived.entropy,
        "trajectory": [
            [e.sub_supernet, e.steps, SPACE.format(e.architecture), round(e.accuracy, 3),
             round(e.latency or 0, 3), round(e.entropy, 3), round(e.loss, 3)]
            for e in history.epochs
        ],
    }  # fmt: skip


def alone(
    data: Dataset, parts: ledger.Parts, arguments: argparse.Namespace, of: Sequence[int]
) -> None:
    """Train a network alone with every seed."""
    architecture = tuple(of)
    validation = Split(data.validation.images[:2000], data.validation.labels[:2000])
    fewer = replace(data, validation=validation)

    def trained(seed: int) -> dict:
        training = train_alone(
            SPACE, architecture, fewer, seed=seed, steps=arguments.alone, batch_size=32
        )
        return {"accuracy": training.curve[-1].accuracy}

    for seed in arguments.seeds[:2]:
        name = SPACE.format(architecture)
        parts.get(f"alone {name} seed {seed}", partial(trained, seed))


def equals(table: LatencyTable, latency: float, seed: int) -> dict[str, list[Architecture]]:
    """Of 20,000 random networks those whose predicted latency is nearest."""
    generator = torch.Generator().manual_seed(seed)
    drawn = [SPACE.sample(generator=generator) for _ in range(20_000)]
    return {"near": sorted(drawn, key=lambda each: abs(table.of(each) - latency))[:RANDOM]}


def run(arguments: argparse.Namespace) -> None:
    """Do what ``--out`` lacks."""
    data = ledger.cifar10(arguments.data, SIDE, cache=arguments.out)
    table, parts = table_in(arguments.out), ledger.Parts(arguments.out / "parts.jsonl")
    for weight in WEIGHTS:
        row = parts.get(
            f"one-shot {weight} 0", partial(searched, data, table, arguments, weight, 0)
        )
        alone(data, parts, arguments, row["architecture"])
    for number, weight in enumerate(WEIGHTS):
        row = parts.done[f"one-shot {weight} 0"]
        near = parts.get(f"random {weight}", partial(equals, table, row["latency"], number))
        for architecture in near["near"]:
            alone(data, parts, arguments, architecture)
    for seed in arguments.seeds:
        for kind in ("one-shot", "few-shot"):
            row = parts.get(
                f"{kind} {COMPARED} {seed}",
                partial(searched, data, table, arguments, COMPARED, seed, kind),
            )
            alone(data, parts, arguments, row["architecture"])
    parts.get("measured", partial(measured, parts))


def measured(parts: ledger.Parts) -> dict:
    """Milliseconds of every network that was trained, in turn, and of a table made just before."""
    names = sorted({key.split(" seed")[0][6:] for key in parts.done if key.startswith("alone")})
    generator = torch.Generator().manual_seed(1)
    table = measure_latencies(SPACE, side=SIDE, batch_size=BATCH, generator=generator, networks=20)
    torch.manual_seed(0)
    networks = [SPACE.build(SPACE.parse(name)) for name in names]
    times = network_milliseconds(networks, torch.randn(BATCH, 3, SIDE, SIDE), passes=31)
    return {
        "milliseconds": {n: statistics.median(t) for n, t in zip(names, times, strict=True)},
        "predicted": {name: table.of(SPACE.parse(name)) for name in names},
    }


def report(arguments: argparse.Namespace) -> None:
    """Print the front, the comparison of kinds, and every trajectory."""
    table, done = table_in(arguments.out), ledger.Parts(arguments.out / "parts.jsonl").done
    found = done.get("measured", {})
    times, later = found.get("milliseconds", {}), found.get("predicted", {})
    missing = float("nan")

    def accuracies(architecture: Sequence[int]) -> list[float]:
        name = SPACE.format(tuple(architecture))
        found = [row["accuracy"] for key, row in done.items() if key.startswith(f"alone {name} s")]
        return [100 * each for each in found]

    def cells(architecture: Sequence[int]) -> list[str]:
        name = SPACE.format(tuple(architecture))
        sums = table.of(tuple(architecture)), later.get(name, missing), times.get(name, missing)
        return [name, *(f"{ms:.2f}" for ms in sums), ledger.spread(accuracies(architecture))]

    low, high = table.range
    print(f"table: {low:.2f} to {high:.2f} ms, mean network {table.even():.2f} ms\n")
    if times:
        errors = [abs(later[name] / times[name] - 1) for name in times]
        sums = [table.of(SPACE.parse(name)) for name in times]
        print(f"later table: mean error {statistics.mean(errors):.3f}, at most {max(errors):.3f}")
        together = statistics.correlation(sums, list(times.values()))
        print(f"table of the searches: correlation {together:.3f}\n")
    with ledger.Report(arguments) as report:
        shared = ("accuracy with shared weights", "%", "higher")
        front = report.table("Weights of latency", "weight", *COLUMNS, shared)
        for weight in WEIGHTS:
            if row := done.get(f"one-shot {weight} 0"):
                front.row(weight, *cells(row["architecture"]), f"{100 * row['shared']:.1f}")
            for architecture in done.get(f"random {weight}", {}).get("near", ()):
                front.row("random", *cells(architecture), None)
        cost = ("search", "CPU-s", "lower")
        kinds = report.table("One-shot and few-shot", "kind", "seed", *COLUMNS, cost)
        for kind in ("one-shot", "few-shot"):
            for seed in arguments.seeds:
                if row := done.get(f"{kind} {COMPARED} {seed}"):
                    seconds = f"{row['cpu_seconds']:.0f}"
                    kinds.row(kind, seed, *cells(row["architecture"]), seconds)
    print(f"\nin all {sum(row['cpu_seconds'] for row in done.values()):.0f} CPU-seconds")
    for key, row in done.items():
        for point in row.get("trajectory", ()):
            print(key, *point)


def main(words: Sequence[str] | None = None) -> None:
    parser = ledger.parser(__doc__)
    first, second = ledger.run_and_report(parser, run, report)
    first.add_argument("--steps", type=int, default=360, help="of a search, all parts together")
    first.add_argument("--alone", type=int, default=200, help="steps of a training alone")
    for command in (first, second):
        command.add_argument("--seeds", type=int, nargs="+", default=[0, 1])
    parsed = ledger.parse(parser, words)
    parsed.run(parsed)


if __name__ == "__main__":
    main()
