"""The implicit feature pyramid against explicit ones, in the same detector.

    python -m benchmarks.detect.pyramid --data cifar10-train.parquet --out runs/pyramid
    python -m benchmarks.detect.pyramid --data cifar10-train.parquet --out runs/pyramid --table

Scenes of 96 pixels with 1 to 5 CIFAR-10 pictures of 12 to 80 pixels on textured grounds, to be
found as vehicles and animals (--classes 10 wants the ten classes); the last 5,000 rows of the file
are placed in the scenes of the test alone. The backbone (a residual network of four blocks) is
first trained to classify the pictures, once, as detectors start from ImageNet. Every arm of a seed
then has the same backbone, the same head, the same first weights of both, the same scenes in the
same order and the same steps. Finished arms in --out are read, not repeated; a broken-off one goes
on from its checkpoint.
"""

import argparse
import copy
import statistics
import time
import warnings
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from benchmarks import ledger
from nascence import training
from nascence.data import Dataset, Split
from nascence.detect import (
    DetectionHead,
    Detector,
    FeatureMaps,
    Scenes,
    evaluate_detector,
    train_detector,
)
from nascence.graph import count_parameters
from nascence.implicit import (
    ConvergenceWarning,
    ExplicitPyramid,
    ImplicitPyramid,
    Phantom,
    TopDownPyramid,
)
from nascence.models import ResNet
from nascence.models.resnet import BasicBlock

WIDTHS = (24, 32, 48, 64)
STAGES = ("stages.1", "stages.2", "stages.3")
STRIDES = (8, 16, 32)
CHANNELS = 32
AREAS = {"small": (0.0, 24.0**2), "medium": (24.0**2, 48.0**2), "large": (48.0**2, 1e9)}
FIGURES = ("AP", "AP50", "AP75", "small", "medium", "large")
BEFORE = ("pyramid", "seeds", "parameters", "of the pyramid")
AFTER = (("training", "CPU-s", "lower"), ("test", "CPU-ms an image", "lower"))
TEST_SCENES = 500
SCENES = {
    96: partial(Scenes, size=96, objects=(1, 5), sides=(12, 80)),
    128: partial(Scenes, size=128, objects=(1, 6), sides=(12, 96)),
}
PRETRAINING_STEPS = 2500

implicit = partial(
    ImplicitPyramid, solver="picard", backward=Phantom(steps=3, damping=1.0), warn=False
)


def top_down(in_channels: Sequence[int], channels: int, *, extra: int) -> TopDownPyramid:
    """The narrowest top-down pyramid with at least the parameters of the implicit one."""
    make = partial(TopDownPyramid, in_channels, channels, extra=extra)
    inner = channels
    with torch.device("meta"):  # to count, without drawing weights
        wanted = count_parameters(ImplicitPyramid(in_channels, channels, extra=extra))
        while count_parameters(make(inner=inner)) < wanted:
            inner += 1
    return make(inner=inner)


ARMS: dict[str, Callable[..., nn.Module]] = {
    "top-down": top_down,
    "explicit, 1 block": ExplicitPyramid,
    "explicit, 4 blocks": partial(ExplicitPyramid, blocks=4),
    "implicit": implicit,
    "implicit, scale 1": partial(implicit, scale=1.0),
    "implicit, implicit gradient": partial(implicit, solver="anderson", backward="implicit"),
    "implicit, phantom 5": partial(implicit, backward=Phantom(steps=5, damping=1.0)),
    "implicit, two convolutions": partial(implicit, depth=2),
    "explicit, 1 block of two convolutions": partial(ExplicitPyramid, depth=2),
}
# airplane, automobile, bird, cat, deer, dog, frog, horse, ship, truck
VEHICLE_OR_ANIMAL = (0, 0, 1, 1, 1, 1, 1, 1, 0, 0)
MAIN = ("top-down", "explicit, 1 block", "explicit, 4 blocks", "implicit")


def pretrained(data: Dataset, out: Path, steps: int) -> ResNet:
    """The backbone, trained as a classifier at four sizes in turn; its classifier is taken off."""
    torch.manual_seed(0)
    network = ResNet(BasicBlock, (1, 1, 1, 1), WIDTHS, classes=10)
    result = training.train(
        network.to(memory_format=torch.channels_last),  # type: ignore[call-overload]
        data,
        optimizer=training.adamw(3e-3),
        generator=torch.Generator().manual_seed(0),
        steps=steps,
        batch_size=128,
        resolution_schedule=lambda fraction: (24, 32, 48, 64)[round(fraction * steps) % 4],
        measurements=5,
        checkpoint=out / "backbone.pt",
        progress=_say("backbone"),
    )
    print(f"backbone: {100 * result.curve[-1].accuracy:.1f} % of the pictures at 32 pixels")
    backbone = result.model
    assert isinstance(backbone, ResNet)
    backbone.head = nn.Identity()  # type: ignore[assignment]
    return backbone


def _say(what: str) -> Callable[[float, Any], None]:
    def progress(fraction: float, measured: Any) -> None:
        if measured is not None:
            print(f"{what}: {fraction:.0%} {measured}", flush=True)

    return progress


def merged(split: Split, classes: int) -> Split:
    """The pictures with their ten classes, or with two: vehicles and animals."""
    if classes == 10:
        return split
    return Split(split.images, torch.tensor(VEHICLE_OR_ANIMAL)[split.labels])


def build(arm: str, backbone: ResNet, seed: int, *, classes: int, maps: int) -> Detector:
    """The detector of an arm; backbone and head start alike in all arms of a seed.

    With fewer than three ``maps`` the backbone ends there, and the pyramid makes the levels left.
    """
    backbone = copy.deepcopy(backbone)
    backbone.stages = backbone.stages[: maps + 1]  # type: ignore[assignment]
    torch.manual_seed(2 * seed)
    head = DetectionHead(CHANNELS, classes, STRIDES, convolutions=1)
    torch.manual_seed(2 * seed + 1)
    pyramid = ARMS[arm](WIDTHS[1 : maps + 1], CHANNELS, extra=len(STAGES) - maps)
    detector = Detector(FeatureMaps(backbone, STAGES[:maps]), pyramid, head, reach=3.0)
    return detector.to(memory_format=torch.channels_last)  # type: ignore[call-overload]


def run(
    arm: str, seed: int, options: argparse.Namespace, backbone: ResNet, data: Dataset
) -> dict[str, Any]:
    """Train and test one arm."""
    steps, classes, maps = options.steps, options.classes, options.maps
    detector = build(arm, backbone, seed, classes=classes, maps=maps)
    stem = arm.replace(", ", "-").replace(" ", "-")
    name = f"{stem}-{seed}-{classes}-{maps}-{options.size}-{steps}.pt"

    def progress(step: int, loss: float) -> None:
        if step % 100 == 0:
            print(f"{arm}, seed {seed}: step {step} loss {loss:.3f}", flush=True)

    result = train_detector(
        detector,
        SCENES[options.size](merged(data.train, classes), seed=1000 + seed),
        normalise=data.normalise,
        optimizer=training.adamw(2e-3),
        steps=steps,
        checkpoint=options.out / name,
        progress=progress,
    )
    test = SCENES[options.size](merged(data.validation, classes), seed=1)
    started = time.process_time()
    found = evaluate_detector(
        result.detector, test, normalise=data.normalise, count=TEST_SCENES, areas=AREAS
    )
    tested = time.process_time() - started
    return {
        **{"arm": arm, "seed": seed, "classes": classes, "maps": maps, "steps": steps},
        "size": options.size,
        **{"AP": found.ap, "AP50": found.ap50, "AP75": found.ap75, **found.by_area},
        "parameters": count_parameters(detector),
        "of the pyramid": count_parameters(detector.pyramid),
        **{"seconds": result.seconds, "test seconds": tested, "loss": result.losses[-1]},
        **solves(result.detector, data.normalise(test.batch(0, 50)[0])),
    }


@torch.no_grad()
def solves(detector: Detector, images: Tensor) -> dict[str, Any]:
    """How the solver does on trained weights: evaluations, the residuals on the way."""
    pyramid = detector.pyramid
    if not isinstance(pyramid, ImplicitPyramid):
        return {}
    solution = pyramid.solve(detector.backbone(images))
    return {
        "evaluations": solution.evaluations,
        "converged": solution.converged.float().mean().item(),
        "history": solution.history.mean(1).tolist(),
    }


def report_of(options: argparse.Namespace, rows: list[dict[str, Any]]) -> None:
    """Mean and standard deviation over seeds, and differences from each explicit pyramid."""
    arms: dict[str, list[dict[str, Any]]] = {}
    for row in rows:
        arms.setdefault(row["arm"], []).append(row)
    with ledger.Report(options) as report:
        figures = [(name, "%, mean ± sd", "higher") for name in FIGURES]
        table = report.table("Average precision of each pyramid", *BEFORE, *figures, *AFTER)
        for arm, found in arms.items():
            cells = [ledger.spread(100 * row[name] for row in found) for name in FIGURES]
            seconds = f"{statistics.mean(row['seconds'] for row in found):.0f}"
            each = 1000 * statistics.mean(row["test seconds"] for row in found) / TEST_SCENES
            counts = (f"{found[0][name]:,}" for name in ("parameters", "of the pyramid"))
            table.row(arm, len(found), *counts, *cells, seconds, f"{each:.1f}")
        own = {row["seed"]: row["AP"] for row in arms.get("implicit", [])}
        gains = report.table(
            "Gain of the implicit pyramid, seed by seed", "over", ("AP", "points", "higher")
        )
        for arm in MAIN[:-1]:
            pairs = [(row["seed"], row["AP"]) for row in arms.get(arm, []) if row["seed"] in own]
            if pairs:
                each_gain = (f"{100 * (own[seed] - value):+.1f}" for seed, value in sorted(pairs))
                gains.row(arm, ", ".join(each_gain))


def main(words: Sequence[str] | None = None) -> None:
    parser = ledger.parser(__doc__)
    parser.add_argument("--data", type=Path, required=True, help="cifar10-train.parquet")
    parser.add_argument("--out", type=Path, default=Path("runs/pyramid"))
    parser.add_argument("--steps", type=int, default=1500)
    parser.add_argument("--classes", type=int, choices=(2, 10), default=2)
    parser.add_argument("--maps", type=int, choices=(1, 2, 3), default=3, help="of the backbone")
    parser.add_argument("--size", type=int, choices=tuple(SCENES), default=96, help="of a scene")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--arms", nargs="+", choices=ARMS, default=list(MAIN))
    parser.add_argument("--table", action="store_true", help="print what is there, train nothing")
    options = ledger.parse(parser, words)
    warnings.simplefilter("ignore", ConvergenceWarning)
    options.out.mkdir(parents=True, exist_ok=True)
    file = options.out / "results.jsonl"
    rows = ledger.read_rows(file)
    same = ("steps", "classes", "maps", "size")
    rows = [row for row in rows if all(row[key] == getattr(options, key) for key in same)]
    done = {(row["arm"], row["seed"]) for row in rows}
    wanted = [(arm, seed) for seed in options.seeds for arm in options.arms]
    missing = [each for each in wanted if each not in done]
    if missing and not options.table:
        data = ledger.cifar10(options.data, 32, cache=options.out)
        backbone = pretrained(data, options.out, PRETRAINING_STEPS)
        for arm, seed in missing:
            rows.append(ledger.keep_row(file, run(arm, seed, options, backbone, data)))
            print(rows[-1], flush=True)
    report_of(options, rows)


if __name__ == "__main__":
    main()
