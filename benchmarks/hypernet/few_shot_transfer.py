"""Few images of new classes: predicted features against random ones and training from scratch.

    python -m benchmarks.hypernet.few_shot_transfer meta-train --data cifar10-train.parquet
    python -m benchmarks.hypernet.few_shot_transfer evaluate --data cifar10-train.parquet
    python -m benchmarks.hypernet.few_shot_transfer evaluate --target mnist/

`meta-train` trains a GHN-2 on five of CIFAR-10's classes alone (airplane to deer; the first 45,000
images, 16 pixels), so that the other five are new to it; the released weights have seen all ten.
`evaluate` takes 10 and 100 images a class of those other five from the last 5,000 images, gives
unseen networks a closed-form head on predicted and on random features, and trains them
from either on the same images; accuracy on 1,000 further ones of the last 5,000. `--target` is
another data set that `nascence.data.load` reads, such as the files of MNIST. Finished lines in
--out are read, not repeated.
"""

import argparse
import time
from collections.abc import Sequence
from dataclasses import replace
from itertools import product
from pathlib import Path

import torch
from torch import Tensor

from benchmarks import ledger
from benchmarks.hypernet.meta_train import images_of
from benchmarks.hypernet.predicted_start import SIZE, digest, network_of
from benchmarks.hypernet.ranking import dataset
from nascence.data import Dataset, Split
from nascence.data import load as load_data
from nascence.design.start import starting_values
from nascence.hypernet import GHN, accuracy, load, meta_train
from nascence.spaces.deepnets import DeepNets
from nascence.training import adamw, train

KNOWN, NEW = range(5), range(5, 10)
NETWORKS = ("deepnets 0", "deepnets 4", "deepnets 5", "deepnets 6", "deepnets 7", "resnet20")
SHOTS = (10, 100)
JUDGED, STEPS, BATCH, RATE = 1000, 200, 64, 3e-3
ARMS = (
    "random features, closed-form head",
    "predicted features, closed-form head",
    "trained from random",
    "trained from predicted",
)


def only(images: Tensor, labels: Tensor, classes: range) -> tuple[Tensor, Tensor]:
    """The images of some classes, numbered from 0."""
    chosen = (labels >= classes.start) & (labels < classes.stop)
    return images[chosen], labels[chosen] - classes.start


def meta_trained(options: argparse.Namespace) -> None:
    """A leg of meta-training on the known classes; it goes on where the last one ended."""
    torch.manual_seed(0)
    ghn = GHN.ghn2()
    images, labels = only(*images_of(options.data, SIZE, slice(0, -5000)), KNOWN)
    networks = DeepNets("train", image_size=SIZE, cells=(4, 6), channels=(16,), max_macs=3_000_000)
    report = meta_train(
        ghn,
        networks.skeleton,
        len(networks),
        images,
        labels,
        out=options.folder,
        steps=options.steps,
        meta_batch=1,
        seconds=options.seconds,
        card={"data": "CIFAR-10, first 45,000, classes 0 to 4", "pixels": SIZE},
        progress=lambda _, line: print(line, flush=True) if line else None,
    )
    with ledger.Report(options) as printed:
        table = printed.table("Meta-training on the known classes", "what", "figure")
        for name, value in {**report._asdict(), "cpu_seconds": time.process_time()}.items():
            table.row(name, str(value))


def target(options: argparse.Namespace) -> Dataset:
    """The images to learn from (train) and to judge by (validation)."""
    if options.target:
        return load_data(options.target, size=SIZE)
    images, labels = only(*images_of(options.data, SIZE, slice(-5000, None)), NEW)
    data = dataset(images[:-JUDGED], labels[:-JUDGED], (images[-JUDGED:], labels[-JUDGED:]))
    return replace(data, name="CIFAR-10, classes 5 to 9", class_names=tuple(map(str, NEW)))


def few_of(data: Dataset, shots: int, seed: int) -> Dataset:
    """``shots`` training images of each class."""
    order = torch.randperm(len(data.train), generator=torch.Generator().manual_seed(seed))
    labels = data.train.labels[order]
    rows = torch.cat([order[labels == kind][:shots] for kind in range(data.classes)])
    rows = rows[torch.randperm(len(rows), generator=torch.Generator().manual_seed(seed))]
    judged = Split(data.validation.images[:JUDGED], data.validation.labels[:JUDGED])
    return replace(
        data, train=Split(data.train.images[rows], data.train.labels[rows]), validation=judged
    )


def measured(data: Dataset, name: str, arm: str, ghn: GHN, seed: int, flip: bool) -> float:
    """Accuracy on the judged images."""
    model = network_of(name, seed)
    generator = torch.Generator().manual_seed(seed)
    images, labels = data.normalise(data.train.images), data.train.labels
    training = arm.startswith("trained")
    predicted = "predicted" in arm
    values = starting_values(
        model, images, labels, ghn=ghn if predicted else None, generator=generator,
        noise=0.01 if training else 0.0, head=predicted or not training,
    )  # fmt: skip
    held = data.normalise(data.validation.images), data.validation.labels
    if not training:
        return accuracy(model, values, *held)
    model.load_state_dict(values)
    result = train(
        model, data, optimizer=adamw(RATE), generator=generator, steps=STEPS, batch_size=BATCH,
        crop=2, flip=flip, measurements=1,
    )  # fmt: skip
    return result.curve[-1].accuracy


def evaluate(options: argparse.Namespace) -> None:
    data = target(options)
    file = options.folder / "ghn.safetensors"
    sources = {"released": load(options.weights)}
    if not options.target and file.is_file():
        sources["known classes alone"] = load(file)
    done = {tuple(row["key"]): row["accuracy"] for row in ledger.read_rows(options.out)}
    rows: dict[tuple[int, str], list[float]] = {}
    for arm, shots, name in product(ARMS, SHOTS, NETWORKS):
        for source, ghn in sources.items():
            if "predicted" not in arm and source != "released":
                continue  # the same with any hypernetwork
            weights = digest(ghn) if "predicted" in arm else ""
            title = f"{arm} ({source})" if "predicted" in arm else arm
            for seed in range(1 if arm.startswith("trained") else options.seeds):
                key = (data.name, shots, arm, name, weights, seed)
                if key not in done:
                    if time.process_time() > options.seconds:
                        continue
                    few = few_of(data, shots, seed)
                    done[key] = measured(few, name, arm, ghn, seed, flip=not options.target)
                    ledger.keep_row(options.out, {"key": key, "accuracy": done[key]})
                rows.setdefault((shots, title), []).append(100 * done[key])
    with ledger.Report(options) as report:
        table = report.table(
            data.name,
            "images a class",
            "arm",
            ("accuracy", "%, mean ± sd over networks and choices of images", "higher"),
            "trainings",
        )
        for (shots, title), values in sorted(rows.items()):
            table.row(shots, title, ledger.spread(values), len(values))


def main(words: Sequence[str] | None = None) -> None:
    parser = ledger.parser(__doc__)
    parser.add_argument("what", choices=("meta-train", "evaluate"))
    parser.add_argument("--data", help="parquet file of CIFAR-10's training images")
    parser.add_argument("--target", help="another data set to transfer to")
    parser.add_argument("--weights", default="ghn2-cifar10", help="released name or file")
    parser.add_argument("--folder", type=Path, default=Path("runs/ghn-five-classes"))
    parser.add_argument("--steps", type=int, default=3000, help="of meta-training")
    parser.add_argument("--seconds", type=float, default=600.0, help="of this leg")
    parser.add_argument("--seeds", type=int, default=3, help="choices of images, without training")
    parser.add_argument("--out", type=Path, default=Path("runs/few-shot.jsonl"))
    options = ledger.parse(parser, words)
    if options.data is None and (options.what == "meta-train" or options.target is None):
        parser.error("give --data, or --target to transfer to")
    meta_trained(options) if options.what == "meta-train" else evaluate(options)


if __name__ == "__main__":
    main()
