"""What re-parameterised blocks gain in training: a small VGG on CIFAR-10, the same steps for all.

    python -m benchmarks.reparam.training_gain --data cifar10-train.parquet --out gain.jsonl
    python -m benchmarks.reparam.training_gain --out gain.jsonl --table

Images are shrunk to 16 x 16; the last 5,000 rows are the validation set. Each finished run is one
line of the output file and is not repeated. ``--block`` and ``--seed`` choose a single run.
"""

import io
import json
import statistics
import time
from collections.abc import Sequence
from pathlib import Path

import numpy
import pyarrow.parquet
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor, nn

from benchmarks import ledger
from nascence.graph import count_parameters
from nascence.reparam import AsymmetricBlock, DiverseBranchBlock, RepVGGBlock, fold

VALIDATION = 5_000


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


def read_images(path: Path, size: int) -> tuple[Tensor, Tensor]:
    """Images ``(N, 3, size, size)`` in float32, standardised, and labels ``(N,)``."""
    table = pyarrow.parquet.read_table(path)
    labels = torch.tensor(table["label"].to_pylist())
    rows = table["img"].to_pylist()
    images = numpy.empty((len(rows), size, size, 3), numpy.uint8)
    for index, row in enumerate(rows):
        with Image.open(io.BytesIO(row["bytes"])) as image:
            images[index] = numpy.asarray(image.convert("RGB").resize((size, size), Image.BOX))
    values = torch.from_numpy(images).permute(0, 3, 1, 2).float().div_(255)
    mean, spread = values.mean((0, 2, 3), keepdim=True), values.std((0, 2, 3), keepdim=True)
    return (values - mean) / spread, labels


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


def train(block: str, seed: int, images: Tensor, labels: Tensor, epochs: int) -> dict[str, object]:
    """One run; the augmentation and the order of the images depend on ``seed`` alone."""
    torch.manual_seed(seed)
    model = vgg(block)
    generator = torch.Generator().manual_seed(1000 + seed)
    count, batch = len(images) - VALIDATION, 128
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
    held_out, truth = images[-VALIDATION:], labels[-VALIDATION:]
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


def read_runs(path: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def print_table(runs: list[dict[str, object]]) -> None:
    print("| block | seeds | accuracy, mean | spread | gain | parameters | folded |")
    print("| --- | --- | --- | --- | --- | --- | --- |")
    scores = {name: [r["accuracy_folded"] for r in runs if r["block"] == name] for name in BLOCKS}
    for name, values in scores.items():
        if not values:
            continue
        row = next(run for run in runs if run["block"] == name)
        gain = statistics.mean(values) - statistics.mean(scores["plain"] or [float("nan")])
        spread = statistics.stdev(values) if len(values) > 1 else float("nan")
        print(
            f"| {name} | {len(values)} | {statistics.mean(values):.2f} | {spread:.2f} | "
            f"{gain:+.2f} | {row['parameters']} | {row['parameters_folded']} |"
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
        print_table(read_runs(options.out))
        return
    done = {(run["block"], run["seed"]) for run in read_runs(options.out)}
    wanted = [
        (block, seed)
        for seed in ([options.seed] if options.seed is not None else range(3))
        for block in ([options.block] if options.block else BLOCKS)
        if (block, seed) not in done
    ]
    if not wanted:
        return
    images, labels = read_images(options.data, 16)
    for block, seed in wanted:
        result = train(block, seed, images, labels, options.epochs)
        with options.out.open("a") as file:
            file.write(json.dumps(result) + "\n")
        print(json.dumps(result), flush=True)


if __name__ == "__main__":
    main()
