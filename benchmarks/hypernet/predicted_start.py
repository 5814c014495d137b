"""Training from predicted parameters against training from random ones, on networks not seen.

    python -m benchmarks.hypernet.predicted_start --data cifar10-train.parquet
    python -m benchmarks.hypernet.predicted_start --data cifar10-train.parquet --seconds 600

An epoch is 156 batches of 64 of the first 10,000 images of CIFAR-10, averaged down to 16 pixels,
cropped and flipped; accuracy is that of 1,000 of the last 5,000 images. The rate is constant after
10 steps of warm-up and the weights are averaged (decay 0.95), which stands for a decay whose end
is not known. Rates, and whether a predicted start gets a closed-form head, are chosen on
two other networks, alike for both starts. BatchNorm has the statistics of the same 1,000 images
at either start. Every finished training is a line of --out and is not repeated; a leg ends after
--seconds of CPU time. Trainings from random values serve any --weights.
"""

import hashlib
import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from itertools import pairwise, product
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import nn

from benchmarks import ledger
from benchmarks.hypernet.meta_train import images_of
from benchmarks.hypernet.ranking import dataset
from nascence.data import Dataset
from nascence.design.start import starting_values
from nascence.hypernet import GHN, accuracy, load
from nascence.models import build
from nascence.spaces import NB201, identity_convolution
from nascence.spaces.deepnets import DeepNets
from nascence.training import DivergenceError, OptimizerFactory, adamw, sgd, train

EPOCH, BATCH, WARMUP, MEASURED = 156, 64, 10, 26
IMAGES, FITTED, JUDGED, SIZE = 10_000, 1_000, 1_000, 16
CELL = "|nor_conv_3x3~0|+|none~0|nor_conv_3x3~1|+|skip_connect~0|none~1|nor_conv_3x3~2|"
DEEPNETS = (0, 3, 4, 5, 6, 7)
TORCHVISION = ("resnet18", "mobilenet_v3_small", "shufflenet_v2_x0_5")
NETWORKS = (
    *(f"deepnets {index}" for index in DEEPNETS),
    "resnet20",
    "nb201",
    *(f"torchvision {name}" for name in TORCHVISION),
)
TUNED_ON = ("tuning 2", "tuning 5")
OPTIMIZERS: dict[str, tuple[Callable[[float], OptimizerFactory], tuple[float, ...]]] = {
    "adamw": (adamw, (1e-3, 3e-3, 1e-2)),
    "sgd": (sgd, (0.03, 0.1)),
}
STARTS = ("random", "predicted", "predicted, head")
LENGTH = {"random": EPOCH, "predicted": EPOCH // 2, "predicted, head": EPOCH // 2}
NOISE = 0.01


class Job(NamedTuple):
    """One training."""

    network: str
    start: str
    optimizer: str
    rate: float
    seed: int
    steps: int


def network_of(name: str, seed: int) -> nn.Module:
    """The network of a name, its random values drawn with ``seed``."""
    kind, _, which = name.partition(" ")
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        if kind in ("deepnets", "tuning"):
            split = "test" if kind == "deepnets" else "val"
            found = DeepNets(
                split, image_size=SIZE, cells=(4, 8), channels=(16,), max_macs=4_000_000
            )
            return found[int(which)][1]
        if kind == "nb201":
            space = NB201(width=8, cells=1, conv=identity_convolution)
            return space.build(space.parse(CELL))
        if kind == "torchvision":
            return torchvision_model(which)
        return build(kind, classes=10)


def torchvision_model(name: str) -> nn.Module:
    ledger.torchvision_operators()
    import torchvision

    model: nn.Module = torchvision.models.get_model(name, weights=None, num_classes=10)
    return model


def trained(job: Job, data: Dataset, ghn: GHN) -> dict[str, Any]:
    """Curve of a training: (steps, accuracy), the first at its start."""
    began = time.process_time()
    model = network_of(job.network, job.seed)
    generator = torch.Generator().manual_seed(job.seed)
    images, labels = data.normalise(data.train.images[:FITTED]), data.train.labels[:FITTED]
    held = data.normalise(data.validation.images), data.validation.labels
    values = starting_values(
        model, images, labels, ghn=None if job.start == "random" else ghn,
        generator=generator, noise=NOISE, head=job.start.endswith("head"),
    )  # fmt: skip
    curve = [(0, accuracy(model, values, *held))]
    model.load_state_dict(values)
    prepared = time.process_time() - began
    try:
        result = train(
            model, data, optimizer=OPTIMIZERS[job.optimizer][0](job.rate), generator=generator,
            steps=job.steps, batch_size=BATCH, crop=2, average_decay=0.95,
            schedule=lambda fraction: min(1.0, (fraction * job.steps + 1) / WARMUP),
            measurements=job.steps // MEASURED,
        )  # fmt: skip
        curve += [(point.step, point.accuracy) for point in result.curve]
    except DivergenceError:  # counts as nothing learned
        curve += [(step, 0.0) for step in range(MEASURED, job.steps + 1, MEASURED)]
    return {"curve": curve, "prepared": prepared, "seconds": time.process_time() - began}


def digest(ghn: GHN) -> str:
    """A short name of the values of a hypernetwork."""
    values = torch.cat([value.flatten() for value in ghn.state_dict().values()])
    return hashlib.blake2b(values.numpy().tobytes(), digest_size=6).hexdigest()


class Book:
    """Finished trainings, in a file of JSON lines."""

    def __init__(self, path: Path, weights: str) -> None:
        self.path, self.weights = path, weights
        self.found = {tuple(row["key"]): row for row in ledger.read_rows(path)}

    def key(self, job: Job) -> tuple[Any, ...]:
        return (*job, "" if job.start == "random" else self.weights)

    def get(self, job: Job) -> list[tuple[int, float]] | None:
        """The curve of a job; that of a longer training of the same kind serves as well."""
        for steps in (job.steps, 5 * EPOCH):
            line = self.found.get(self.key(job._replace(steps=steps)))
            if line is not None:
                return [tuple(point) for point in line["curve"] if point[0] <= job.steps]
        return None

    def add(self, job: Job, facts: dict[str, Any]) -> None:
        row = {"key": self.key(job), **facts}
        self.found[self.key(job)] = ledger.keep_row(self.path, row)


def tuning(optimizer: str) -> Iterator[Job]:
    """Every start at every rate on the tuning networks: an epoch, or a third from predictions."""
    for network, start, rate in product(TUNED_ON, STARTS, OPTIMIZERS[optimizer][1]):
        yield Job(network, start, optimizer, rate, 0, EPOCH if start == "random" else EPOCH // 3)


def chosen(book: Book, optimizer: str) -> dict[str, tuple[str, float]] | None:
    """Start and rate for "random" and "predicted": best at the end of their tuning."""
    found: dict[str, list[tuple[float, str, float]]] = {"random": [], "predicted": []}
    for start in STARTS:
        for rate in OPTIMIZERS[optimizer][1]:
            jobs = [job for job in tuning(optimizer) if (job.start, job.rate) == (start, rate)]
            curves = [book.get(job) for job in jobs]
            if any(curve is None for curve in curves):
                return None
            mean = statistics.mean(curve[-1][1] for curve in curves if curve)
            found[start.partition(",")[0]].append((mean, start, rate))
    return {kind: max(values)[1:] for kind, values in found.items()}


def claims(book: Book, optimizer: str) -> Iterator[Job]:
    """The trainings after tuning: one seed, then two more with AdamW or five epochs with SGD."""
    picked = chosen(book, optimizer)
    if picked is None:
        return
    for seed in range(3 if optimizer == "adamw" else 1):
        for network in NETWORKS:
            for start, rate in picked.values():
                yield Job(network, start, optimizer, rate, seed, LENGTH[start])
    if optimizer == "sgd":
        for index in DEEPNETS:
            rate = picked["random"][1]
            yield Job(f"deepnets {index}", "random", optimizer, rate, 0, 5 * EPOCH)


def reached(curve: list[tuple[int, float]], target: float) -> float:
    """Steps at which a curve first has the target, between measurements by a straight line."""
    if curve[0][1] >= target:
        return 0.0
    for (before, low), (after, high) in pairwise(curve):
        if high >= target:
            return before + (after - before) * (target - low) / (high - low)
    return float("inf")


def shown(values: list[float], most: int) -> str:
    """The median of the seeds; an infinite one is above ``most``, the last measured step."""
    middle = statistics.median(values)
    return f"> {most}" if middle == float("inf") else f"{middle:.0f}"


COLUMNS = (
    "network",
    "seeds",
    ("predicted, no step", "%", "higher"),
    ("random, one epoch", "%", "higher"),
    ("predicted, a third of an epoch", "%", "higher"),
    ("predicted, half an epoch", "%", "higher"),
    ("steps from the prediction to the epoch's accuracy", "median", "lower"),
    ("steps from random values that the prediction is worth", "median", "higher"),
)


def report(printed: ledger.Report, book: Book) -> None:
    """Show every network's trainings from both starts."""
    for optimizer in OPTIMIZERS:
        picked = chosen(book, optimizer)
        if picked is None:
            continue
        title = f"{optimizer}: chosen {picked}; one epoch is {EPOCH} steps"
        table = printed.table(title, *COLUMNS)
        within, ratios = 0, []
        networks = 0
        for network in NETWORKS:
            rows = []
            for seed in range(3):
                pair = [
                    book.get(Job(network, start, optimizer, rate, seed, LENGTH[start]))
                    for start, rate in picked.values()
                ]
                if pair[0] and pair[1]:
                    rows.append((pair[0], pair[1]))
            if not rows:
                continue
            networks += 1
            steps = [reached(predicted, random[-1][1]) for random, predicted in rows]
            worth = [reached(random, predicted[0][1]) for random, predicted in rows]
            within += statistics.median(steps) <= EPOCH / 3
            ratios.append(statistics.median(steps) / EPOCH)
            columns = [
                statistics.mean(100 * dict(row[side])[at] for row in rows)
                for side, at in ((1, 0), (0, EPOCH), (1, EPOCH // 3), (1, EPOCH // 2))
            ]
            accuracies = [f"{column:.1f}" for column in columns]
            both = shown(steps, EPOCH // 2), shown(worth, EPOCH)
            table.row(network, len(rows), *accuracies, *both)
        if ratios:
            print(f"at most a third of the steps: {within} of {networks} networks; "
                  f"median share {statistics.median(ratios):.2f}")  # fmt: skip
    epochs(printed, book)


def epochs(printed: ledger.Report, book: Book) -> None:
    """SGD for one and five epochs beside the accuracy of the prediction."""
    picked = chosen(book, "sgd")
    if picked is None:
        return
    names = ("predicted, no step", "random, 1 epoch", "random, 5 epochs")
    columns = [(name, "%", "higher") for name in names]
    table = printed.table("SGD from random values beside a prediction", "network", *columns)
    for network in NETWORKS:
        long = book.get(Job(network, "random", "sgd", picked["random"][1], 0, 5 * EPOCH))
        start, rate = picked["predicted"]
        predicted = book.get(Job(network, start, "sgd", rate, 0, LENGTH[start]))
        if long and predicted:
            values = (predicted[0][1], dict(long)[EPOCH], long[-1][1])
            table.row(network, *(f"{100 * value:.1f}" for value in values))


def main(words: Sequence[str] | None = None) -> None:
    parser = ledger.parser(__doc__)
    parser.add_argument("--data", required=True)
    parser.add_argument("--weights", default="ghn2-cifar10", help="released name or file")
    parser.add_argument("--out", type=Path, default=Path("runs/predicted-start.jsonl"))
    parser.add_argument("--seconds", type=float, default=900.0, help="CPU time of this leg")
    parser.add_argument("--optimizers", nargs="+", choices=OPTIMIZERS, default=list(OPTIMIZERS))
    parser.add_argument("--networks", nargs="+", choices=NETWORKS, default=list(NETWORKS))
    arguments = ledger.parse(parser, words)
    ghn = load(arguments.weights).eval()
    book = Book(arguments.out, digest(ghn))
    read = partial(images_of, arguments.data, SIZE)
    data = dataset(*read(slice(0, IMAGES)), read(slice(-JUDGED, None)))
    kinds: tuple[Callable[[str], Iterator[Job]], ...] = (tuning, partial(claims, book))
    for optimizer, jobs in product(arguments.optimizers, kinds):
        for job in jobs(optimizer):
            named = job.network in (*TUNED_ON, *arguments.networks)
            if named and book.get(job) is None and time.process_time() < arguments.seconds:
                facts = trained(job, data, ghn)
                book.add(job, facts)
                points = " ".join(f"{100 * value:.1f}" for _, value in facts["curve"])
                print(
                    f"{'; '.join(map(str, job))}: {points} ({facts['seconds']:.0f} s)", flush=True
                )
    with ledger.Report(arguments) as printed:
        report(printed, book)


if __name__ == "__main__":
    main()
