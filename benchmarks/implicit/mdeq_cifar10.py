"""MDEQ tiny beside a ResNet of the same parameters and steps, on CIFAR-10 shrunk to 16 x 16.

    python -m benchmarks.implicit.mdeq_cifar10 --data cifar10-train.parquet --out mdeq.jsonl
    python -m benchmarks.implicit.mdeq_cifar10 --out mdeq.jsonl --table

The last 5,000 rows are the validation set. Both train with AdamW and one cosine, without
augmentation (the paper's setting); MDEQ first unrolled, then at equilibrium with phantom
gradients. A finished run is a line of --out and is not repeated, an unfinished one goes on from
its checkpoint beside it. ``--full`` is the published recipe at 32 x 32: 50 epochs, for a GPU.
"""

import argparse
import statistics
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import nn

from benchmarks import ledger
from nascence.data import Dataset
from nascence.graph import count_parameters
from nascence.implicit import DEQ, Phantom, mdeq_tiny, unrolled
from nascence.models.resnet import BasicBlock, ResNet
from nascence.training import Training, adamw, cosine, evaluate, train

COLUMNS = (
    "network",
    "parameters",
    "seeds",
    ("accuracy", "%, mean ± sd", "higher"),
    ("training", "CPU-s", "lower"),
)


def phase(
    model: nn.Module, data: Dataset, options: argparse.Namespace, seed: int, *, start: int, end: int
) -> Training:
    """Steps ``start`` to ``end`` of a training of ``options.steps``."""
    name = f"{options.network}-{seed}-{start}"

    def schedule(fraction: float) -> float:
        return cosine((start + fraction * (end - start)) / options.steps)

    def progress(fraction: float, measured: Any) -> None:
        if measured is not None:
            print(name, f"{fraction:.2f}", measured, flush=True)

    return train(
        model,
        data,
        optimizer=adamw(options.rate, weight_decay=options.decay),
        generator=torch.Generator().manual_seed(seed + start),
        steps=end - start,
        batch_size=options.batch,
        schedule=schedule,
        crop=0,
        flip=False,
        measurements=options.measurements,
        device=options.device,
        checkpoint=options.out.with_name(f"{options.out.stem}-{name}.pt"),
        progress=progress,
    )


def mdeq(data: Dataset, options: argparse.Namespace, seed: int) -> dict[str, Any]:
    """Unrolled, then at equilibrium."""
    model = mdeq_tiny(classes=10, dropout=options.dropout)
    layer = model.backbone.equilibrium
    layer.max_iter, layer.backward = options.evaluations, Phantom(options.phantom, 0.7)
    unrolling = unrolled(model, options.unrolled)
    first = phase(unrolling, data, options, seed, start=0, end=options.pretrain)
    model.load_state_dict(first.model.state_dict())
    second = phase(model, data, options, seed, start=options.pretrain, end=options.steps)
    trained = second.model
    residuals = []
    with torch.no_grad():
        images = data.normalise(data.validation.images[:256].to(options.device))
        for part in trained.modules():
            if isinstance(part, DEQ):
                part.max_iter = 2 * options.evaluations
                stem = trained.get_submodule("backbone.stem")
                residuals = part.solve(stem(images)).residuals.tolist()
    double = evaluate(trained, data.validation, data.normalise, device=options.device)
    return {
        "accuracy": second.curve[-1].accuracy,
        "accuracy_unrolled": first.curve[-1].accuracy,
        "accuracy_twice_the_evaluations": double.accuracy,
        "residual_median_twice_the_evaluations": statistics.median(residuals),
        "parameters": count_parameters(model),
    }


def resnet(data: Dataset, options: argparse.Namespace, seed: int) -> dict[str, Any]:
    """The paper's ResNet for CIFAR, 20 layers, as wide as makes the same parameters."""
    model = ResNet(
        BasicBlock, [3, 3, 3], (12, 25, 49), classes=10, stem="cifar", shortcut="identity"
    )
    training = phase(model, data, options, seed, start=0, end=options.steps)
    return {
        "accuracy": training.curve[-1].accuracy,
        "parameters": count_parameters(model),
    }


def report(options: argparse.Namespace) -> None:
    """Mean, spread and seeds of each network."""
    rows = ledger.read_rows(options.out)
    with ledger.Report(options) as report:
        table = report.table("MDEQ and a ResNet of the same size", *COLUMNS)
        for network in ("mdeq", "resnet"):
            found = [row for row in rows if row["network"] == network]
            if found:
                seconds = statistics.mean(row["cpu_seconds"] for row in found)
                accuracy = ledger.spread((100 * row["accuracy"] for row in found), ".2f")
                counted = f"{found[0]['parameters']:,}", len(found)
                table.row(network, *counted, accuracy, f"{seconds:.0f}")


def main(words: Sequence[str] | None = None) -> None:
    parser = ledger.parser(__doc__)
    parser.add_argument("--data", type=Path)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--table", action="store_true")
    parser.add_argument("--full", action="store_true")
    parser.add_argument("--networks", nargs="+", default=["mdeq", "resnet"])
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--size", type=int, default=16)
    parser.add_argument("--steps", type=int, default=1800)
    parser.add_argument("--pretrain", type=int, default=1200)
    parser.add_argument("--unrolled", type=int, default=4)
    parser.add_argument("--evaluations", type=int, default=8)
    parser.add_argument("--phantom", type=int, default=3)
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--rate", type=float, default=2e-3)
    parser.add_argument("--decay", type=float, default=1e-2)
    parser.add_argument("--dropout", type=float, default=0.0)
    parser.add_argument("--measurements", type=int, default=2)
    parser.add_argument("--device", default="cpu")
    options = ledger.parse(parser, words)
    if options.table:
        report(options)
        return
    if options.full:
        published = {"size": 32, "batch": 128, "steps": 50 * 352, "pretrain": 3000, "unrolled": 10}
        solve = {"evaluations": 18, "phantom": 5, "dropout": 0.25, "measurements": 50}
        vars(options).update({**published, **solve, "rate": 1e-3, "decay": 2.5e-6})
    if options.device == "cpu":
        options.out.parent.mkdir(parents=True, exist_ok=True)
    done = {(row["network"], row["seed"]) for row in ledger.read_rows(options.out)}
    data = ledger.cifar10(options.data, options.size, cache=options.out.parent)
    for seed in options.seeds:
        for network in options.networks:
            if (network, seed) in done:
                continue
            options.network = network
            torch.manual_seed(seed)
            start = time.process_time()
            result = (mdeq if network == "mdeq" else resnet)(data, options, seed)
            row = {
                "network": network,
                "seed": seed,
                **result,
                "steps": options.steps,
                "images": options.steps * options.batch,
                "cpu_seconds": time.process_time() - start,
            }
            print(ledger.keep_row(options.out, row), flush=True)


if __name__ == "__main__":
    main()
