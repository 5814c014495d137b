"""How a run trains, and how much work fits into its time. The constants were found by trial."""

import statistics
import time
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import torch
from torch import nn

from nascence.data import Dataset
from nascence.design.results import TrainingPlan
from nascence.optim import Learned
from nascence.training import (
    KernelMuon,
    OptimizerFactory,
    Precision,
    adamw,
    cosine,
    faster_precision,
    sgd,
    train,
)

WIDTHS = (4, 6, 8, 12, 16, 24, 32, 48, 64)
CELLS = (1, 2, 3)

# Feature maps that training writes for an operation, its sum at the node included.
MAPS = {
    "identity": {"skip_connect": 1, "avg_pool_3x3": 2, "nor_conv_1x1": 4, "nor_conv_3x3": 4},
    "repvgg": {"skip_connect": 1, "avg_pool_3x3": 2, "nor_conv_1x1": 6, "nor_conv_3x3": 9},
}
STEM_MAPS, REDUCTION_MAPS = 2, 10
VALUE_COST = 30

BATCH = 128
FEW: dict[str, Any] = {"batch_size": 32}
"""Images in the steps of a probe, which must be over soon on any machine."""
SAMPLES_PER_IMAGE = 60
FEWEST_TRIALS, MOST_TRIALS = 20, 5000
LENIENCE = 1.15
"""How much longer than planned a training may take on a machine that has become slower."""

RATES = {
    ("sgd", "random"): 0.2,
    ("sgd", "predicted"): 0.05,
    ("adamw", "random"): 3e-3,
    ("adamw", "predicted"): 1e-3,
    ("muon", "random"): 0.05,
    ("muon", "predicted"): 0.02,
}
"""Rates by optimizer and start; the rates that suit random values would undo a prediction."""
FACTORIES: dict[str, Callable[[float], OptimizerFactory]] = {
    "sgd": sgd,
    "adamw": adamw,
    "muon": lambda rate: partial(KernelMuon, lr=rate),
}


def designed(
    side: int, *, optimizer: str = "sgd", start: str = "random", steps: int | None = None
) -> dict[str, Any]:
    """Settings of the training of a designed network.

    Args:
        side: Side of the images in pixels.
        optimizer: "sgd", "adamw" or "learned", which finds its own rate and schedule.
        start: "random" or "predicted".
        steps: Length of the training where it is known; the learned optimizer is told.

    Returns:
        Keywords of :func:`nascence.train`.
    """
    return {
        **stepping(optimizer, start=start, steps=steps),
        "batch_size": BATCH,
        "label_smoothing": 0.1,
        "average_decay": 0.995,
        "resolution_schedule": partial(side_at, side=side),
    }


def side_at(fraction: float, *, side: int) -> int:
    """Side in pixels of the images for the fraction of the training that is done, in [0, 1].

    Small images first: most of what is learned early does not need the detail.
    """
    share = 0.5 if fraction < 0.3 else 0.75 if fraction < 0.6 else 1.0
    return max(4 * round(share * side / 4), 8)


WARMUP = 0.005
"""Share of a staged training in which the rate rises; the short trainings need the full one."""
STAGED_OPTIMIZERS = ("muon", "sgd", "adamw", "learned")
"""What can train staged networks, the default first."""


def staged(
    side: int,
    *,
    optimizer: str = STAGED_OPTIMIZERS[0],
    start: str = "random",
    steps: int | None = None,
    span: tuple[float, float] = (0.0, 1.0),
) -> dict[str, Any]:
    """Settings of the training of a staged network, or of a part of it.

    Args:
        side: Side of the images in pixels.
        optimizer: One of ``STAGED_OPTIMIZERS``.
        start: "random" or "predicted".
        steps: Length of the part where it is known; the learned optimizer is told.
        span: Shares of the whole training at which the part begins and ends.

    Returns:
        Keywords of :func:`nascence.train`.
    """
    begin, end = span
    found = stepping(optimizer, start=start, steps=steps)
    whole = found["schedule"]
    if whole is cosine:
        whole = partial(cosine, warmup=WARMUP)
    return {
        **found,
        "schedule": lambda fraction: whole(begin + fraction * (end - begin)),
        "resolution_schedule": lambda fraction: side_at(
            begin + fraction * (end - begin), side=side
        ),
        "batch_size": BATCH,
        "label_smoothing": 0.1,
        "average_decay": 0.995,
    }


def stepping(optimizer: str, *, start: str, steps: int | None) -> dict[str, Any]:
    """The optimizer of a designed network and the schedule of its rate."""
    if optimizer == "learned":
        return learned(steps)
    rate = RATES[optimizer, start]
    factory = FACTORIES[optimizer](rate)
    return {"optimizer": factory, "schedule": cosine}


def learned(steps: int | None) -> dict[str, Any]:
    """Settings of the released learned optimizer for ``steps`` steps; nothing is tuned."""

    def factory(groups: list[dict[str, Any]]) -> torch.optim.Optimizer:
        return Learned(groups, num_steps=steps)

    return {"optimizer": factory, "schedule": lambda fraction: 1.0}


def usual() -> dict[str, Any]:
    """Settings of the baseline: AdamW with cosine decay, as a network is usually trained."""
    return {"optimizer": adamw(3e-3), "batch_size": BATCH}


def work_limit(
    probe: nn.Module,
    work: float,
    data: Dataset,
    seconds: float,
    *,
    device: torch.device,
    optimizer: str = "sgd",
) -> float:
    """Work, per image, of the largest network that can be trained in ``seconds``.

    A network should see each training image about SAMPLES_PER_IMAGE times. How much work this
    machine does in a second is measured on ``probe``, whose work for one image is ``work``.
    """
    settings = {**designed(max(data.image_shape[1:]), optimizer=optimizer), **FEW}
    step = seconds_per_step(probe, data, device=device, settings=settings, steps=8)
    rate = work * min(FEW["batch_size"], len(data.train)) / step
    return rate * seconds / (SAMPLES_PER_IMAGE * len(data.train))


def seconds_per_step(
    model: nn.Module,
    data: Dataset,
    *,
    device: torch.device,
    settings: Mapping[str, Any],
    precision: Precision = "auto",
    steps: int = 16,
) -> float:
    """Mean seconds of a training step, from a training of ``steps`` steps on this machine.

    ``settings`` are keywords of :func:`nascence.train`. Each image size of the schedule counts by
    its share of the steps. The first step of each, in which memory is first touched and kernels
    are chosen, is left out.
    """
    clock = [time.perf_counter()]
    train(
        model,
        data,
        **settings,
        steps=steps,
        generator=torch.Generator().manual_seed(0),
        device=device,
        precision=precision,
        measurements=1,
        progress=lambda fraction, measured: clock.append(time.perf_counter()),
    )
    spent: dict[int, list[float]] = {}
    sides = settings.get("resolution_schedule") or (lambda fraction: 0)
    for step in range(steps - 1):  # the last one is followed by a measurement
        side = sides(step / steps)
        spent.setdefault(side, []).append(clock[step + 1] - clock[step])
    seconds = sum(len(gaps) * statistics.median(gaps[1:] or gaps) for gaps in spent.values())
    return seconds / (steps - 1)


def training_plan(
    model: nn.Module,
    data: Dataset,
    seconds: float,
    *,
    device: torch.device,
    settings: Mapping[str, Any],
    counted: bool = True,
) -> TrainingPlan:
    """Measure which precision is the faster one, and how many steps fit into ``seconds``.

    ``settings`` are keywords of :func:`nascence.train`. Where steps need not be ``counted``, the
    clock alone ends the training, which its schedule follows on a machine of any speed.
    """
    started = time.perf_counter()
    batch_size = FEW["batch_size"]
    precision = faster_precision(
        model, data, device=device, batch_size=batch_size, seconds=seconds / 20
    )
    if not counted:
        return TrainingPlan(None, seconds - (time.perf_counter() - started), precision)
    step = seconds_per_step(model, data, device=device, settings=settings, precision=precision)
    left = seconds - (time.perf_counter() - started)
    return TrainingPlan(max(int(left / step), 1), LENIENCE * seconds, precision)


def trials_in(evaluate: Callable[[], object], seconds: float) -> int:
    """Number of architectures that can be scored in ``seconds``, from the median of three."""
    spent = []
    for _ in range(3):
        started = time.perf_counter()
        evaluate()
        spent.append(time.perf_counter() - started)
    left = seconds - sum(spent)
    return min(max(int(left / statistics.median(spent)), FEWEST_TRIALS), MOST_TRIALS)
