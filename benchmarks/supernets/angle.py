"""How angle and accuracy from one supernet rank, shrink and search NAS-Bench-201.

    python -m benchmarks.supernets.angle train --data cifar10-train.parquet --out angle
    python -m benchmarks.supernets.angle score --data cifar10-train.parquet --out angle
    python -m benchmarks.supernets.angle shrink --data cifar10-train.parquet --out angle --seeds 0
    python -m benchmarks.supernets.angle report --table nb201.csv --out angle

``train`` keeps supernets with true labels, with random ones and with random ones of few images at
10, 30 and 100 % of their training.
``score`` keeps the re-calibrated accuracies and losses of ``--sample`` random networks, and at the
end of a training of all that SPOS's evolution asks for. ``shrink`` trains between the drops, as
published. All three go on with what ``--out`` lacks. ``report`` prints means over seeds: Kendall's
tau with the true accuracies on three data sets, of the angle over all networks, of the accuracy and
its sums with the angle on the sample; what is left after shrinking to a tenth; and the true
accuracies of what evolution finds.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path

import torch
from torch.nn import functional

from benchmarks import ledger
from benchmarks.supernets.angle_report import report
from benchmarks.supernets.angle_shrinking import (
    TENTH,
)
from benchmarks.supernets.angle_supernets import (
    KINDS,
    PARTS,
    SIDE,
    SPACE,
    initial_supernet,
    kept_path,
    labelled,
    read_kept,
    sample_of,
    train_kept,
)
from nascence.core.resumable import save_checkpoint
from nascence.data import Dataset
from nascence.search import CrossoverEvolution, search
from nascence.spaces import Architecture
from nascence.supernets import (
    OneShotEvaluator,
    SuperNet,
    restricted_paths,
    shrink,
    train_supernet,
)

IMAGES = 250


def train_all(arguments: argparse.Namespace) -> None:
    """Train what ``--out`` lacks: every kind of labels of one seed, then the next seed."""
    data = ledger.cifar10(arguments.data, SIDE, cache=arguments.out)
    for seed in arguments.seeds:
        for kind in KINDS:
            train_kept(data, kind, seed, steps=arguments.steps, out=arguments.out)


def evaluator_of(supernet: SuperNet, data: Dataset, kind: str) -> OneShotEvaluator:
    """Score by validation images; with random labels, which those lack, by training images."""
    split = data.validation if kind == "true" else data.train
    last = data.train.images
    batches = [data.normalise(last[-64:]), data.normalise(last[-128:-64])]
    images = data.normalise(split.images[:IMAGES])
    return OneShotEvaluator(
        supernet, images, split.labels[:IMAGES], measure="loss", recalibration=batches
    )


def score(arguments: argparse.Namespace) -> None:
    """Accuracies and losses of the sample, those of the end of every training first."""
    data = ledger.cifar10(arguments.data, SIDE, cache=arguments.out)
    for part in reversed(PARTS):
        for kind in KINDS:
            for seed in arguments.seeds:
                path = kept_path(arguments.out, kind, seed, part)
                target = path.with_name(path.name.replace("supernet", "scores"))
                if not path.exists() or target.exists():
                    continue
                current = read_kept(arguments.out, kind, seed, part).current
                found = scored(current, labelled(data, kind, seed), kind, seed, part, arguments)
                save_checkpoint(target, found)
                print(target.name, flush=True)


def scored(
    supernet: SuperNet,
    data: Dataset,
    kind: str,
    seed: int,
    part: float,
    arguments: argparse.Namespace,
) -> dict:
    """Scores of one supernet, as they are kept."""
    evaluate = evaluator_of(supernet, data, kind)
    labels = torch.cat(evaluate.labels)
    known: dict[Architecture, tuple[float, float]] = {}

    def accuracy(architecture: Architecture) -> float:
        path = SPACE.canonical(architecture)
        if path not in known:
            logits = evaluate.logits(path)
            right = (logits.argmax(1) == labels).double().mean()
            known[path] = float(right), -float(functional.cross_entropy(logits, labels))
        return known[path][0]

    places = sample_of(arguments.sample)
    for place in places:
        accuracy(SPACE.architecture(place))
    both = torch.tensor([known[SPACE.canonical(SPACE.architecture(place))] for place in places])
    found = {"places": places, "accuracy": both[:, 0], "negative loss": both[:, 1]}
    if part == 1:
        strategy = CrossoverEvolution(SPACE, generator=torch.Generator().manual_seed(seed))
        best = search(strategy, accuracy, trials=arguments.trials).best.architecture
        found["found"] = SPACE.index(best)
    return found


def shrink_trained(arguments: argparse.Namespace) -> None:
    """The published procedure: train, drop two, train on, until a tenth is left."""
    data = ledger.cifar10(arguments.data, SIDE, cache=arguments.out)
    for seed in arguments.seeds:
        target = arguments.out / f"shrunk-{seed}.pt"
        if target.exists():
            continue

        def step(supernet: SuperNet, number: int, seed: int = seed) -> SuperNet:
            return train_supernet(
                supernet,
                data,
                generator=torch.Generator().manual_seed(100 * seed + number),
                steps=arguments.later_steps if number else arguments.steps,
                sampler=restricted_paths,
                learning_rate=0.025 if number else 0.1,
                weight_decay=5e-4,
                crop=2,
                checkpoint=arguments.out / f"shrinking-{seed}-{number}.pt",
            ).supernet

        result = shrink(
            initial_supernet(seed),
            step,
            generator=torch.Generator().manual_seed(seed),
            at_most=TENTH,
            drop=2,
            convention="rlnas",
        )
        choices = [list(held) for held in result.space.choices]
        save_checkpoint(target, {"choices": choices, "rounds": len(result.rounds)})


def main(words: Sequence[str] | None = None) -> None:
    parser = ledger.parser(__doc__)
    runs = {"train": train_all, "score": score, "shrink": shrink_trained, "report": report}
    for name, command in ledger.commands(parser, runs).items():
        command.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
        command.add_argument("--out", type=Path, required=True)
        command.add_argument("--sample", type=int, default=400)
        command.add_argument("--trials", type=int, default=200, help="of evolution on accuracy")
        if name == "report":
            command.add_argument("--table", type=Path, required=True)
            command.add_argument("--parts", type=float, nargs="+", default=list(PARTS))
        else:
            command.add_argument("--data", type=Path, required=True)
        command.add_argument("--steps", type=int, default=1500 if name == "shrink" else 4000)
        command.add_argument("--later-steps", type=int, default=150, help="between drops")
    arguments = ledger.parse(parser, words)
    arguments.run(arguments)


if __name__ == "__main__":
    main()
