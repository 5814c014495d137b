"""MDEQ tiny beside a ResNet of the same parameters and steps, on CIFAR-10 shrunk to 16 x 16.

    python -m benchmarks.implicit.mdeq_cifar10 --data cifar10-train.parquet --out mdeq.jsonl
    python -m benchmarks.implicit.mdeq_cifar10 --out mdeq.jsonl --table

The last 5,000 rows are the validation set. Both train with AdamW and one cosine, without
augmentation (the paper's setting); MDEQ first unrolled, then at equilibrium with phantom
gradients. A finished run is a line of --out and is not repeated, an unfinished one goes on from
its checkpoint beside it. ``--full`` is the published recipe at 32 x 32: 50 epochs, for a GPU.
"""

import argparse
import io
import json
import statistics
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy
import pyarrow.parquet
import torch
from PIL import Image
from torch import nn

from benchmarks import ledger
from nascence.data import Dataset, Split
from nascence.graph import count_parameters
from nascence.implicit import DEQ, Phantom, mdeq_tiny, unrolled
from nascence.models.resnet import BasicBlock, ResNet
from nascence.training import Training, adamw, cosine, evaluate, train

VALIDATION = 5_000


def read(path: Path, size: int) -> Dataset:
    """All images at ``size`` pixels, the last 5,000 of them for validation."""
    table = pyarrow.parquet.read_table(path)
    rows, labels = table["img"].to_pylist(), torch.tensor(table["label"].to_pylist())
    pixels = numpy.empty((len(rows), size, size, 3), numpy.uint8)
    for index, row in enumerate(rows):
        with Image.open(io.BytesIO(row["bytes"])) as image:
            pixels[index] = numpy.asarray(image.convert("RGB").resize((size, size), Image.BOX))
    images = torch.from_numpy(pixels).permute(0, 3, 1, 2).contiguous()
    values = images[:-VALIDATION].float() / 255
    return Dataset(
        name=path.name,
        train=Split(images[:-VALIDATION], labels[:-VALIDATION]),
        validation=Split(images[-VALIDATION:], labels[-VALIDATION:]),
        class_names=tuple(map(str, range(10))),
        mean=tuple(values.mean((0, 2, 3)).tolist()),
        std=tuple(values.std((0, 2, 3)).tolist()),
        skipped=(),
        fingerprint=f"{path.name}-{size}",
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
        for layer in trained.modules():
            if isinstance(layer, DEQ):
                layer.max_iter = 2 * options.evaluations
                images = data.normalise(data.validation.images[:256].to(options.device))
                solution = layer.solve(trained.backbone.stem(images))
                residuals = solution.residuals.tolist()
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


def table(path: Path) -> None:
    """Mean, spread and seeds of each network."""
    rows = [json.loads(line) for line in path.read_text().splitlines()]
    for network in ("mdeq", "resnet"):
        found = [row for row in rows if row["network"] == network]
        if found:
            values = [100 * row["accuracy"] for row in found]
            spread = statistics.stdev(values) if len(values) > 1 else float("nan")
            print(
                f"{network:7} {found[0]['parameters']:,} parameters  {len(found)} seeds  "
                f"{statistics.mean(values):.2f} ± {spread:.2f} %  {found}"
            )


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
        table(options.out)
        return
    if options.full:
        published = {"size": 32, "batch": 128, "steps": 50 * 352, "pretrain": 3000, "unrolled": 10}
        solve = {"evaluations": 18, "phantom": 5, "dropout": 0.25, "measurements": 50}
        vars(options).update({**published, **solve, "rate": 1e-3, "decay": 2.5e-6})
    if options.device == "cpu":
        options.out.parent.mkdir(parents=True, exist_ok=True)
    lines = options.out.read_text().splitlines() if options.out.exists() else []
    done = {(row["network"], row["seed"]) for row in map(json.loads, lines)}
    data = read(options.data, options.size)
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
            with options.out.open("a") as file:
                file.write(json.dumps(row) + "\n")
            print(row, flush=True)


if __name__ == "__main__":
    main()
