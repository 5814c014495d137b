"""The family of staged networks: candidates within limits, then successive halving."""

import json
import math
import time
from collections.abc import Mapping
from typing import Any

from torch import nn

from nascence import export as exporting
from nascence.core.randomness import seeded
from nascence.core.weights import read_weights
from nascence.design import recipe, teacher
from nascence.design.families.halving import Entrant, Halving, Rounds
from nascence.design.families.staged_cost import StagedCost, space_of
from nascence.design.families.staged_rounds import mutants_of, precision_of, rounds_of, space_in
from nascence.design.results import FrontPoint, SearchResult, TrainingPlan
from nascence.design.run import Run
from nascence.report import CandidatePoint
from nascence.spaces import Architecture, StagedSpace
from nascence.training import Training

FRONT = (3, 6)
"""Networks that the front has, at least and at most."""
SCORE = "accuracy on images held out of the training images, after the short trainings"


class Stages:
    """Staged networks; see :class:`nascence.design.families.family.Family`."""

    optimizers: tuple[str, ...] = recipe.STAGED_OPTIMIZERS
    starts: tuple[str, ...] = ("random", "predicted")
    why_random = (
        "The short trainings of the search are the beginning of its training; --start predicted "
        "begins anew with parameters of a hypernetwork."
    )

    def search(self, run: Run) -> SearchResult:
        """Choose an architecture by short trainings, whose best one is trained on.

        Raises:
            LimitError: No architecture keeps to the limits.
        """
        started = time.perf_counter()
        space = space_in(run)
        if run.settings.architecture is not None:
            return _given(run, space)
        precision = run.folder.plan("precision", dict[str, str], lambda: precision_of(run, space))
        cost = StagedCost(
            space,
            run.data.image_shape,
            precision=precision["precision"],  # type: ignore[arg-type]
            folder=run.path / "stages",
        )
        rounds = run.folder.plan(
            "search", Rounds, lambda: rounds_of(run, space, cost, precision["precision"])
        )
        entrants, model = _compared(run, space, cost, rounds)
        best = entrants[0]
        if model is not None and run.settings.start == "random":
            exporting.save_weights(model, run.path / WARM, metadata={"done": str(best.done)})
        for file in (run.path / "checkpoints").glob("search-*.pt"):
            file.unlink()
        return SearchResult(
            seconds=time.perf_counter() - started,
            architecture=best.architecture,
            name=space.format(best.architecture),
            decisions=space.values(best.architecture),
            score=best.accuracy,
            score_name=SCORE,
            candidates=tuple(
                CandidatePoint(
                    name=space.format(each.architecture),
                    score=each.accuracy,
                    parameters=cost.parameters(each.architecture),
                    macs=cost.macs(each.architecture),
                    chosen=each is best,
                )
                for each in entrants
            ),
            front=_front(space, cost, entrants),
            done=best.done if run.settings.start == "random" else 0.0,
        )

    def build(self, run: Run, found: SearchResult) -> nn.Module:
        """Build the chosen network with the weights that the search has given it.

        Without short trainings its weights depend on the seed of the run alone.
        """
        with seeded(run.settings.seed):
            model = space_in(run).build(found.architecture)
        if found.done:
            model.load_state_dict(read_weights(run.path / WARM, of="network").tensors)
        return model

    def plan(self, run: Run, model: nn.Module, seconds: float) -> TrainingPlan:
        """Measure which precision is the faster one, and how many steps fit into ``seconds``."""
        return recipe.training_plan(
            model,
            run.data,
            seconds,
            device=run.device,
            settings=recipe.staged(run.side, optimizer=run.optimizer),
            counted=run.optimizer == "learned",
        )

    def train(self, run: Run, model: nn.Module, plan: TrainingPlan) -> Training:
        """Train the network as planned, from where the search has left it."""
        done = run.needed("search", SearchResult).done
        settings = recipe.staged(
            run.side,
            optimizer=run.optimizer,
            start=run.settings.start,
            steps=plan.steps,
            span=(done, 1.0),
        )
        settings["soft_labels"] = teacher.soft_labels(run)
        return run.train(model, plan, settings, stream=3, name="train")

    def describe(self, run: Run, found: SearchResult) -> dict[str, str]:
        """What :meth:`load` must know, as metadata of a file of weights."""
        return {"architecture": found.name}

    def load(self, metadata: Mapping[str, str]) -> nn.Module:
        """Build the network that a file of weights describes, with weights of its own."""
        space = space_of(
            tuple(json.loads(metadata["image_shape"])),
            classes=len(json.loads(metadata["classes"])),
        )
        return space.build(space.parse(metadata["architecture"]))

    def cell_edges(self, decisions: Mapping[str, Any]) -> tuple[tuple[int, int, str], ...]:
        """Nothing: there is no cell to draw."""
        return ()

    def skeleton(self, decisions: Mapping[str, Any], side: int) -> tuple[str, ...]:
        """The network in words, from images of ``side`` pixels to classes."""
        pixels = -(-side // decisions["stem"])
        lines = [f"stem: convolution of stride {decisions['stem']}"]
        for stage in range(1, sum(name.startswith("width") for name in decisions) + 1):
            width, depth, block = (decisions[f"{n}_{stage}"] for n in ("width", "depth", "block"))
            if stage > 1:
                pixels = -(-pixels // 2)
                lines.append(f"3x3 convolution of stride 2, {width} channels")
            if depth:
                blocks = f"{depth} {block} block{'s' if depth > 1 else ''}"
                lines.append(f"{blocks}, {width} channels, {pixels} px")
        return (*lines, "global average, linear classifier")


WARM = "checkpoints/searched.safetensors"
"""The weights that the search has given the chosen network."""


def _given(run: Run, space: StagedSpace) -> SearchResult:
    """The architecture that ``--architecture`` names: nothing is searched."""
    assert run.settings.architecture is not None
    architecture = space.parse(run.settings.architecture)
    cost = StagedCost(space, run.data.image_shape, precision="float32", folder=run.path / "stages")
    return SearchResult(
        seconds=0.0,
        architecture=architecture,
        name=space.format(architecture),
        decisions=space.values(architecture),
        score=math.nan,
        score_name="none: --architecture names the network",
        candidates=(
            CandidatePoint(
                name=space.format(architecture),
                score=math.nan,
                parameters=cost.parameters(architecture),
                macs=cost.macs(architecture),
                chosen=True,
            ),
        ),
    )


def _compared(
    run: Run, space: StagedSpace, cost: StagedCost, rounds: Rounds
) -> tuple[list[Entrant], nn.Module | None]:
    """The networks of the short trainings, the best one first, and what it has become."""
    architectures = [space.parse(name) for name in rounds.names]

    def steps_of(architecture: Architecture) -> int:
        if run.settings.steps:
            return run.settings.steps
        step = rounds.slowness * 1e-3 * recipe.BATCH * cost.training_ms(architecture)
        return max(int(rounds.seconds / step), 1)

    if len(architectures) < 2:
        (only,) = architectures
        return [Entrant(0, only, steps_of(only), 0.0, math.nan, math.nan)], None
    halving = Halving(run, space, rounds, steps_of=steps_of)
    begun = halving.first(architectures)
    if rounds.mutants:
        names = run.folder.plan(
            "mutants",
            dict[str, list[str]],
            lambda: {"names": mutants_of(run, space, cost, rounds, begun)},
            names=("names",),
        )["names"]
        begun += halving.first([space.parse(name) for name in names])
    finalists = halving.second(begun)
    dropped = {each.number for each in finalists}
    others = sorted((e for e in begun if e.number not in dropped), key=lambda each: each.loss)
    return finalists + others, halving.models[finalists[0].number]


def _front(space: StagedSpace, cost: StagedCost, entrants: list[Entrant]) -> tuple[FrontPoint, ...]:
    """The networks that none other beats in accuracy, latency and size; the chosen one first.

    Where there are fewer than three, the next best ones are added.
    """
    points = [
        FrontPoint(
            name=space.format(each.architecture),
            accuracy=each.accuracy,
            latency_ms=cost.latency_ms(each.architecture),
            parameters=cost.parameters(each.architecture),
            chosen=place == 0,
        )
        for place, each in enumerate(entrants)
    ]
    least, most = FRONT
    kept = [point for point in points if point.chosen or not any(o.beats(point) for o in points)]
    kept += [point for point in points if point not in kept][: max(least - len(kept), 0)]
    return tuple(kept[:most])
