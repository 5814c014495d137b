"""The family of multiscale deep equilibrium models: one cell, sizes to choose from."""

import copy
import json
import math
import statistics
import time
from collections.abc import Mapping
from itertools import pairwise
from typing import Any

import torch
from torch import nn

from nascence.design import recipe
from nascence.design.families.mdeq_sizes import EVALUATIONS, SIZES, Size, build, deployed
from nascence.design.results import SearchResult, TrainingPlan
from nascence.design.run import Run
from nascence.graph import count_macs, count_parameters, measure_latency
from nascence.implicit import MDEQClassifier, unrolled
from nascence.report import CandidatePoint
from nascence.search import LimitError
from nascence.training import Training, adamw, cosine, train, unmeasured_precision

UNROLLED = 4
"""Layers of the unrolled network that training starts with."""
PRETRAINED = 0.6
"""Share of the steps that are unrolled."""
BATCH = 64


class MDEQ:
    """Deep equilibrium models; see :class:`nascence.design.families.family.Family`."""

    optimizers: tuple[str, ...] = ("adamw", "learned")
    starts: tuple[str, ...] = ("random",)
    why_random = ""

    def search(self, run: Run) -> SearchResult:
        """Choose the largest size within the limits that sees enough images in the time there is.

        Where even the smallest allowed one is too slow for that, it is taken.

        Raises:
            LimitError: The limits allow no size.
        """
        started = time.perf_counter()
        allowed = _allowed(run)
        fewest = min(allowed, key=allowed.__getitem__)
        most = run.folder.plan(
            "size",
            dict[str, float],
            lambda: {"macs": _largest_macs(run, fewest, allowed[fewest])},
            names=("macs",),
        )["macs"]
        affordable = [size for size in allowed if allowed[size] <= most] or [fewest]
        best = max(affordable, key=allowed.__getitem__)
        return SearchResult(
            seconds=time.perf_counter() - started,
            architecture=tuple(best),
            name=best.name,
            decisions=best._asdict(),
            score=math.log(allowed[best]),
            score_name="ln(MACs)",
            candidates=tuple(
                CandidatePoint(
                    name=size.name,
                    score=math.log(allowed[size]),
                    parameters=_parameters(run, size),
                    macs=allowed[size],
                    chosen=size is best,
                )
                for size in (allowed if run.settings.trials is None else affordable)
            ),
        )

    def build(self, run: Run, found: SearchResult) -> nn.Module:
        """Build the chosen network; its weights depend on the seed of the run alone."""
        return _of(run, Size(*found.architecture))

    def plan(self, run: Run, model: nn.Module, seconds: float) -> TrainingPlan:
        """Measure how many steps of both parts of the training fit into ``seconds``."""
        steps = max(int(seconds / _seconds_per_step(run, model)), 2)
        return TrainingPlan(steps, recipe.LENIENCE * seconds, unmeasured_precision(run.device))

    def train(self, run: Run, model: nn.Module, plan: TrainingPlan) -> Training:
        """Train the network as planned, then fix its evaluations.

        First unrolled, then at equilibrium with phantom gradients, under one cosine; each part
        has its checkpoint.
        """
        assert plan.steps is not None
        first = int(PRETRAINED * plan.steps)
        done = None
        if first:
            done = _part(run, unrolled(model, UNROLLED), plan, (0, first), "pretrain", 6)
            model = copy.deepcopy(model)
            model.load_state_dict(done.model.cpu().state_dict())
        last = _part(run, model, plan, (first, plan.steps), "train", 3)
        return _joined(done, last)

    def describe(self, run: Run, found: SearchResult) -> dict[str, str]:
        """What :meth:`load` must know, as metadata of a file of weights."""
        return {"architecture": json.dumps(found.decisions)}

    def load(self, metadata: Mapping[str, str]) -> nn.Module:
        """Build the network that a file of weights describes, its evaluations fixed."""
        size = Size(**json.loads(metadata["architecture"]))
        channels = json.loads(metadata["image_shape"])[0]
        classes = len(json.loads(metadata["classes"]))
        return deployed(build(size, classes=classes, in_channels=channels, seed=0))

    def cell_edges(self, decisions: Mapping[str, Any]) -> tuple[tuple[int, int, str], ...]:
        """Nothing: the cell is the same at all sizes."""
        return ()

    def skeleton(self, decisions: Mapping[str, Any], side: int) -> tuple[str, ...]:
        """The network in words, from images of ``side`` pixels to classes."""
        size = Size(**decisions)
        streams = ", ".join(
            f"{channels} at {side >> level} px" for level, channels in enumerate(size.channels)
        )
        return (
            f"stem: 3x3 convolutions, {size.width} channels, {side} px",
            f"equilibrium of one cell, {EVALUATIONS} evaluations, channels {streams}",
            "bottlenecks, streams added from fine to coarse, global average, linear classifier",
        )


def _allowed(run: Run) -> dict[Size, int]:
    """The sizes within the limits, with the multiply-adds of each for one image."""
    most, slowest = run.settings.max_params, run.settings.max_latency_ms
    counts = {size: _parameters(run, size) for size in SIZES}
    small = [size for size in SIZES if most is None or counts[size] <= most]
    if not small:
        raise LimitError(
            f"no MDEQ keeps to --max-params {most:,}: the smallest has "
            f"{min(counts.values()):,} parameters; raise the limit or leave --family out"
        )
    fast = small
    if slowest is not None:
        # measured once, so that a resumed run decides as before
        measured = run.folder.plan(
            "latencies",
            dict[str, float],
            lambda: _latencies(run, small),
            names=[size.name for size in small],
        )
        fast = [size for size in small if measured[size.name] <= slowest]
        if not fast:
            raise LimitError(
                f"no MDEQ keeps to --max-latency-ms {slowest:g}: the fastest takes "
                f"{min(measured.values()):.2g} ms; raise the limit or leave --family out"
            )
    return {size: count_macs(deployed(_of(run, size)), run.example) for size in fast}


def _latencies(run: Run, sizes: list[Size]) -> dict[str, float]:
    """Milliseconds of each size for one image."""
    return {
        size.name: 1e3 * measure_latency(deployed(_of(run, size)), run.example, repeats=15).median
        for size in sizes
    }


def _parameters(run: Run, size: Size) -> int:
    with torch.device("meta"):
        return count_parameters(_of(run, size))


def _of(run: Run, size: Size) -> MDEQClassifier:
    channels, seed = run.data.image_shape[0], run.settings.seed
    return build(size, classes=run.data.classes, in_channels=channels, seed=seed)


def _largest_macs(run: Run, size: Size, macs: int) -> float:
    """Multiply-adds of the largest network that sees each image often enough in its time."""
    if run.settings.steps:
        return float(macs)
    step = _seconds_per_step(run, _of(run, size))
    wanted = recipe.SAMPLES_PER_IMAGE * len(run.data.train) / BATCH
    return macs * run.shares.train / (step * wanted)


def _seconds_per_step(run: Run, model: nn.Module) -> float:
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
    if run.optimizer == "learned":
        return {**recipe.learned(steps), "batch_size": BATCH}
    start, end = span
    return {
        "optimizer": adamw(2e-3, weight_decay=0.01),
        "schedule": lambda fraction: cosine(start + fraction * (end - start)),
        "batch_size": BATCH,
    }


def _part(
    run: Run,
    model: nn.Module,
    plan: TrainingPlan,
    bounds: tuple[int, int],
    name: str,
    stream: int,
) -> Training:
    """Train the steps between ``bounds`` of the plan, under its cosine."""
    assert plan.steps is not None
    start, end = (step / plan.steps for step in bounds)
    steps = bounds[1] - bounds[0]
    part = TrainingPlan(steps, plan.seconds and plan.seconds * (end - start), plan.precision)
    settings = {**_settings(run, steps, span=(start, end)), "measurements": 10}
    return run.train(
        model, part, settings, stream=stream, name=name, stage="train", span=(start, end)
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
        samples=first.samples + last.samples,
    )
