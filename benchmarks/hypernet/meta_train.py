"""Meta-trains a hypernetwork on CIFAR-10 and evaluates it on unseen networks.

    python -m benchmarks.hypernet.meta_train train --data cifar10-train.parquet --out runs/ghn2 \
        --kind ghn2 --steps 10000 --seconds 240
    python -m benchmarks.hypernet.meta_train evaluate --data cifar10-train.parquet --out runs/ghn2
    python -m benchmarks.hypernet.meta_train evaluate --data cifar10-train.parquet \
        --out ghn2-cifar10 --split deep --seconds 60

The last 5,000 images validate and are never trained on. Images are averaged down to 16 pixels.
"""

import argparse
import math
import statistics
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from benchmarks import ledger
from nascence.cli.console import shares
from nascence.hypernet import GHN, load, meta_train, network_accuracies, validation
from nascence.jobs.ghn_networks import training_networks
from nascence.spaces.deepnets import DeepNets

KINDS = {"ghn1": GHN.ghn1, "ghn2": GHN.ghn2, "mlp": GHN.mlp}
MEAN = torch.tensor([0.4914, 0.4822, 0.4465])[:, None, None]
DEVIATION = torch.tensor([0.2470, 0.2435, 0.2616])[:, None, None]


def images_of(path: str, size: int, rows: slice) -> tuple[Tensor, Tensor]:
    """Some rows of the images (N, 3, size, size), standardised, and their labels (N,)."""
    images, labels = ledger.pictures(path)
    images, labels = images[rows], labels[rows]
    images = (images.float() / 255 - MEAN) / DEVIATION
    if size < images.shape[-1]:
        images = F.interpolate(images, size=(size, size), mode="area")
    return images.contiguous(), labels


SMALL: dict[str, Any] = {"cells": (4, 8), "channels": (16, 32), "max_macs": 10_000_000}


def networks_of(split: str, size: int, small: bool | None = None) -> DeepNets:
    """Networks of 4 to 8 cells, at most 10 million multiply-adds, where trained or asked for."""
    if small or (small is None and split in ("train", "val")):
        return DeepNets(split, image_size=size, **SMALL)
    return DeepNets(split, image_size=size)


def train(arguments: argparse.Namespace) -> None:
    torch.manual_seed(0)
    ghn = KINDS[arguments.kind]()
    images, labels = images_of(arguments.data, arguments.size, slice(0, -5000))
    networks, count = training_networks(
        shares("--mixture", arguments.mixture),
        classes=10,
        size=arguments.size,
        cells=arguments.cells,
        channels=arguments.channels,
        max_macs=arguments.max_macs,
    )
    check = None
    if arguments.validate_every:
        unseen, answers = images_of(arguments.data, arguments.size, slice(-5000, None))
        count = arguments.validation_networks
        check = validation(
            {"val": networks_of("val", arguments.size).__getitem__},
            count,
            unseen[:1000],
            answers[:1000],
            calibration=images[:256].split(64),
        )
    report = meta_train(
        ghn,
        networks,
        count,
        images,
        labels,
        out=arguments.out,
        steps=arguments.steps,
        meta_batch=arguments.meta_batch,
        batch_size=arguments.batch,
        learning_rate=arguments.learning_rate,
        warmup=arguments.warmup,
        clip=arguments.clip,
        seed=arguments.seed,
        schedule=arguments.schedule,
        average=arguments.average,
        start=arguments.start,
        crop=arguments.crop,
        validation=check,
        validate_every=arguments.validate_every or None,
        seconds=arguments.seconds,
        workers=arguments.workers,
        card={"kind": arguments.kind, "data": "CIFAR-10, first 45,000", "pixels": arguments.size},
        progress=lambda _, line: print(line, file=sys.stderr, flush=True) if line else None,
    )
    with ledger.Report(arguments) as printed:
        table = printed.table("Meta-training", "what", "figure")
        for name, value in {"cpu_seconds": round(time.process_time()), **report._asdict()}.items():
            table.row(name, str(value))


def evaluate(arguments: argparse.Namespace) -> None:
    """Mean accuracy of unseen networks: predicted, and random with the same treatment.

    The first networks of the split, as many as are asked for and as the seconds allow.
    """
    file = Path(arguments.out) / "ghn.safetensors"
    ghn = load(file if file.is_file() else arguments.out).eval()
    size = arguments.size
    images, labels = images_of(arguments.data, size, slice(-5000, None))
    share = min(arguments.images, len(images))
    turns = len(images) // share if arguments.in_turn else 1
    batches = images_of(arguments.data, size, slice(0, arguments.calibration))[0].split(64)
    networks = networks_of(arguments.split, size, arguments.small)
    found: dict[str, list[float]] = {"predicted": [], "random": []}
    started = time.process_time()
    for index in range(min(arguments.networks, len(networks))):
        part = slice(index % turns * share, index % turns * share + share)
        for kind, source in (("predicted", ghn), ("random", None)):
            if source is None and not arguments.random:
                continue
            found[kind] += network_accuracies(
                source,
                networks.__getitem__,
                (index,),
                images[part],
                labels[part],
                calibration=batches,
            )
        if time.process_time() - started > arguments.seconds:
            break
    judged = f"{share} images{f' of {turns * share} in turn' if turns > 1 else ''}"
    with ledger.Report(arguments) as report:
        table = report.table(
            f"Accuracy on {judged} without a step of training",
            "split",
            "parameters",
            ("mean", "%", "higher"),
            "standard error",
            ("best", "%", "higher"),
            "networks",
        )
        for kind, values in found.items():
            if values:
                many = len(values) > 1
                error = 100 * statistics.stdev(values) / len(values) ** 0.5 if many else math.nan
                mean, best = f"{100 * statistics.mean(values):.1f}", f"{100 * max(values):.1f}"
                table.row(arguments.split, kind, mean, f"{error:.1f}", best, len(values))


def main(words: Sequence[str] | None = None) -> None:
    parser = ledger.parser(__doc__)
    parser.add_argument("what", choices=("train", "evaluate"))
    parser.add_argument("--data", required=True)
    parser.add_argument("--out", required=True)
    parser.add_argument("--kind", choices=KINDS, default="ghn2")
    parser.add_argument("--size", type=int, default=16)
    parser.add_argument("--steps", type=int, default=12_000)
    parser.add_argument("--meta-batch", type=int, default=1)
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--learning-rate", type=float, default=1e-3)
    parser.add_argument("--warmup", type=int, default=100)
    parser.add_argument("--clip", type=float, default=5.0)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--schedule", choices=("cosine", "constant", "decay"), default="cosine")
    parser.add_argument("--average", type=float, default=0.0, help="as 0.999")
    parser.add_argument("--start", default="", help="a run's folder, or weights")
    parser.add_argument("--mixture", default="deepnets", help="as deepnets=0.8,nb201=0.2")
    parser.add_argument("--cells", type=int, nargs=2, default=SMALL["cells"])
    parser.add_argument("--channels", type=int, nargs="+", default=SMALL["channels"])
    parser.add_argument("--max-macs", type=int, default=SMALL["max_macs"])
    parser.add_argument("--crop", type=int, default=0, help="pixels to shift images by, at most")
    parser.add_argument("--validate-every", type=int, default=0)
    parser.add_argument("--validation-networks", type=int, default=20)
    parser.add_argument("--workers", type=int, default=0)
    parser.add_argument("--seconds", type=float, default=300.0, help="of a leg, or of evaluation")
    parser.add_argument("--split", default="val")
    parser.add_argument(
        "--small", action=argparse.BooleanOptionalAction, help="4 to 8 cells; so by itself for val"
    )
    parser.add_argument("--networks", type=int, default=50)
    parser.add_argument("--images", type=int, default=2000)
    parser.add_argument("--random", action=argparse.BooleanOptionalAction, default=True)
    parser.add_argument("--in-turn", action="store_true", help="other images for each network")
    parser.add_argument("--calibration", type=int, default=512, help="images for BatchNorm")
    arguments = ledger.parse(parser, words)
    train(arguments) if arguments.what == "train" else evaluate(arguments)


if __name__ == "__main__":
    main()
