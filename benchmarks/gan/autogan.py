"""AutoGAN on CIFAR-10 at 16 pixels: one-shot, few-shot at equal total cost, random generators.

    python -m benchmarks.gan.autogan run --data cifar10-train.parquet --out autogan
    python -m benchmarks.gan.autogan report --out autogan

A classifier is trained once; the classifier score and the Fréchet distance on its features are
the figures, and neither is the Inception score or the FID. Few-shot splits the normalisation of
the last stage into its three choices. What each search finds, and ten random generators, are
trained alone with the same settings. One line of JSON a finished part is kept in ``--out``, and
a finished part is not done again.
"""

import argparse
import statistics
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import torch

from benchmarks import ledger
from nascence.data import Dataset
from nascence.gan import (
    ClassifierQuality,
    autogan,
    generate,
    latents,
    train_classifier,
    train_generator,
)
from nascence.gan.images import signed
from nascence.spaces import Architecture, GeneratorSpace
from nascence.supernets import SuperNet, split

COLUMNS = (
    "generators",
    ("classifier score", "", "higher"),
    ("Fréchet distance on its features", "", "lower"),
    ("search", "CPU-s", "lower"),
    ("training", "CPU-s", "lower"),
)
SPACE = GeneratorSpace(stages=2, width=32, latent=64)
CLASSIFIER_STEPS = 2500
ALONE: dict[str, Any] = {"steps": 700, "batch_size": 32, "generated": 32, "critic_steps": 1,
         "rates": (1e-3, 1e-3), "average_decay": 0.99, "discriminator_width": 32}  # fmt: skip
SEARCH: dict[str, Any] = {"steps": 900, "round_steps": 60, "controller_steps": 10, "images": 300,
          "controller_rate": 3.5e-3, "batch_size": 32, "generated": 32, "critic_steps": 1,
          "rates": (1e-3, 1e-3), "discriminator_width": 32}  # fmt: skip
SPLIT = "stage_2_normalisation"
KINDS = ("one-shot", "few-shot")
RANDOM = 10
IMAGES = 5000  # from which a generator's figures are taken, as many as there are real ones


def quality_of(arguments: argparse.Namespace, data: Dataset) -> tuple[ClassifierQuality, float]:
    """The scores, measured from the validation images, and the classifier's accuracy."""
    trained = train_classifier(
        data,
        generator=torch.Generator().manual_seed(0),
        steps=CLASSIFIER_STEPS,
        checkpoint=arguments.out / "classifier.pt",
    )
    judge = trained.classifier
    quality = ClassifierQuality(judge.probabilities, judge.features, data.validation.images)
    return quality, trained.accuracy


def figures(quality: ClassifierQuality, images: torch.Tensor) -> dict[str, float]:
    return {"score": quality.score(images), "distance": quality.distance(images)}


def alone(
    architecture: Architecture, seed: int, quality: ClassifierQuality, data: Dataset
) -> dict[str, Any]:
    """Train a generator alone and measure it."""
    trained = train_generator(
        SPACE, architecture, data, generator=torch.Generator().manual_seed(seed), **ALONE
    )
    vectors = latents(SPACE, IMAGES, generator=torch.Generator().manual_seed(7))
    found = figures(quality, generate(trained.generator, vectors))
    last = trained.losses[-100:]
    return found | {
        "architecture": SPACE.format(architecture),
        "discriminator_loss": statistics.mean(each.discriminator for each in last),
        "generator_loss": statistics.mean(each.generator or 0.0 for each in last),
    }


def search(
    kind: str, seed: int, quality: ClassifierQuality, data: Dataset, folder: Path
) -> dict[str, Any]:
    """One search: what it found, its score with shared weights, and what its parts found."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        whole = SuperNet(SPACE, affine="fixed")
    history = autogan(
        whole if kind == "one-shot" else split(whole, [SPLIT]),
        data,
        generator=torch.Generator().manual_seed(seed),
        score=quality.score,
        out=folder / f"{kind}-{seed}",
        **SEARCH,
    )
    return {
        "architecture": SPACE.format(history.best.architecture),
        "shared_score": history.best.score,
        "part": history.best_sub_supernet,
        "parts": [
            [SPACE.format(growth.architectures[0]), growth.scores[0]]
            for growth in history.growths
            if growth.stage == SPACE.stages
        ],
        "rewards": [
            [each.sub_supernet, each.stage, each.reward, each.entropy] for each in history.rounds
        ],
        "resets": max(each.resets for each in history.rounds),
    }


def reference(quality: ClassifierQuality, data: Dataset) -> dict[str, float]:
    """What real images reach: the validation images, and as many training images."""
    real = figures(quality, signed(data.validation.images))
    training = figures(quality, signed(data.train.images[:IMAGES]))
    return {
        "score": real["score"],
        "distance": training["distance"],
        "training_score": training["score"],
    }


def untrained(quality: ClassifierQuality) -> dict[str, list[float]]:
    """The figures of the random generators before their training."""
    found: dict[str, list[float]] = {"scores": [], "distances": []}
    for architecture in random_generators():
        with torch.random.fork_rng():
            torch.manual_seed(0)
            network = SPACE.build(architecture)
        vectors = latents(SPACE, IMAGES, generator=torch.Generator().manual_seed(7))
        measured = figures(quality, generate(network, vectors))  # BatchNorm as in training
        found["scores"].append(measured["score"])
        found["distances"].append(measured["distance"])
    return found


def random_generators() -> list[Architecture]:
    generator = torch.Generator().manual_seed(100)
    return [SPACE.sample(generator=generator) for _ in range(RANDOM)]


def run(arguments: argparse.Namespace) -> None:
    """Do what ``--out`` lacks."""
    data = ledger.cifar10(arguments.data, 16, cache=arguments.out)
    parts = ledger.Parts(arguments.out / "runs.jsonl")

    def part(name: str, make: Callable[[], dict[str, Any]]) -> dict[str, Any]:
        result: dict[str, Any] = parts.get(name, lambda: {"result": make()})["result"]
        return result

    started = time.process_time()
    quality, accuracy = quality_of(arguments, data)
    part("classifier", lambda: {"accuracy": accuracy, "seconds": time.process_time() - started})
    part("reference", lambda: reference(quality, data))
    part("untrained", lambda: untrained(quality))

    def searches(seed: int) -> None:
        for kind in KINDS:
            make = partial(search, kind, seed, quality, data, arguments.out)
            architecture = SPACE.parse(part(f"{kind} {seed}", make)["architecture"])
            part(f"{kind} {seed} alone", partial(alone, architecture, seed, quality, data))

    searches(arguments.seeds[0])
    for number, architecture in enumerate(random_generators()):
        part(f"random {number}", partial(alone, architecture, 0, quality, data))
    for seed in arguments.seeds[1:]:
        searches(seed)
    for kind in KINDS:  # what the seed of a training alone makes of it
        first = parts.done[f"{kind} {arguments.seeds[0]}"]["result"]
        architecture = SPACE.parse(first["architecture"])
        part(f"{kind} again", partial(alone, architecture, 10, quality, data))


def report(arguments: argparse.Namespace) -> None:
    """Print the figures of every generator."""
    done = ledger.Parts(arguments.out / "runs.jsonl").done
    with ledger.Report(arguments) as report:
        show(report.table("Generators", *COLUMNS), done, arguments.seeds)


def show(table: ledger.Table, done: dict[str, dict[str, Any]], seeds: Sequence[int]) -> None:
    """Add a row for each generator, or group of generators."""
    spread = partial(ledger.spread, form=".2f")
    if "classifier" in done:
        print(f"classifier: {100 * done['classifier']['result']['accuracy']:.1f} % right")
    if "reference" in done:
        real = done["reference"]["result"]
        table.row("real images", f"{real['score']:.2f}", f"{real['distance']:.2f}", None, None)
    if "untrained" in done:
        values = done["untrained"]["result"]
        table.row("untrained", spread(values["scores"]), spread(values["distances"]), None, None)
    alone_rows = [row for name, row in done.items() if name.startswith("random")]
    if alone_rows:
        results = [row["result"] for row in alone_rows]
        cost = ledger.spread((row["cpu_seconds"] for row in alone_rows), ".0f")
        scores = [each["score"] for each in results]
        distances = [each["distance"] for each in results]
        table.row(f"random, {len(results)}", spread(scores), spread(distances), None, cost)
        best = f"{max(scores):.2f}", f"{min(distances):.2f}"
        table.row("the best of them", *best, None, None)
    for kind in KINDS:
        for seed in seeds:
            if f"{kind} {seed} alone" not in done:
                continue
            searched, trained = done[f"{kind} {seed}"], done[f"{kind} {seed} alone"]
            result = trained["result"]
            table.row(
                f"{kind}, seed {seed}: {searched['result']['architecture']}",
                f"{result['score']:.2f}",
                f"{result['distance']:.2f}",
                f"{searched['cpu_seconds']:.0f}",
                f"{trained['cpu_seconds']:.0f}",
            )
            print(f"  with shared weights {searched['result']['shared_score']:.2f}; parts:",
                  searched["result"]["parts"])  # fmt: skip
    again = [done[name] for name in (f"{kind} again" for kind in KINDS) if name in done]
    for row in alone_rows + again:
        result = row["result"]
        print(result["architecture"], f"{result['score']:.2f}", f"{result['distance']:.2f}")


def main(words: Sequence[str] | None = None) -> None:
    parser = ledger.parser(__doc__)
    first, second = ledger.run_and_report(parser, run, report)
    for command in (first, second):
        command.add_argument("--seeds", type=int, nargs="+", default=[0, 1])
    parsed = ledger.parse(parser, words)
    parsed.run(parsed)


if __name__ == "__main__":
    main()
