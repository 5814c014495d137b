"""The small space: all 1,296 networks trained alone, and how supernets rank them.

    python -m benchmarks.supernets.small_space truth --data cifar10-train.parquet --out small
    python -m benchmarks.supernets.small_space supernets --data cifar10-train.parquet --out small
    python -m benchmarks.supernets.small_space supernets --late --data cifar10-train.parquet \
        --out small
    python -m benchmarks.supernets.small_space report --out small

``truth`` trains one network of each of the 253 classes of equal function for ``--steps`` steps on
8-pixel CIFAR-10 images, in a random order, and appends a line for each to ``truth.jsonl``: killed
and started again, it goes on with what is missing. ``supernets`` trains a one-shot supernet for T
steps, splits it at one, two and three edges into 6, 36 and 216 parts and trains each part for L
more steps; at equal total cost every kind has T + 36 L steps in all, or with ``--late`` T + 24 L
before the split and 12 L after it. ``report`` prints Kendall's tau between their scores and the
accuracies of ``truth``, over all networks whose class was trained.
"""

import argparse
import time
from collections.abc import Sequence
from pathlib import Path

import torch

from benchmarks import ledger
from benchmarks.supernets.runs import (
    Runs,
    accuracy_and_loss,
    columns,
    figures,
    show_figures,
    show_kept,
    train_alone,
)
from nascence.data import Dataset
from nascence.metrics import kendall_tau
from nascence.spaces import Architecture, SmallSpace
from nascence.supernets import FewShotEvaluator, SuperNet
from nascence.training import evaluate

SPACE = SmallSpace(width=16)
SIDE = 8
BATCH = 128
IMAGES = 250
EDGES = tuple(decision.name for decision in SPACE.decisions)


def alone(architecture: Architecture, data: Dataset, *, seed: int, steps: int) -> dict[str, float]:
    """Train one network; validation accuracy and loss, and the seconds that it took."""
    start = time.process_time()
    trained = train_alone(
        SPACE, architecture, data, seed=seed, steps=steps, batch_size=BATCH, crop=1
    )
    result = evaluate(trained.model, data.validation, data.normalise, batch_size=1000)
    return {
        "accuracy": result.accuracy,
        "loss": result.loss,
        "seconds": round(time.process_time() - start, 3),
    }


def truth(arguments: argparse.Namespace) -> None:
    """Train what ``truth.jsonl`` lacks."""
    data = ledger.cifar10(arguments.data, SIDE, cache=arguments.out)
    path = arguments.out / "truth.jsonl"
    rows = ledger.read_rows(path)
    done = {(row["seed"], row["steps"], tuple(row["architecture"])) for row in rows}
    classes = sorted({SPACE.canonical(architecture) for architecture in SPACE})
    order = torch.randperm(len(classes), generator=torch.Generator().manual_seed(0)).tolist()
    for seed in arguments.seeds:
        for place in order[: arguments.limit]:
            if (seed, arguments.steps, classes[place]) in done:
                continue
            found = alone(classes[place], data, seed=seed, steps=arguments.steps)
            key = {"seed": seed, "steps": arguments.steps, "architecture": classes[place]}
            ledger.keep_row(path, {**key, **found})
            print(SPACE.format(classes[place]), found, flush=True)


def score_all(sub_supernets: list[SuperNet], data: Dataset) -> dict[str, torch.Tensor]:
    """Accuracy and negative loss of all 1,296 networks."""
    images = data.normalise(data.validation.images[:IMAGES])
    images, labels = images.to(memory_format=torch.channels_last), data.validation.labels[:IMAGES]
    evaluate = FewShotEvaluator(sub_supernets, images, labels, batch_size=IMAGES)
    known: dict[tuple, tuple[float, float]] = {}
    pairs = []
    for architecture in SPACE:
        sub_supernet = evaluate.evaluator_of(architecture)
        key = sub_supernet.supernet.choices, sub_supernet.supernet.path(architecture)
        if key not in known:
            known[key] = accuracy_and_loss(sub_supernet.logits(architecture), labels)
        pairs.append(known[key])
    return columns(pairs)


def supernets(arguments: argparse.Namespace) -> None:
    """Train and score what ``--out`` lacks."""
    data = ledger.cifar10(arguments.data, SIDE, cache=arguments.out)
    base, leaf = arguments.steps, arguments.leaf_steps

    def runs_of(seed: int, base: int) -> Runs:
        settings = {"batch_size": BATCH, "crop": 1, "learning_rate": arguments.learning_rate}
        return Runs(
            SPACE,
            data,
            out=arguments.out,
            seed=seed,
            base=base,
            score=lambda sub_supernets: score_all(sub_supernets, data),
            settings=settings,
        )

    if arguments.late:
        for seed in arguments.seeds:
            runs = runs_of(seed, base + 24 * leaf)
            runs.few_shot("6 split late", EDGES[:1], 2 * leaf)
            runs.few_shot("36 split late", EDGES[:2], leaf // 3)
        return
    for seed in arguments.seeds:
        runs = runs_of(seed, base)
        runs.one_shot("1", base)
        runs.few_shot("36", EDGES[:2], leaf)
        runs.one_shot("1 at equal total", base + 36 * leaf)
        runs.few_shot("6 at equal total", EDGES[:1], 6 * leaf)
        runs.few_shot("6", EDGES[:1], leaf)
        runs.few_shot("216 at equal total", EDGES[:3], leaf // 6)
    for seed in arguments.seeds[: arguments.seeds_of_216]:
        runs_of(seed, base).few_shot("216", EDGES[:3], leaf)


def read_truth(out: Path) -> dict[int, dict[Architecture, float]]:
    """For each seed, accuracy by canonical architecture."""
    found: dict[int, dict[Architecture, float]] = {}
    for row in ledger.read_rows(out / "truth.jsonl"):
        found.setdefault(row["seed"], {})[tuple(row["architecture"])] = row["accuracy"]
    return found


def report(arguments: argparse.Namespace) -> None:
    """Print the figures over the networks whose class was trained."""
    truths = read_truth(arguments.out)
    known = truths[min(truths)]
    kept = [place for place, each in enumerate(SPACE) if SPACE.canonical(each) in known]
    networks = [each for each in SPACE if SPACE.canonical(each) in known]
    truth = [known[SPACE.canonical(each)] for each in networks]
    print(f"{len(networks)} networks of {len(known)} classes, the best {max(truth):.3f}")
    for seed, other in truths.items():
        both = sorted(set(other) & set(known))
        if seed != min(truths) and len(both) > 1:
            again = kendall_tau([other[each] for each in both], [known[each] for each in both])
            print(f"tau between seeds {min(truths)} and {seed}, {len(both)} classes: {again:.3f}")
    costs = {
        "MACs": [SPACE.macs(each, side=SIDE) for each in networks],
        "parameters": [SPACE.parameters(each) for each in networks],
    }
    with ledger.Report(arguments) as report:
        show_figures(report, {name: figures(scores, truth) for name, scores in costs.items()})
        show_kept(report, arguments.out, lambda scores: scores[kept].tolist(), truth)


def main(words: Sequence[str] | None = None) -> None:
    parser = ledger.parser(__doc__)
    runs = {"truth": truth, "supernets": supernets, "report": report}
    first, second, third = ledger.commands(parser, runs).values()
    for command in (first, second, third):
        command.add_argument("--out", type=Path, required=True)
    for command in (first, second):
        command.add_argument("--data", type=Path, required=True)
    first.add_argument("--steps", type=int, default=250)
    first.add_argument("--seeds", type=int, nargs="+", default=[0])
    first.add_argument("--limit", type=int, help="only so many classes")
    second.add_argument("--steps", type=int, default=600, help="T, of the one-shot supernet")
    second.add_argument("--leaf-steps", type=int, default=102, help="L, of each part")
    second.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    second.add_argument("--late", action="store_true", help="only the late splits")
    second.add_argument("--seeds-of-216", type=int, default=1, help="seeds of 216 parts of L")
    second.add_argument("--learning-rate", type=float, default=0.1)
    arguments = ledger.parse(parser, words)
    arguments.run(arguments)


if __name__ == "__main__":
    main()
