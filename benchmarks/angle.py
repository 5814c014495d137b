"""How angle and accuracy from one supernet rank, shrink and search NAS-Bench-201.

    python benchmarks/angle.py train --data cifar10-train.parquet --out angle
    python benchmarks/angle.py score --data cifar10-train.parquet --out angle
    python benchmarks/angle.py report --table nb201.csv --out angle
    python benchmarks/angle.py reuse --supernets supernets --table nb201.csv --out angle

``train`` keeps supernets with true and with random labels at 10, 30 and 100 % of their training,
``score`` their re-calibrated accuracies of ``--sample`` random networks; both go on with what
``--out`` lacks. ``report`` prints, for each, Kendall's tau with the true accuracies on three data
sets: of the angle over all networks, of the angle, the accuracy and their rank sum on the sample;
what shrinking to a tenth at once by the angle leaves, beside FLOPs and chance; and the true
accuracy of what evolution finds by the angle and by the accuracy. ``reuse`` does the same from the
supernets that ``nb201_supernets.py run --sample 1500`` left.
"""

import argparse
import csv
import json
import statistics
from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor

from angle_supernets import (
    KINDS,
    PARTS,
    SPACE,
    kept_path,
    labelled,
    read_images,
    read_kept,
    train_kept,
)
from nascence.metrics import kendall_tau
from nascence.params import load_checkpoint, save_checkpoint
from nascence.search import (
    AngleEvaluator,
    CrossoverEvolution,
    OneShotEvaluator,
    drop_worst,
    operation_scores,
    search,
)
from nascence.spaces import Architecture, SuperNet

TRUTHS = {"CIFAR-10": "c10_test_200", "CIFAR-100": "c100_test_200", "ImageNet16": "in16_test_200"}
EVERYTHING = torch.tensor(list(SPACE))
TENTH = SPACE.size // 10


def train(arguments: argparse.Namespace) -> None:
    """Train what ``--out`` lacks: true and random labels of one seed, then the next seed."""
    data = read_images(arguments.data, arguments.out)
    for seed in arguments.seeds:
        for kind in KINDS:
            train_kept(data, kind, seed, steps=arguments.steps, out=arguments.out)


def sample_of(size: int) -> list[int]:
    """Places of a fixed random sample, the same as that of ``nb201_supernets.py``."""
    order = torch.randperm(SPACE.size, generator=torch.Generator().manual_seed(0))
    return sorted(order[:size].tolist())


def score(arguments: argparse.Namespace) -> None:
    """Re-calibrated accuracy of the sample; with random labels, of 250 training images on them."""
    data = read_images(arguments.data, arguments.out)
    places = sample_of(arguments.sample)
    for seed in arguments.seeds:
        for kind in KINDS:
            own = labelled(data, kind, seed)
            split = own.validation if kind == "true" else own.train
            images = own.normalise(split.images[:250])
            batches = [
                own.normalise(own.train.images[-128:]),
                own.normalise(own.train.images[-256:-128]),
            ]
            for part in PARTS:
                path = kept_path(arguments.out, kind, seed, part)
                target = path.with_name(path.name.replace("supernet", "scores"))
                if target.exists() or not path.exists():
                    continue
                kept = read_kept(arguments.out, kind, seed, part)
                evaluate = OneShotEvaluator(
                    kept.current, images, split.labels[:250], recalibration=batches
                )
                found = [evaluate(SPACE.architecture(place)) for place in places]
                save_checkpoint(target, {"accuracy": torch.tensor(found), "places": places})


def read_truth(path: Path) -> dict[str, Tensor]:
    """Columns of the table in the order of the space."""
    with path.open() as file:
        rows = list(csv.DictReader(file))
    rows.sort(key=lambda row: SPACE.index(SPACE.parse(row["arch"])))
    names = {**TRUTHS, "MFLOPs": "mflops_c10", "parameters": "params"}
    return {
        name: torch.tensor([float(row[column]) for row in rows], dtype=torch.float64)
        for name, column in names.items()
    }


def ranks(scores: Tensor) -> Tensor:
    """Mean ranks, ties given their mean."""
    _, inverse, counts = torch.unique(scores, return_inverse=True, return_counts=True)
    return (counts.cumsum(0) - (counts - 1) / 2)[inverse]


def taus(scores: Tensor, truth: dict[str, Tensor], places: list[int] | None = None) -> list[float]:
    """Kendall's tau with the true accuracies of the three data sets."""
    rows = slice(None) if places is None else places
    return [round(kendall_tau(scores, truth[name][rows]), 3) for name in TRUTHS]


def shrunk(score_all: Callable[[list[Architecture]], Tensor], truth: Tensor) -> dict[str, float]:
    """Drop the worst operation again and again, scores taken anew, until a tenth is left."""
    generator = torch.Generator().manual_seed(0)
    choices = tuple(tuple(range(len(decision.choices))) for decision in SPACE.decisions)
    while True:
        scores = operation_scores(SPACE, choices, score_all, generator=generator)
        choices, dropped = drop_worst(SPACE, choices, scores, count=1, at_most=TENTH)
        if not dropped:
            return left(choices, truth)


def left(choices: tuple[tuple[int, ...], ...], truth: Tensor) -> dict[str, float]:
    """Size, mean true accuracy and share of the true top 1 % of what is left."""
    inside = torch.ones(len(truth), dtype=torch.bool)
    for place, held in enumerate(choices):
        inside &= torch.isin(EVERYTHING[:, place], torch.tensor(held))
    top = torch.zeros_like(inside)
    top[truth.argsort(descending=True)[: round(len(truth) / 100)]] = True
    return {
        "left": int(inside.sum()),
        "mean": round(float(truth[inside].mean()), 2),
        "top 1 %": round(float((inside & top).sum() / top.sum()), 3),
    }


def by_chance(truth: Tensor, seed: int) -> dict[str, float]:
    """Drop operations at random until a tenth is left."""
    generator = torch.Generator().manual_seed(seed)
    choices = tuple(tuple(range(len(decision.choices))) for decision in SPACE.decisions)
    scores = {
        (place, index): float(torch.rand((), generator=generator))
        for place, held in enumerate(choices)
        for index in held
    }
    choices, _ = drop_worst(SPACE, choices, scores, count=len(scores), at_most=TENTH)
    return left(choices, truth)


def found_by(
    evaluate: Callable[[Architecture], float], truth: dict[str, Tensor], *, seed: int, trials: int
) -> list[float]:
    """True accuracies of the best network of SPOS's evolution."""
    strategy = CrossoverEvolution(SPACE, generator=torch.Generator().manual_seed(seed))
    best = search(strategy, evaluate, trials=trials).best.architecture
    return [round(float(truth[name][SPACE.index(best)]), 2) for name in TRUTHS]


def figures(
    initial: SuperNet,
    current: SuperNet,
    truth: dict[str, Tensor],
    measures: dict[str, Tensor],
    places: list[int],
    seed: int,
) -> dict:
    """All that one supernet shows; the angle of the rank sum is that of the candidates."""
    found: dict = {}
    for convention in ("abs", "rlnas", "candidates"):
        evaluate = AngleEvaluator(initial, current, convention=convention)
        angle = evaluate.many(EVERYTHING)
        found[f"angle {convention}"] = taus(angle, truth)
    found["angle on the sample"] = taus(angle[places], truth, places)
    for name, scores in measures.items():
        both = ranks(scores) + ranks(angle[places])
        found[name] = taus(scores, truth, places)
        found[f"angle + {name}"] = taus(both, truth, places)
        for label, each in ((name, scores), (f"angle + {name}", both)):
            first = places[int(each.argmax())]
            found[f"{label}, first"] = [round(float(truth[t][first]), 2) for t in TRUTHS]
    published = AngleEvaluator(initial, current)
    for name, each in (("rlnas", published), ("candidates", evaluate)):
        found[f"shrunk by angle {name}"] = shrunk(each.many, truth["CIFAR-10"])
        known = each.many(EVERYTHING)
        found[f"evolution on angle {name}"] = found_by(
            lambda architecture, known=known: float(known[SPACE.index(architecture)]),
            truth,
            seed=seed,
            trials=500,
        )
    return found


def baselines(truth: dict[str, Tensor], places: list[int]) -> None:
    """Print what FLOPs, parameters and chance do."""
    for name in ("MFLOPs", "parameters"):
        print(name, taus(truth[name], truth), "sample", taus(truth[name][places], truth, places))

    def flops(architectures: list[Architecture]) -> Tensor:
        return truth["MFLOPs"][[SPACE.index(each) for each in architectures]]

    print("shrunk by FLOPs", shrunk(flops, truth["CIFAR-10"]))
    whole = truth["CIFAR-10"]
    chance = [by_chance(whole, seed) for seed in range(100)]
    mean = {key: round(statistics.mean(each[key] for each in chance), 3) for key in chance[0]}
    print("shrunk at random, seeds 0 1 2", chance[:3], "mean of 100", mean)


def report(arguments: argparse.Namespace) -> None:
    """Print the figures of every supernet that is kept."""
    truth = read_truth(arguments.table)
    places = sample_of(arguments.sample)
    baselines(truth, places)
    for part in PARTS:
        for kind in KINDS:
            for seed in arguments.seeds:
                path = kept_path(arguments.out, kind, seed, part)
                if not path.exists():
                    continue
                kept = read_kept(arguments.out, kind, seed, part)
                scores = path.with_name(path.name.replace("supernet", "scores"))
                measures, own = {}, places
                if scores.exists():
                    content = load_checkpoint(scores)
                    measures, own = {"accuracy": content["accuracy"]}, content["places"]
                line = {"labels": kind, "part": part, "seed": seed, "steps": kept.steps}
                line |= figures(kept.initial, kept.current, truth, measures, own, seed)
                print(json.dumps(line), flush=True)


def reuse(arguments: argparse.Namespace) -> None:
    """Print the figures of another benchmark's supernets, which have batch statistics."""
    truth = read_truth(arguments.table)
    places = sample_of(1500)
    baselines(truth, places)
    for seed in arguments.seeds:
        path = arguments.supernets / f"supernet-{seed}.pt"
        scores = arguments.supernets / f"scores-{seed}-1-of-1500.pt"
        if not path.exists() or not scores.exists():
            continue
        content = load_checkpoint(path)
        initial, current = SuperNet(SPACE), SuperNet(SPACE)
        initial.load_state_dict(content["initial"])
        current.load_state_dict(content["trained"])
        known = load_checkpoint(scores)
        measures = {name: known[name] for name in ("accuracy", "negative loss")}
        line = {"labels": "true", "seed": seed, "steps": content["steps"]}
        line |= figures(initial, current, truth, measures, places, seed)
        print(json.dumps(line), flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    commands = parser.add_subparsers(required=True)
    for run in (train, score, report, reuse):
        command = commands.add_parser(run.__name__)
        command.set_defaults(run=run)
        command.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
        command.add_argument("--out", type=Path, required=True)
        command.add_argument("--sample", type=int, default=400)
        if run in (train, score):
            command.add_argument("--data", type=Path, required=True)
        else:
            command.add_argument("--table", type=Path, required=True)
        if run is train:
            command.add_argument("--steps", type=int, default=3000)
        if run is reuse:
            command.add_argument("--supernets", type=Path, required=True)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    arguments.run(arguments)


if __name__ == "__main__":
    main()
