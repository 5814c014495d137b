"""What the designed network must beat, in at most a third of the budget.

The majority class, a classic without a network, a network designed by hand with the usual recipe
and with ours, and ResNet-18 as it comes. The designed architecture is trained once more for as
long as they are, so that recipe, optimizer and architecture are told apart at equal time.
"""

import dataclasses
import math
import time
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from nascence.design import classic, recipe
from nascence.design.families import family_of
from nascence.design.hand import hand_design, stock_resnet18, width_of_macs
from nascence.design.results import SearchResult, TrainingPlan, TrainingResult
from nascence.design.run import Run
from nascence.report import Compared
from nascence.training import Training, mean_recall

STOCK = 1.6
"""How much longer ResNet-18 is trained than each of the other networks: its steps take long."""
STOCK_BATCH = 32
LEAST = 1.0
"""Seconds below which a network is not trained for comparison."""
CLASSIC = 12_000
"""Most images that the classic is fitted to."""


def compare(
    run: Run, designed: TrainingResult, seconds: float
) -> tuple[Training | None, TrainingResult]:
    """Train what the designed network is compared with.

    Args:
        run: The run.
        designed: Its designed network.
        seconds: For all of them together.

    Returns:
        The best of the networks that are not designed, and its result, which holds the others'
        figures as ``compared``. Where no network would have a second, none is trained.
    """
    started = time.monotonic()
    rows = [_majority(run), _classic(run, seconds / 4)]
    classes, shape, seed = run.data.classes, run.data.image_shape, run.settings.seed
    width = width_of_macs(designed.macs, classes=classes, image_shape=shape)
    hand = hand_design(width, classes=classes, image_shape=shape, seed=seed)
    stock = stock_resnet18(classes=classes, image_shape=shape, seed=seed)
    # The search may have begun its training: here it starts as the others do.
    found = dataclasses.replace(run.needed("search", SearchResult), done=0.0)
    own = family_of(run.settings).build(run, found)
    other = "sgd" if run.optimizer == "adamw" else "adamw"
    ours, changed = (recipe.staged(run.side, optimizer=each) for each in (run.optimizer, other))
    plain = {**recipe.usual(), "balance": 0.0, "zoom": 0.0, "light": 0.0}
    name = f"ResNet-{2 * len(hand.stages) + 2} of width {width}"
    planned: list[tuple[str, float, Compared, Callable[[Run, TrainingPlan], Training]]] = [
        ("usual", 1, _row("usual", name, "usual", "AdamW"), _training(hand, plain)),
        ("ours", 1, _row("ours", name, "ours", _word(run.optimizer)), _training(hand, ours)),
        ("optimizer", 1, _row("optimizer", name, "ours", _word(other)), _training(hand, changed)),
        (
            "short",
            1,
            _row("short", designed.name, "ours", _word(run.optimizer)),
            _training(own, ours),
        ),
        (
            "stock",
            STOCK,
            _row("stock", "ResNet-18", "usual", "AdamW"),
            _training(stock, {**plain, "batch_size": STOCK_BATCH}),
        ),
    ]
    left = max(seconds - (time.monotonic() - started), 0.1)
    parts = sum(share for _, share, _, _ in planned)
    if not run.settings.steps and left < LEAST * parts:
        run.folder.event("left out", what="networks to compare with", seconds=left)
        return None, _result(None, "", tuple(rows), "")
    done, results = 0.0, []
    for key, share, row, work in planned:
        plan = _plan(run, key, designed, left * share / parts)
        span = (done / parts, (done + share) / parts)
        training = work(_inside(run, key, span), plan)
        done += share
        last = training.curve[-1]
        row = dataclasses.replace(
            row,
            accuracy=last.accuracy,
            mean_recall=last.mean_recall,
            seconds=training.seconds,
            steps=training.steps,
        )
        rows.append(row)
        if key in ("usual", "ours", "stock"):
            results.append((row, training, "resnet18" if key == "stock" else f"hand {width}"))
    row, training, spec = max(results, key=lambda each: run.figure(each[0]))
    name = f"{row.name}, {row.recipe} recipe"
    return training, _result(training, name, tuple(rows), spec)


def _result(
    training: Training | None, name: str, rows: tuple[Compared, ...], spec: str
) -> TrainingResult:
    last = None if training is None else training.curve[-1]
    return TrainingResult(
        steps=0 if training is None else training.steps,
        seconds=0.0 if training is None else training.seconds,
        stopped_by="seconds" if training is None else training.stopped_by,
        accuracy=math.nan if last is None else last.accuracy,
        parameters=0,
        macs=0,
        curve=() if training is None else training.curve,
        name=name,
        mean_recall=math.nan if last is None else last.mean_recall,
        compared=rows,
        spec=spec,
    )


def _row(key: str, name: str, recipe_name: str, optimizer: str) -> Compared:
    return Compared(key, name, recipe_name, optimizer, "random", 0.0, 0.0, 0.0, 0)


def _word(optimizer: str) -> str:
    return {"sgd": "SGD", "adamw": "AdamW", "muon": "Muon"}.get(optimizer, optimizer)


def _training(
    model: nn.Module, settings: dict[str, Any]
) -> Callable[[Run, TrainingPlan], Training]:
    def work(run: Run, plan: TrainingPlan) -> Training:
        return run.train(model, plan, {**settings, "measurements": 3}, stream=4, name="")

    return work


def _inside(run: Run, key: str, span: tuple[float, float]) -> Run:
    """The run for one of the trainings: files and progress of its own."""
    begin, end = span

    def progress(stage: str, fraction: float, message: str) -> None:
        run.progress("baseline", begin + fraction * (end - begin), message)

    return dataclasses.replace(run, prefix=f"baseline-{key}", progress=progress)


def _plan(run: Run, key: str, designed: TrainingResult, seconds: float) -> TrainingPlan:
    """As long as its part of the time, in the precision of the designed network."""

    def make() -> TrainingPlan:
        if run.settings.steps:
            return TrainingPlan(run.settings.steps, None, designed.precision)
        return TrainingPlan(None, seconds, designed.precision)

    return run.folder.plan(f"baseline-{key}", TrainingPlan, make)


def _majority(run: Run) -> Compared:
    labels = run.data.validation.labels
    most = torch.bincount(run.data.train.labels).argmax()
    predicted = most.expand_as(labels)
    return _scored("majority", "the most frequent class", predicted, labels, 0.0)


def _classic(run: Run, seconds: float) -> Compared:
    started, data = time.monotonic(), run.data
    run.progress("baseline", 0.0, "a classic")
    order = torch.randperm(len(data.train), generator=run.generator(9))[:CLASSIC]
    found, labels = [], []
    for part in order.split(256):
        images, truth = data.train.take(part)
        found.append(classic.features(images))
        labels.append(truth)
        if time.monotonic() - started > seconds / 2:
            break
    fitted = classic.fit(
        torch.cat(found),
        torch.cat(labels),
        data.classes,
        uneven=data.uneven,
        generator=run.generator(8),
        stopped=lambda: time.monotonic() - started > seconds,
    )
    predicted = fitted(classic.features(data.validation.images)).argmax(1)
    spent = time.monotonic() - started
    return _scored(
        "classic", "gradients and colours, kernel ridge", predicted, data.validation.labels, spent
    )


def _scored(key: str, name: str, predicted: Tensor, labels: Tensor, seconds: float) -> Compared:
    accuracy = (predicted == labels).float().mean().item()
    return Compared(key, name, "", "", "", accuracy, mean_recall(predicted, labels), seconds, None)
