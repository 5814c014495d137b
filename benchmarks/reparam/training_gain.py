"""What re-parameterised blocks gain in training: a small VGG on CIFAR-10, the same steps for all.

    python -m benchmarks.reparam.training_gain --data cifar10-train.parquet --out gain.jsonl
    python -m benchmarks.reparam.training_gain --out gain.jsonl --table

Images are shrunk to 16 x 16; the last 5,000 rows are the validation set. Each finished run is one
line of the output file and is not repeated. ``--block`` and ``--seed`` choose a single run.
"""

import argparse
import json
import statistics
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from benchmarks import ledger
from nascence.data import Dataset
from nascence.graph import count_parameters
from nascence.reparam import AsymmetricBlock, DiverseBranchBlock, RepVGGBlock, fold


class PlainBlock(nn.Sequential):
    """Convolution and BatchNorm."""

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__(
            nn.Conv2d(in_channels, out_channels, 3, padding=1, bias=False),
            nn.BatchNorm2d(out_channels),
        )


BLOCKS = {
    "plain": PlainBlock,
    "acnet": AsymmetricBlock,
    "repvgg": RepVGGBlock,
    "dbb": DiverseBranchBlock,
}


def vgg(block: str, widths: tuple[int, ...] = (16, 32, 64)) -> nn.Sequential:
    """Two convolutions per stage, each stage half the size, average, linear."""
    layers: list[nn.Module] = []
    channels = 3
    for stage, width in enumerate(widths):
        if stage:
            layers.append(nn.MaxPool2d(2))
        for _ in range(2):
            layers += [BLOCKS[block](channels, width), nn.ReLU()]
            channels = width
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(channels, 10))


def augment(batch: Tensor, generator: torch.Generator) -> Tensor:
    """A random mirror image and a shift of up to two pixels, per image."""
    count, _, height, width = batch.shape
    padded = F.pad(batch, (2, 2, 2, 2))
    mirrored = torch.rand(count, generator=generator) < 0.5
    padded = torch.where(mirrored[:, None, None, None], padded.flip(3), padded)
    rows = torch.randint(0, 5, (count, 1), generator=generator) + torch.arange(height)
    columns = torch.randint(0, 5, (count, 1), generator=generator) + torch.arange(width)
    index = torch.arange(count)[:, None, None]
    picked = padded.permute(0, 2, 3, 1)[index, rows[:, :, None], columns[:, None, :]]
    return picked.permute(0, 3, 1, 2).contiguous()


def accuracy(model: nn.Module, images: Tensor, labels: Tensor) -> float:
    with torch.no_grad():
        hits = sum(
            int((model(x).argmax(1) == y).sum())
            for x, y in zip(images.split(500), labels.split(500), strict=True)
        )
    return 100 * hits / len(labels)


def train(block: str, seed: int, data: Dataset, epochs: int) -> dict[str, Any]:
    """One run; the augmentation and the order of the images depend on ``seed`` alone."""
    torch.manual_seed(seed)
    model = vgg(block)
    generator = torch.Generator().manual_seed(1000 + seed)
    images, labels = data.normalise(data.train.images), data.train.labels
    count, batch = len(images), 128
    steps = epochs * (count // batch)
    optimizer = torch.optim.SGD(
        model.parameters(), lr=0.1, momentum=0.9, weight_decay=5e-4, nesterov=True
    )
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, max_lr=0.1, total_steps=steps, pct_start=0.1
    )
    start = time.process_time()
    for _ in range(epochs):
        order = torch.randperm(count, generator=generator)
        for chosen in order[: count // batch * batch].split(batch):
            loss = F.cross_entropy(model(augment(images[chosen], generator)), labels[chosen])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
    seconds = time.process_time() - start
    model.eval()
    held_out, truth = data.normalise(data.validation.images), data.validation.labels
    folded = fold(model, held_out[:8])
    return {
        "block": block,
        "seed": seed,
        "epochs": epochs,
        "accuracy": accuracy(model, held_out, truth),
        "accuracy_folded": accuracy(folded, held_out, truth),
        "parameters": count_parameters(model),
        "parameters_folded": count_parameters(folded),
        "cpu_seconds": round(seconds, 1),
    }


def report(options: argparse.Namespace) -> None:
    runs = ledger.read_rows(options.out)
    scores = {name: [r["accuracy_folded"] for r in runs if r["block"] == name] for name in BLOCKS}
    with ledger.Report(options) as report:
        table = report.table(
            "Accuracy of the folded networks",
            "block",
            "seeds",
            ("accuracy", "%, mean ± sd over seeds", "higher"),
            ("gain over plain", "points", "higher"),
            "parameters",
            "parameters folded",
        )
        for name, values in scores.items():
            if values:
                row = next(run for run in runs if run["block"] == name)
                plain = statistics.mean(scores["plain"]) if scores["plain"] else float("nan")
                table.row(
                    name,
                    len(values),
                    ledger.spread(values, ".2f"),
                    f"{statistics.mean(values) - plain:+.2f}",
                    row["parameters"],
                    row["parameters_folded"],
                )


def main(words: Sequence[str] | None = None) -> None:
    parser = ledger.parser(__doc__)
    parser.add_argument("--data", type=Path)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--epochs", type=int, default=8)
    parser.add_argument("--block", choices=BLOCKS)
    parser.add_argument("--seed", type=int)
    parser.add_argument("--table", action="store_true")
    options = ledger.parse(parser, words)
    if options.table:
        report(options)
        return
    done = {(run["block"], run["seed"]) for run in ledger.read_rows(options.out)}
    wanted = [
        (block, seed)
        for seed in ([options.seed] if options.seed is not None else range(3))
        for block in ([options.block] if options.block else BLOCKS)
        if (block, seed) not in done
    ]
    if not wanted:
        return
    data = ledger.cifar10(options.data, 16, cache=options.out.parent)
    for block, seed in wanted:
        result = train(block, seed, data, options.epochs)
        ledger.keep_row(options.out, result)
        print(json.dumps(result), flush=True)


if __name__ == "__main__":
    main()
