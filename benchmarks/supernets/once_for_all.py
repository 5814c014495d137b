"""Once-for-All on a small elastic space: what its sub-networks reach, alone and shared.

    python -m benchmarks.supernets.once_for_all run --data cifar10-train.parquet --out ofa
    python -m benchmarks.supernets.once_for_all report --out ofa

CIFAR-10 at 16 pixels, 1.6e8 networks of two stages, resolution 12, 14 or 16. Fifty random networks
are trained alone, each for 300 steps. Supernets of about equal cost in CPU-seconds score them: one
by progressive shrinking, one that trains all of its networks at once, the three parts of one split
at the depth of its first stage by progressive shrinking from the start, the same parts split after
the elastic kernels, and five parts, the deepest of the three split again. Ranks come from the
first 2,000 validation images, the truth from the other 3,000. Then a predictor, fitted on 60
further networks, finds networks under a limit.

One line of JSON a part is kept in ``--out``, with what it takes to go on after an interruption; a
finished part is not done again.
"""

import argparse
import statistics
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch

from benchmarks import ledger
from benchmarks.supernets.runs import train_alone
from nascence.data import Dataset
from nascence.metrics import kendall_tau
from nascence.search import (
    AccuracyPredictor,
    Limit,
    Limits,
    PredictorSearch,
    sample_allowed,
    search,
)
from nascence.spaces import Architecture, ElasticMobile, Stage
from nascence.spaces.decisions import sample_decisions
from nascence.supernets import (
    PHASES,
    ElasticSuperNet,
    FewShotEvaluator,
    Phase,
    progressive_shrinking,
    split,
    train_sub_supernets,
)
from nascence.supernets.once_for_all import recalibration_batches
from nascence.training import evaluate

SPACE = ElasticMobile(
    classes=10,
    stages=(Stage(16, 1), Stage(24, 2, True, True)),
    resolutions=(12, 14, 16),
    final=96,
    last=128,
    dropout=0.0,
)
COLUMNS = (
    "score",
    "seed",
    ("tau with the accuracy of training alone", "", "higher"),
    ("mean gap to training alone", "points", "higher"),
    ("training", "CPU-s", "lower"),
)
NETWORKS, ALONE = 50, 300
SCORED = 2000  # validation images that supernets are scored on; the truth is that of the others
GAP = 3000  # the gap is measured on those up to here, which are of the truth, too
SPLIT = ["stage_1_depth"]
AT_ONCE = Phase("all", 1, paths=4, distil=False)
SAMPLES, VERIFIED, LIMIT, RANDOM = 60, 10, 0.9e6, 4
SETTINGS: dict[str, Any] = {"batch_size": 64, "crop": 2, "learning_rate": 0.1}
Arm = Callable[[Dataset, Path, int], list[ElasticSuperNet]]


def run(arguments: argparse.Namespace) -> None:
    """Do what ``--out`` lacks."""
    data = ledger.cifar10(arguments.data, 16, cache=arguments.out)
    networks = sampled()
    for number, architecture in enumerate(networks):
        alone(data, arguments.out / "alone.jsonl", architecture, number)
    for seed in arguments.seeds:
        for name in arguments.arms:
            score(data, arguments, name, seed, networks)
        if seed == 0:
            search_under_limit(data, arguments, seed)


def sampled() -> list[Architecture]:
    """The networks that are compared."""
    generator = torch.Generator().manual_seed(0)
    return [sample_decisions(SPACE.decisions, generator=generator) for _ in range(NETWORKS)]


def alone(data: Dataset, kept: Path, architecture: Architecture, seed: int) -> float:
    """Train a network alone, or read what it reached: on the images of the truth."""
    name = SPACE.format(architecture)
    for row in ledger.read_rows(kept):
        if row["architecture"] == name:
            return row["accuracy"]
    start = time.process_time()
    trained = train_alone(SPACE, architecture, data, seed=seed, steps=ALONE)
    cost = time.process_time() - start
    reached = evaluate(trained.model, data.validation, data.normalise)
    right = (reached.logits.argmax(1) == data.validation.labels).float()
    accuracy = right[SCORED:].mean().item()
    ledger.keep_row(kept, {
        "architecture": name,
        "accuracy": accuracy,
        "macs": SPACE.macs(architecture),
        "parameters": SPACE.parameters(architecture),
        "cpu_seconds": round(cost, 1),
    })  # fmt: skip
    return accuracy


def fresh(seed: int) -> ElasticSuperNet:
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return ElasticSuperNet(SPACE)


def shrinking(data: Dataset, folder: Path, seed: int) -> list[ElasticSuperNet]:
    """One supernet by progressive shrinking."""
    return trained([fresh(seed)], data, folder, seed, steps=STEPS["progressive shrinking"])


def at_once(data: Dataset, folder: Path, seed: int) -> list[ElasticSuperNet]:
    """One supernet that trains networks of all kinds from the start, without a teacher."""
    steps = STEPS["all at once"]
    return trained([fresh(seed)], data, folder, seed, steps=steps, phases=[AT_ONCE])


def parts(data: Dataset, folder: Path, seed: int) -> list[ElasticSuperNet]:
    """The parts of a split supernet, each by progressive shrinking from the start."""
    sub_supernets = split(fresh(seed), SPLIT)
    steps = STEPS["3 parts"] // len(sub_supernets)
    return trained(sub_supernets, data, folder, seed, steps=steps)


def five_parts(data: Dataset, folder: Path, seed: int) -> list[ElasticSuperNet]:
    """The parts of a split at the first stage's depth, the deepest split at the second's."""
    *shallow, deepest = split(fresh(seed), SPLIT)
    sub_supernets = [*shallow, *split(deepest, ["stage_2_depth"])]
    return trained(sub_supernets, data, folder, seed, steps=STEPS["5 parts"] // len(sub_supernets))


def later_parts(data: Dataset, folder: Path, seed: int) -> list[ElasticSuperNet]:
    """One supernet for two phases, then its parts for the others, the whole as their teacher."""
    first, then = PHASES[:2], PHASES[2:]
    share = sum(phase.share for phase in first) / sum(phase.share for phase in PHASES)
    steps = round(STEPS["3 parts, split later"] * share)
    (whole,) = trained([fresh(seed)], data, folder / "whole", seed, steps=steps, phases=first)
    sub_supernets = split(whole, SPLIT)
    steps = (STEPS["3 parts, split later"] - steps) // len(sub_supernets)
    return trained(sub_supernets, data, folder, seed, steps=steps, phases=then, teacher=whole)


def trained(
    supernets: list[ElasticSuperNet], data: Dataset, folder: Path, seed: int, **settings: Any
) -> list[ElasticSuperNet]:
    settings = {**SETTINGS, **settings}
    sub_supernets = train_sub_supernets(
        supernets, data, seed=seed, out=folder, train=progressive_shrinking, **settings
    )
    return [sub_supernet.supernet for sub_supernet in sub_supernets]


ARMS: dict[str, Arm] = {
    "progressive shrinking": shrinking,
    "all at once": at_once,
    "3 parts": parts,
    "3 parts, split later": later_parts,
    "5 parts": five_parts,
}
STEPS = {
    "progressive shrinking": 900,
    "all at once": 650,
    "3 parts": 900,
    "3 parts, split later": 900,
    "5 parts": 900,
}
"""Of all supernets of an arm together, for about equal CPU-seconds."""


def evaluator(
    supernets: list[ElasticSuperNet], data: Dataset, start: int, stop: int
) -> FewShotEvaluator:
    """Accuracy by the supernets on validation images, with recalibrated statistics."""
    images = data.normalise(data.validation.images[start:stop])
    labels = data.validation.labels[start:stop]
    batches = recalibration_batches(data, 512)
    return FewShotEvaluator(supernets, images, labels, recalibration=batches)


def score(
    data: Dataset,
    arguments: argparse.Namespace,
    name: str,
    seed: int,
    networks: list[Architecture],
) -> None:
    """Train an arm and score the networks with it."""
    kept = arguments.out / "arms.jsonl"
    if any((row["arm"], row["seed"]) == (name, seed) for row in ledger.read_rows(kept)):
        return
    start = time.process_time()
    folder = arguments.out / f"{name.replace(' ', '-').replace(',', '')}-{seed}"
    supernets = ARMS[name](data, folder, seed)
    cost = time.process_time() - start
    evaluate_all = evaluator(supernets, data, 0, GAP)
    first, second = [], []
    for architecture in networks:
        sub_supernet = evaluate_all.evaluator_of(architecture)
        right = sub_supernet.logits(architecture).argmax(1) == torch.cat(sub_supernet.labels)
        first.append(right[:SCORED].float().mean().item())
        second.append(right[SCORED:].float().mean().item())
    ledger.keep_row(kept, {
        "arm": name, "seed": seed, "cpu_seconds": round(cost, 1), "steps": STEPS[name],
        "scores": first, "on_images_of_the_truth": second,
    })  # fmt: skip


def search_under_limit(data: Dataset, arguments: argparse.Namespace, seed: int) -> None:
    """Find networks under a limit with the first arm; train them and random ones alone."""
    kept = arguments.out / "search.jsonl"
    if any(row["seed"] == seed for row in ledger.read_rows(kept)):
        return
    supernets = shrinking(data, arguments.out / f"progressive-shrinking-{seed}", seed)
    evaluate_by = evaluator(supernets, data, 0, 1000)
    generator = torch.Generator().manual_seed(100 + seed)
    start = time.process_time()
    fitted = [SPACE.sample(generator=generator) for _ in range(SAMPLES)]
    predictor = AccuracyPredictor.fit(
        SPACE, fitted, [evaluate_by(each) for each in fitted], generator=generator
    )
    predicted = predictor.predict(sampled()).tolist()
    held_out = [evaluate_by(each) for each in sampled()]
    limits = Limits(Limit("macs", SPACE.macs, LIMIT))
    strategy = PredictorSearch(
        SPACE,
        generator=torch.Generator().manual_seed(seed),
        initial=SAMPLES,
        batch=VERIFIED,
        allowed=limits,
    )
    history = search(strategy, evaluate_by, trials=SAMPLES + VERIFIED)
    cost = time.process_time() - start
    found = history.best.architecture
    random = [
        sample_allowed(SPACE, allowed=limits, known=(), generator=generator) for _ in range(RANDOM)
    ]  # fmt: skip
    own = arguments.out / "limited.jsonl"
    ledger.keep_row(kept, {
        "seed": seed, "cpu_seconds": round(cost, 1), "predicted": predicted, "held_out": held_out,
        "found": SPACE.format(found), "macs": SPACE.macs(found), "score": history.best.score,
        "number": history.best.number, "sampled_best": max(
            each.score for each in history.candidates[:SAMPLES]
        ),
        "alone": [alone(data, own, found, number) for number in (1,)],
        "random": [alone(data, own, each, 1) for each in random],
        "random_macs": [SPACE.macs(each) for each in random],
        "random_scores": [evaluate_by(each) for each in random],
    })  # fmt: skip


def report(arguments: argparse.Namespace) -> None:
    """Print the tables of the ledger."""
    truth_rows = ledger.read_rows(arguments.out / "alone.jsonl")
    truth = [row["accuracy"] for row in truth_rows]
    cost = sum(row["cpu_seconds"] for row in truth_rows)
    print(
        f"{len(truth)} networks alone, {ALONE} steps each: {min(truth):.3f} to {max(truth):.3f}, "
        f"mean {statistics.mean(truth):.3f}, {cost:.0f} CPU-seconds"
    )
    mean = statistics.mean(truth)
    sampling = (mean * (1 - mean) / (5000 - SCORED)) ** 0.5
    print(
        f"deviation {100 * statistics.stdev(truth):.2f} %, of which {100 * sampling:.2f} % is that "
        f"of {5000 - SCORED} images"
    )
    with ledger.Report(arguments) as report:
        table = report.table("Fifty networks by each score", *COLUMNS)
        for name in ("macs", "parameters"):
            tau = kendall_tau([row[name] for row in truth_rows], truth)
            table.row(name, None, f"{tau:.2f}", None, 0)
        for row in ledger.read_rows(arguments.out / "arms.jsonl"):
            tau = kendall_tau(row["scores"][: len(truth)], truth)
            shared = row["on_images_of_the_truth"][: len(truth)]
            gap = 100 * (statistics.mean(shared) - statistics.mean(truth))
            seconds = f"{row['cpu_seconds']:.0f}"
            table.row(row["arm"], row["seed"], f"{tau:.2f}", f"{gap:+.1f}", seconds)
    for row in ledger.read_rows(arguments.out / "search.jsonl"):
        predicted, held = row["predicted"], row["held_out"]
        error = statistics.mean(abs(a - b) for a, b in zip(predicted, held, strict=True))
        spread = statistics.mean(abs(each - statistics.median(held)) for each in held)
        print(
            f"\npredictor, {SAMPLES} networks, on the {NETWORKS} others: mean error "
            f"{100 * error:.2f} % ({100 * spread:.2f} % for the median), tau "
            f"{kendall_tau(predicted, held):.2f} with the supernet and "
            f"{kendall_tau(predicted[: len(truth)], truth):.2f} with the truth"
        )
        print(
            f"found under {LIMIT:,.0f} macs: {row['found']}, {row['macs']:,} macs, supernet "
            f"{row['score']:.3f} (best sampled {row['sampled_best']:.3f}, candidate "
            f"{row['number']}), alone {row['alone'][0]:.3f}; {RANDOM} random: alone "
            f"{statistics.mean(row['random']):.3f}, best {max(row['random']):.3f}; "
            f"{row['cpu_seconds']:.0f} CPU-seconds"
        )


def main(words: Sequence[str] | None = None) -> None:
    parser = ledger.parser(__doc__)
    first, _ = ledger.run_and_report(parser, run, report)
    first.add_argument("--seeds", type=int, nargs="+", default=[0])
    first.add_argument("--arms", nargs="+", choices=ARMS, default=list(ARMS))
    parsed = ledger.parse(parser, words)
    parsed.run(parsed)


if __name__ == "__main__":
    main()
