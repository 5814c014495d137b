"""Single Path One-Shot as a whole job, at a small size: supernet, search under a limit, test.

    python -m benchmarks.supernets.spos --data cifar10-train.parquet --out spos

Guo et al., "Single Path One-Shot Neural Architecture Search with Uniform Sampling", ECCV 2020, on
its ShuffleNetV2 space, here ten blocks of a quarter of the width at 16 pixels. One supernet is
trained on uniform paths and one on paths binned by multiply-adds; each is searched by the published
evolution and, at equal cost, at random, by accuracy on validation images with re-calibrated
BatchNorm, under the median of all networks' multiply-adds. What is found is trained alone and
tested on images that neither training nor search has seen; so are random networks within the limit.
What ``--out`` holds is not done again.
"""

import argparse
import dataclasses
import json
import statistics
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import torch

from benchmarks import ledger
from nascence.core.resumable import load_checkpoint, save_checkpoint
from nascence.data import Dataset, Split
from nascence.search import CrossoverEvolution, Limit, Limits, RandomSearch, search
from nascence.spaces import Architecture, ShuffleNetSpace
from nascence.supernets import (
    OneShotEvaluator,
    PathSampler,
    SuperNet,
    binned_paths,
    train_supernet,
    uniform_paths,
)
from nascence.training import evaluate, sgd, train

COLUMNS = (
    "network",
    "blocks",
    "multiply-adds",
    ("validation accuracy", "%", "higher"),
    ("test accuracy", "%", "higher"),
    ("training", "CPU-s", "lower"),
)
SIDE = 16
TEST = 5_000
SPACE = ShuffleNetSpace(
    classes=10, width=0.25, depths=(2, 2, 4, 2), stem_stride=2, strides=(1, 2, 2, 1), last=128
)


def macs(architecture: Architecture) -> float:
    return float(SPACE.macs(architecture, side=SIDE))


def read_images(path: Path, cache: Path) -> tuple[Dataset, Split]:
    """CIFAR-10: 40,000 images train, 5,000 choose, and 5,000 of the training rows test."""
    data = ledger.cifar10(path, SIDE, cache=cache)
    images, labels = data.train.images, data.train.labels
    train_split = Split(images[:-TEST], labels[:-TEST])
    part = dataclasses.replace(data, train=train_split, fingerprint=f"cifar10-{SIDE}-40000")
    return part, Split(images[-TEST:], labels[-TEST:])


def supernet_of(
    data: Dataset, kind: str, sampler: PathSampler, arguments: argparse.Namespace
) -> SuperNet:
    """Train a supernet, or go on."""
    with torch.random.fork_rng():
        torch.manual_seed(arguments.seed)
        initial = SuperNet(SPACE, statistics="tracked")
    return train_supernet(
        initial,
        data,
        generator=torch.Generator().manual_seed(arguments.seed),
        steps=arguments.steps,
        sampler=sampler,
        batch_size=64,
        learning_rate=0.1,
        weight_decay=4e-5,
        crop=2,
        checkpoint=arguments.out / f"supernet-{kind}-{arguments.seed}.pt",
    ).supernet


def searched(
    data: Dataset, supernet: SuperNet, limit: Limit, arguments: argparse.Namespace
) -> dict[str, tuple[Architecture, float]]:
    """The best of an evolution and of as many random networks, with their scores."""
    images, labels = data.validation.images, data.validation.labels
    count = arguments.images
    batches = [data.normalise(data.train.images[-128 * k - 128 :][:128]) for k in range(2)]
    score = OneShotEvaluator(
        supernet, data.normalise(images[:count]), labels[:count], recalibration=batches
    )
    generator = torch.Generator().manual_seed(arguments.seed)
    evolution = CrossoverEvolution(
        SPACE,
        generator=generator,
        population=20,
        top=5,
        crossovers=8,
        mutants=8,
        allowed=Limits(limit),
    )
    chance = RandomSearch(SPACE, generator=generator, allowed=Limits(limit))
    found = {}
    for name, strategy in (("evolution", evolution), ("random search", chance)):
        best = search(strategy, score, trials=arguments.trials).best
        found[name] = (best.architecture, best.score)
    return found


def tested(
    architecture: Architecture, data: Dataset, test: Split, arguments: argparse.Namespace
) -> tuple[float, float]:
    """Train a network alone; its accuracies on validation and on test images in percent."""
    with torch.random.fork_rng():
        torch.manual_seed(arguments.seed)
        network = SPACE.build(architecture)
    name = "".join(map(str, architecture))
    result = train(
        network,
        data,
        optimizer=sgd(0.1, weight_decay=4e-5),
        generator=torch.Generator().manual_seed(arguments.seed),
        steps=arguments.own_steps,
        batch_size=64,
        crop=2,
        measurements=0,
        checkpoint=arguments.out / f"alone-{name}-{arguments.seed}.pt",
    )
    chosen, final = (
        100 * evaluate(result.model, split, data.normalise).accuracy
        for split in (data.validation, test)
    )
    return round(chosen, 2), round(final, 2)


def kept(path: Path, make: Callable[[], dict]) -> dict:
    """What a file holds, made first where it is missing, with its CPU-seconds."""
    if not path.exists():
        started = time.process_time()
        content = {"content": json.dumps(make()), "seconds": time.process_time() - started}
        save_checkpoint(path, content)
    stored = load_checkpoint(path)
    return json.loads(stored["content"]) | {"CPU-s": round(stored["seconds"])}


def main(words: Sequence[str] | None = None) -> None:
    parser = ledger.parser(__doc__)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--steps", type=int, default=2500, help="of each supernet")
    parser.add_argument("--own-steps", type=int, default=1000, help="of each network alone")
    parser.add_argument("--trials", type=int, default=200)
    parser.add_argument("--images", type=int, default=500, help="validation images of a score")
    parser.add_argument("--random", type=int, default=4, help="random networks trained alone")
    arguments = ledger.parse(parser, words)
    arguments.out.mkdir(parents=True, exist_ok=True)
    data, test = read_images(arguments.data, arguments.out)

    generator = torch.Generator().manual_seed(0)
    costs = sorted(macs(SPACE.sample(generator=generator)) for _ in range(1001))
    limit, (low, high) = Limit("macs", macs, costs[500]), (costs[50], costs[950])
    edges = [low + (high - low) * place / 7 for place in range(8)]
    print(f"multiply-adds {costs[0]:.0f} to {costs[-1]:.0f}, limit {limit.at_most:.0f}")

    candidates: dict[str, Architecture] = {}
    samplers = {"uniform": uniform_paths, "binned": binned_paths(macs, edges)}
    for kind, sampler in samplers.items():

        def job(kind: str = kind, sampler: PathSampler = sampler) -> dict:
            supernet = supernet_of(data, kind, sampler, arguments)
            return {"found": searched(data, supernet, limit, arguments)}

        result = kept(arguments.out / f"found-{kind}-{arguments.seed}.pt", job)
        print(kind, result, flush=True)
        for name, (architecture, _) in result["found"].items():
            candidates[f"{kind} supernet, {name}"] = tuple(architecture)
    allowed = Limits(limit)
    pool = (SPACE.sample(generator=generator) for _ in range(100 * arguments.random))
    within = [each for each in pool if allowed(each)][: arguments.random]
    candidates |= {f"random network {number}": each for number, each in enumerate(within)}

    accuracies: dict[str, tuple[float, float]] = {}
    rows: list[tuple[ledger.Cell, ...]] = []
    for label, architecture in candidates.items():
        name = "".join(map(str, architecture))

        def alone(architecture: Architecture = architecture) -> dict:
            return {"accuracies": tested(architecture, data, test, arguments)}

        result = kept(arguments.out / f"tested-{name}-{arguments.seed}.pt", alone)
        accuracies[label] = tuple(result["accuracies"])
        chosen, final = accuracies[label]
        rows.append((label, name, macs(architecture), chosen, final, result["CPU-s"]))
    with ledger.Report(arguments) as report:
        table = report.table("Networks trained alone", *COLUMNS)
        for row in rows:
            table.row(*row)
    chance = [each for label, each in accuracies.items() if label.startswith("random network")]
    print("random networks, mean test accuracy", statistics.mean(each[1] for each in chance))
    print("the best of them by validation images, test accuracy", max(chance)[1])


if __name__ == "__main__":
    main()
