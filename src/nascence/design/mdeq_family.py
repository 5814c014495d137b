"""The family of multiscale deep equilibrium models: sizes to choose from, and their training."""

from __future__ import annotations

import json
import math
import statistics
import time
from itertools import pairwise
from typing import TYPE_CHECKING, Any, NamedTuple

import torch
from torch import nn

from nascence.core.randomness import seeded
from nascence.design import recipe
from nascence.graph import count_macs, count_parameters, measure_latency
from nascence.implicit import MDEQBackbone, MDEQClassifier, fixed_iterations, unrolled
from nascence.params import write_whole
from nascence.search import LimitError
from nascence.training import Training, adamw, cosine, train

if TYPE_CHECKING:
    from nascence.design.stages import Run

EVALUATIONS = 6
"""Evaluations of the cell in a forward pass, in training at most and after it always. They are
Picard's, the solver whose fixed form is the smallest graph to export."""
UNROLLED = 4
"""Layers of the unrolled network that training starts with."""
PRETRAINED = 0.6
"""Share of the steps that are unrolled."""
BATCH = 64


class Size(NamedTuple):
    """Streams and channels of the first one: two streams are equally wide, of three each is
    twice as wide as the one above, as in the published tiny and large networks."""

    streams: int
    width: int

    @property
    def name(self) -> str:
        """How results name it."""
        return f"mdeq;streams={self.streams};width={self.width}"

    @property
    def channels(self) -> tuple[int, ...]:
        """Channels of each stream, the finest first."""
        doubled = self.streams > 2
        return tuple(self.width << (level if doubled else 0) for level in range(self.streams))


SIZES = tuple(Size(streams, width) for width in (8, 16, 24, 32, 48, 64) for streams in (2, 3))


def build(size: Size, *, classes: int, in_channels: int, seed: int) -> MDEQClassifier:
    """A network with weights that depend on the seed alone."""
    head = max(size.width // 3, 4)
    with seeded(seed):
        return MDEQClassifier(
            MDEQBackbone(
                size.channels, in_channels=in_channels, solver="picard", max_iter=EVALUATIONS
            ),
            classes=classes,
            head_channels=[head << level for level in range(size.streams)],
            final_channels=200,
        )


def deployed(model: nn.Module) -> nn.Module:
    """The network with its evaluations fixed, which can be folded and exported."""
    return fixed_iterations(model, EVALUATIONS, solver="picard").eval()


def load(metadata: dict[str, str]) -> nn.Module:
    """A network of the size that a file of weights speaks of, deployed."""
    size = Size(**json.loads(metadata["architecture"]))
    shape = json.loads(metadata["image_shape"])
    classes = len(json.loads(metadata["classes"]))
    return deployed(build(size, classes=classes, in_channels=shape[0], seed=0))


def search(run: Run) -> dict[str, Any]:
    """The largest size within the limits that sees enough images in the time that there is.

    Where even the smallest allowed one is too slow for that, it is taken. Raises LimitError
    where the limits allow none.
    """
    started = time.perf_counter()
    settings = run.folder.settings
    parameters = {size: _parameters(run, size) for size in SIZES}
    most = settings.max_params or math.inf
    rows = [_row(run, size, count) for size, count in parameters.items() if count <= most]
    allowed = [row for row in rows if _fast_enough(run, row)]
    if not allowed:
        raise LimitError(
            f"no MDEQ keeps within the limits; the smallest has {min(parameters.values())} "
            "parameters: raise --max-params or --max-latency-ms, or leave --family out"
        )
    fewest = min(allowed, key=lambda row: row["macs"])
    plan = run.folder.plan("size", lambda: {"macs": _largest_macs(run, fewest)})
    affordable = [row for row in allowed if row["macs"] <= plan["macs"]] or [fewest]
    best = max(affordable, key=lambda row: row["macs"])
    size = Size(**best["decisions"])
    return {
        "seconds": time.perf_counter() - started,
        "architecture": list(size),
        "name": size.name,
        "decisions": best["decisions"],
        "score": math.log(best["macs"]),
        "score_name": "ln(MACs)",
        "candidates": [
            {
                "name": row["name"],
                "score": math.log(row["macs"]),
                "parameters": row["parameters"],
                "macs": row["macs"],
                "chosen": row is best,
            }
            for row in (allowed if settings.trials is None else affordable)
        ],
    }


def _parameters(run: Run, size: Size) -> int:
    with torch.device("meta"):
        return count_parameters(_of(run, size))


def _row(run: Run, size: Size, parameters: int) -> dict[str, Any]:
    return {
        "name": size.name,
        "decisions": size._asdict(),
        "parameters": parameters,
        "macs": count_macs(deployed(_of(run, size)), run.example),
    }


def _of(run: Run, size: Size) -> MDEQClassifier:
    return build(
        size,
        classes=run.data.classes,
        in_channels=run.data.image_shape[0],
        seed=run.folder.settings.seed,
    )


def _fast_enough(run: Run, row: dict[str, Any]) -> bool:
    settings = run.folder.settings
    if settings.max_latency_ms is None:
        return True
    # measured once, so that a resumed run decides as before
    path = run.path / "stages" / "latencies.json"
    known = json.loads(path.read_text()) if path.exists() else {}
    if row["name"] not in known:
        model = deployed(_of(run, Size(**row["decisions"])))
        known[row["name"]] = 1e3 * measure_latency(model, run.example, repeats=15).median
        write_whole(path, json.dumps(known).encode())
    return known[row["name"]] <= settings.max_latency_ms


def _largest_macs(run: Run, row: dict[str, Any]) -> float:
    """Multiply-adds of the largest network that sees each image often enough in its time."""
    if run.folder.settings.steps:
        return float(row["macs"])
    model = _of(run, Size(**row["decisions"]))
    step = _seconds_per_step(run, model)
    wanted = recipe.SAMPLES_PER_IMAGE * len(run.data.train) / BATCH
    return row["macs"] * run.shares.train / (step * wanted)


def _seconds_per_step(run: Run, model: MDEQClassifier) -> float:
    """Mean seconds of a step over the whole training, from four steps of each kind."""
    return PRETRAINED * _timed(run, unrolled(model, UNROLLED)) + (1 - PRETRAINED) * _timed(
        run, model
    )


def _timed(run: Run, model: nn.Module) -> float:
    clock = [time.perf_counter()]
    train(
        model,
        run.data,
        **_settings(run, None),
        steps=4,
        generator=torch.Generator().manual_seed(0),
        device=run.device,
        measurements=1,
        progress=lambda fraction, measured: clock.append(time.perf_counter()),
    )
    # the first step touches memory for the first time, the last one is followed by a measurement
    return statistics.median(b - a for a, b in pairwise(clock[1:4]))


def _settings(
    run: Run, steps: int | None, *, span: tuple[float, float] = (0.0, 1.0)
) -> dict[str, Any]:
    """Settings of a training of ``steps`` steps: from the first to the second share of them all.

    A learned optimizer knows no schedule but its own, and is told the length of the part.
    """
    if run.folder.settings.trained_with == "learned":
        return {**recipe.learned(steps), "batch_size": BATCH}
    start, end = span
    return {
        "optimizer": adamw(2e-3, weight_decay=0.01),
        "schedule": lambda fraction: cosine(start + fraction * (end - start)),
        "batch_size": BATCH,
    }


def train_network(run: Run, progress: Any) -> tuple[Training, int]:
    """Train the chosen size for its share of the budget; the deployed network, and planned steps.

    First unrolled, then at equilibrium with phantom gradients, under one cosine; each part has
    its checkpoint.
    """
    found = run.needed("search")
    model = _of(run, Size(*found["architecture"]))
    left = run.shares.search + run.shares.train - found["seconds"]
    asked = run.folder.settings.steps
    plan = run.folder.plan(
        "train",
        lambda: {
            "steps": asked or max(int(left / _seconds_per_step(run, model)), 2),
            # A machine that becomes slower than it was when measured must not run for ever.
            "seconds": None if asked else 1.15 * left,
        },
    )
    steps = plan["steps"]
    first = int(PRETRAINED * steps)
    done = None
    if first:
        done = _part(run, unrolled(model, UNROLLED), plan, (0, first), progress, "pretrain")
        model.load_state_dict(done.model.cpu().state_dict())
    last = _part(run, model, plan, (first, steps), progress, "train")
    return _joined(done, last), steps


def _part(
    run: Run,
    model: nn.Module,
    plan: dict[str, Any],
    span: tuple[int, int],
    progress: Any,
    name: str,
) -> Training:
    """Steps ``span`` of the plan, under its cosine."""
    start, end = (step / plan["steps"] for step in span)

    return train(
        model,
        run.data,
        **_settings(run, span[1] - span[0], span=(start, end)),
        steps=span[1] - span[0],
        seconds=plan["seconds"] and plan["seconds"] * (end - start),
        generator=run.generator(3 if name == "train" else 6),
        device=run.device,
        checkpoint=run.path / "checkpoints" / f"{name}.pt",
        checkpoint_seconds=run.folder.settings.checkpoint_seconds,
        measurements=10,
        progress=lambda fraction, measured: progress(start + fraction * (end - start), measured),
    )


def _joined(first: Training | None, last: Training) -> Training:
    """Both parts as one training of the deployed network."""
    model = deployed(last.model.cpu())
    if first is None:
        return last._replace(model=model)
    later = tuple(
        point._replace(step=point.step + first.steps, seconds=point.seconds + first.seconds)
        for point in last.curve
    )
    return Training(
        model,
        first.curve + later,
        first.steps + last.steps,
        first.seconds + last.seconds,
        "seconds" if "seconds" in (first.stopped_by, last.stopped_by) else "steps",
    )


def skeleton(size: Size, side: int) -> tuple[str, ...]:
    """The network in words, for the report."""
    streams = ", ".join(
        f"{channels} at {side >> level} px" for level, channels in enumerate(size.channels)
    )
    return (
        f"stem: 3x3 convolutions, {size.width} channels, {side} px",
        f"equilibrium of one cell, {EVALUATIONS} evaluations, channels {streams}",
        "bottlenecks, streams added from fine to coarse, global average, linear classifier",
    )
