"""The family of cells: a search by scores before training, in a space of free width and depth."""

import dataclasses
import json
import math
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch
from torch import nn

from nascence.data import Batch
from nascence.design import recipe
from nascence.design.families import cell_space
from nascence.design.results import SearchResult, TrainingPlan
from nascence.design.run import Run
from nascence.design.settings import DesignSettings
from nascence.report import CandidatePoint
from nascence.search import (
    Candidate,
    Evolution,
    History,
    LimitError,
    Limits,
    open_study,
    sample_allowed,
    search,
)
from nascence.spaces import NB201
from nascence.spaces.cell import EDGES, live_edges
from nascence.training import Training

INDISTINCT = (
    "No score tells the networks apart, because no network tells the scored images apart; the one "
    "with the most multiply-adds within the limits was chosen."
)


class Cells:
    """Networks of one repeated cell; see :class:`nascence.design.families.family.Family`."""

    optimizers: tuple[str, ...] = ("sgd", "adamw", "learned")
    starts: tuple[str, ...] = ("random", "predicted")
    why_random = (
        "That is the default because it ended better in equal time; --start predicted begins with "
        "parameters of a hypernetwork."
    )

    def search(self, run: Run) -> SearchResult:
        """Choose an architecture by its score before training, within the limits.

        Raises:
            LimitError: No architecture keeps to the limits.
        """
        started = time.perf_counter()
        space, cost = space_in(run), _cost_in(run)
        limits = _limits(run, cost)
        score = cell_space.Score(space, cost, _scored_images(run), seed=run.settings.seed)
        with _limits_in_words(run.settings):
            first = sample_allowed(space, allowed=limits, known=(), generator=run.generator(5))
        trials = run.folder.plan(
            "search",
            dict[str, int],
            lambda: {
                "trials": run.settings.trials
                or recipe.trials_in(lambda: score(first), run.shares.search)
            },
            names=("trials",),
        )["trials"]

        def tell(candidate: Candidate) -> None:
            run.progress("search", (candidate.number + 1) / trials, f"score {candidate.score:.2f}")

        with _limits_in_words(run.settings):
            history = search(
                Evolution(space, generator=run.generator(2), allowed=limits),
                score,
                trials=trials,
                study=open_study(run.path / "study.journal", space=space, name="search"),
                on_trial=tell,
            )
        found = _chosen(history, space, cost, run.settings)
        counted = sum(candidate.seconds for candidate in history.candidates)
        # Of a search that was stopped and resumed, the clock knows the last part alone.
        return dataclasses.replace(found, seconds=max(time.perf_counter() - started, counted))

    def build(self, run: Run, found: SearchResult) -> nn.Module:
        """Build the chosen network; its weights depend on the seed of the run alone."""
        return cell_space.build(space_in(run), found.architecture, seed=run.settings.seed)

    def plan(self, run: Run, model: nn.Module, seconds: float) -> TrainingPlan:
        """Measure which precision is the faster one, and how many steps fit into ``seconds``."""
        return recipe.training_plan(
            model,
            run.data,
            seconds,
            device=run.device,
            settings=recipe.designed(run.side, optimizer=run.optimizer),
            counted=run.optimizer == "learned",
        )

    def train(self, run: Run, model: nn.Module, plan: TrainingPlan) -> Training:
        """Train the network as planned."""
        settings = recipe.designed(
            run.side,
            optimizer=run.optimizer,
            start=run.settings.start,
            steps=plan.steps,
        )
        return run.train(model, plan, settings, stream=3, name="train")

    def describe(self, run: Run, found: SearchResult) -> dict[str, str]:
        """What :meth:`load` must know, as metadata of a file of weights."""
        architecture = space_in(run).to_json(found.architecture)
        return {"architecture": architecture, "block": run.settings.block}

    def load(self, metadata: Mapping[str, str]) -> nn.Module:
        """Build the network that a file of weights describes, with weights of its own."""
        space = cell_space.space_of(
            metadata["block"],
            classes=len(json.loads(metadata["classes"])),
            in_channels=json.loads(metadata["image_shape"])[0],
        )
        return space.build(space.from_json(metadata["architecture"]))

    def cell_edges(self, decisions: Mapping[str, Any]) -> tuple[tuple[int, int, str], ...]:
        """(from node, to node, operation) of every edge that the output depends on."""
        operations = tuple(decisions[f"edge_{source}_{target}"] for source, target in EDGES)
        return tuple(
            (source, target, operation)
            for (source, target), operation, live in zip(
                EDGES, operations, live_edges(operations), strict=True
            )
            if live
        )

    def skeleton(self, decisions: Mapping[str, Any], side: int) -> tuple[str, ...]:
        """The network in words, from images of ``side`` pixels to classes."""
        width, cells = decisions["width"], decisions["cells"]
        lines = [f"stem: 3x3 convolution, {width} channels, {side} px"]
        for stage in range(3):
            if stage:
                lines.append(f"reduction: residual block, stride 2, {width * 2**stage} channels")
            lines.append(
                f"{cells} cell{'s' if cells > 1 else ''}, {width * 2**stage} channels, "
                f"{side // 2**stage} px"
            )
        return (*lines, "global average, linear classifier")


def space_in(run: Run) -> NB201:
    """The space that is searched for the images of a run."""
    return cell_space.space_of(
        run.settings.block, classes=run.data.classes, in_channels=run.data.image_shape[0]
    )


def _cost_in(run: Run) -> cell_space.Cost:
    channels = run.data.image_shape[0]
    return cell_space.Cost(
        cell_space.deployed_space_of(classes=run.data.classes, in_channels=channels),
        block=run.settings.block,
        side=run.side,
        in_channels=channels,
        measured=run.path / "stages" / "latencies.json",
        seconds=(run.shares.search + run.shares.train) / 2,
    )


def _limits(run: Run, cost: cell_space.Cost) -> Limits:
    settings = run.settings
    # What no network can keep is said before the speed of the machine is measured.
    cost.limits(work=math.inf, parameters=settings.max_params, latency_ms=settings.max_latency_ms)
    return cost.limits(
        work=run.folder.plan(
            "size", dict[str, float], lambda: _largest_work(run, cost), names=("work",)
        )["work"],
        parameters=settings.max_params,
        latency_ms=settings.max_latency_ms,
    )


@contextmanager
def _limits_in_words(settings: DesignSettings) -> Iterator[None]:
    """Say that no network is within the limits by the options that were given."""
    try:
        yield
    except LimitError as error:
        given = " and ".join(f"{option} {value:,}" for option, _, value in _given(settings))
        least = " and ".join(
            f"{error.smallest[cost]:,.4g} for {option}"
            for option, cost, _ in _given(settings)
            if cost in error.smallest
        )
        raise LimitError(
            f"no network that was drawn keeps to {given or 'what can be trained in the time'}"
            + (f"; the smallest had {least}" if least else "")
            + f"; {_advice(settings)}"
        ) from error


def _given(settings: DesignSettings) -> list[tuple[str, str, float]]:
    """The limits that were given: option, name of the cost, and value."""
    limits = (
        ("--max-params", "parameters", settings.max_params),
        ("--max-latency-ms", "latency_ms", settings.max_latency_ms),
    )
    return [(option, cost, value) for option, cost, value in limits if value is not None]


def _advice(settings: DesignSettings) -> str:
    """What to change where no network was found: time or trials, and limits that were given."""
    more = "more --trials" if settings.trials else "a longer --budget"
    return " or ".join(
        [f"give {more}", *(f"a larger {option}" for option, _, _ in _given(settings))]
    )


def _largest_work(run: Run, cost: cell_space.Cost) -> dict[str, float]:
    """The most training work, per image, of a network that sees the images often enough."""
    space = space_in(run)
    architecture = space.parse(cell_space.PROBE)
    work = cost.work(architecture)
    if run.settings.steps:
        return {"work": work}
    limit = recipe.work_limit(
        cell_space.build(space, architecture, seed=0),
        work,
        run.data,
        run.shares.train,
        device=run.device,
        optimizer=run.optimizer,
    )
    # Below the narrowest network, the space holds hardly any that is connected.
    return {"work": max(limit, cost.work(space.parse(cell_space.LEAST)))}


def _scored_images(run: Run) -> Batch:
    """Up to 128 training images ``(N, C, H, W)`` with their labels ``(N,)``, each image once.

    No network tells an image from its copy, which the score would hold against all of them.
    """
    images, labels = run.data.batch(min(128, len(run.data.train)), generator=run.generator(1))
    first: dict[bytes, int] = {}
    for place, image in enumerate(images):
        first.setdefault(image.numpy().tobytes(), place)
    # Of one image alone no score can be taken; where all are the same, they stay.
    kept = torch.tensor(list(first.values() if len(first) > 1 else range(len(images))))
    return images[kept], labels[kept]


def _chosen(
    history: History, space: NB201, cost: cell_space.Cost, settings: DesignSettings
) -> SearchResult:
    """The candidate with the best score, or the largest one where none has a finite score.

    Raises:
        LimitError: No candidate leads from the input to the output.
    """
    best = history.best
    notes: tuple[str, ...] = ()
    if not math.isfinite(best.score):
        connected = [
            each for each in history.candidates if cell_space.is_connected(space, each.architecture)
        ]
        if not connected:
            raise LimitError(
                f"none of the {len(history)} networks that were tried connects its input to its "
                f"output; {_advice(settings)}"
            )
        best, notes = max(connected, key=lambda each: cost.macs(each.architecture)), (INDISTINCT,)
    return SearchResult(
        seconds=0.0,
        architecture=best.architecture,
        name=space.format(best.architecture),
        decisions=json.loads(space.to_json(best.architecture)),
        score=best.score,
        candidates=tuple(
            CandidatePoint(
                name=space.format(each.architecture),
                score=each.score,
                parameters=cost.parameters(each.architecture),
                macs=cost.macs(each.architecture),
                chosen=each is best,
            )
            for each in history.candidates
        ),
        notes=notes,
    )
