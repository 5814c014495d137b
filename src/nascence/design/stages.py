"""The stages of a run. Each reads what earlier ones left in the folder and returns its result."""

import json
import math
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn

from nascence import export as exporting
from nascence import report
from nascence.data import Dataset
from nascence.design import mdeq_family, network, recipe, start
from nascence.design.contents import Results, report_contents, summary_of
from nascence.design.folder import RunError, RunFolder
from nascence.design.settings import Shares
from nascence.graph import count_macs, count_parameters, measure_latency
from nascence.search import Candidate, Evolution, open_study, sample_allowed, search
from nascence.spaces import NB201
from nascence.training import Measurement, Training, evaluate, train


@dataclass(frozen=True)
class Run:
    """What every stage works with."""

    folder: RunFolder
    data: Dataset
    device: torch.device
    shares: Shares
    progress: Callable[[str, float, str], None]

    @property
    def path(self) -> Path:
        """The folder of the run."""
        return self.folder.path

    @property
    def example(self) -> torch.Tensor:
        """One black image, (1, C, H, W)."""
        return torch.zeros(1, *self.data.image_shape)

    @property
    def space(self) -> NB201:
        """The space that is searched."""
        return network.space_of(
            self.folder.settings.block,
            classes=self.data.classes,
            in_channels=self.data.image_shape[0],
        )

    def generator(self, stream: int) -> torch.Generator:
        """The randomness of one purpose; one purpose does not disturb another."""
        return torch.Generator().manual_seed(1000 * self.folder.settings.seed + stream)

    def needed(self, stage: str) -> dict[str, Any]:
        """The result of an earlier stage."""
        result = self.folder.result(stage)
        if result is None:
            raise RunError(f"{self.path} has no result of the stage {stage}; delete the later ones")
        return result


def search_stage(run: Run) -> dict[str, Any]:
    """Choose an architecture by its score before training, within the limits."""
    settings = run.folder.settings
    if settings.family == "mdeq":
        return mdeq_family.search(run)
    space = run.space
    batch = run.data.batch(min(128, len(run.data.train)), generator=run.generator(1))
    started = time.perf_counter()
    cost = network.Cost(
        network.deployed_space_of(classes=run.data.classes, in_channels=run.data.image_shape[0]),
        block=settings.block,
        side=max(run.data.image_shape[1:]),
        in_channels=run.data.image_shape[0],
        measured=run.path / "stages" / "latencies.json",
    )
    limits = cost.limits(
        work=run.folder.plan("size", lambda: _plan_size(run, cost))["work"],
        parameters=settings.max_params,
        latency_ms=settings.max_latency_ms,
    )
    score = network.Score(space, cost, batch, seed=settings.seed)
    first = sample_allowed(space, allowed=limits, known=(), generator=run.generator(5))
    trials = run.folder.plan("search", lambda: _plan_trials(run, lambda: score(first)))["trials"]

    def tell(candidate: Candidate) -> None:
        run.progress("search", (candidate.number + 1) / trials, f"score {candidate.score:.2f}")

    history = search(
        Evolution(space, generator=run.generator(2), allowed=limits),
        score,
        trials=trials,
        study=open_study(run.path / "study.journal", space=space, name="search"),
        on_trial=tell,
    )
    best = history.best
    if not math.isfinite(best.score):
        raise RunError(
            f"none of {len(history)} networks within the limits has a score, as where nothing "
            "leads from the input to the output; raise --max-params or --max-latency-ms"
        )
    counted = sum(candidate.seconds for candidate in history.candidates)
    return {
        # Of a search that was stopped and resumed, the clock knows the last part alone.
        "seconds": max(time.perf_counter() - started, counted),
        "architecture": list(best.architecture),
        "name": space.format(best.architecture),
        "decisions": json.loads(space.to_json(best.architecture)),
        "score": best.score,
        "candidates": [
            {
                "name": space.format(candidate.architecture),
                "score": candidate.score,
                "parameters": cost.parameters(candidate.architecture),
                "macs": cost.macs(candidate.architecture),
                "chosen": candidate is best,
            }
            for candidate in history.candidates
        ],
    }


def train_stage(run: Run) -> dict[str, Any]:
    """Train the chosen network for its share of the budget."""
    if run.folder.settings.family == "mdeq":
        return _train_mdeq(run)
    chosen = tuple(run.needed("search")["architecture"])
    space = run.space
    model = network.build(space, chosen, seed=run.folder.settings.seed)
    settings = run.folder.settings
    left = run.shares.search + run.shares.train - run.needed("search")["seconds"]
    predicted = start.begin(run, model) if settings.start == "predicted" else None
    spent = predicted["seconds"] if predicted else 0.0
    planned = run.folder.plan("train", lambda: _plan_training(run, model, left - spent))
    training = train(
        model,
        run.data,
        **recipe.designed(
            max(run.data.image_shape[1:]),
            optimizer=settings.trained_with,
            start=settings.start,
            steps=planned["steps"],
        ),
        steps=planned["steps"],
        seconds=planned["seconds"],
        generator=run.generator(3),
        device=run.device,
        checkpoint=run.path / "checkpoints" / "train.pt",
        checkpoint_seconds=settings.checkpoint_seconds,
        progress=_training_progress(run, "train"),
    )
    described = {"architecture": space.to_json(chosen), "block": settings.block}
    result = _save_training(run, training, "trained", described)
    result["seconds"] += spent
    return {**result, "planned_steps": planned["steps"], "predicted": predicted}


def _train_mdeq(run: Run) -> dict[str, Any]:
    training, planned = mdeq_family.train_network(run, _training_progress(run, "train"))
    decisions = run.needed("search")["decisions"]
    described = {"family": "mdeq", "architecture": json.dumps(decisions)}
    result = _save_training(run, training, "trained", described)
    return {**result, "planned_steps": planned}


def baseline_stage(run: Run) -> dict[str, Any]:
    """Train a hand-designed network of the same cost the usual way for the same wall time."""
    settings = run.folder.settings
    macs = run.needed("train")["macs"]
    model = network.baseline(
        macs, classes=run.data.classes, image_shape=run.data.image_shape, seed=settings.seed
    )
    seconds = run.needed("search")["seconds"] + run.needed("train")["seconds"]
    training = train(
        model,
        run.data,
        **recipe.usual(),
        steps=settings.steps,
        seconds=None if settings.steps else seconds,
        generator=run.generator(4),
        device=run.device,
        checkpoint=run.path / "checkpoints" / "baseline.pt",
        checkpoint_seconds=settings.checkpoint_seconds,
        progress=_training_progress(run, "baseline"),
    )
    result = _save_training(run, training, "baseline", {"macs": str(macs)})
    return {**result, "name": "ResNet, AdamW"}


def fold_stage(run: Run) -> dict[str, Any]:
    """Fold branches and BatchNorms away; measure what that costs and gains."""
    source = run.path / "checkpoints" / "trained.safetensors"
    images = network.check_images(run.data)
    trained = network.load_trained(source)
    folded = network.fold_network(trained, images)
    metadata = exporting.read_metadata(source)
    exporting.save_weights(folded, run.path / "model.safetensors", metadata=metadata)
    run.progress("fold", 0.5, "measuring")
    result = {
        "parameters": count_parameters(folded),
        "macs": count_macs(folded, run.example),
        "accuracy": evaluate(folded, run.data.validation, run.data.normalise).accuracy,
        **_latencies("", trained, folded, run.example),
    }
    if run.folder.settings.baseline:
        baseline = network.load_baseline(run.path / "checkpoints" / "baseline.safetensors")
        folded = network.fold_network(baseline, images)
        result["baseline_parameters"] = count_parameters(folded)
        result["baseline_macs"] = count_macs(folded, run.example)
        result.update(_latencies("baseline_", baseline, folded, run.example))
    return result


def _latencies(
    prefix: str, before: nn.Module, after: nn.Module, example: torch.Tensor
) -> dict[str, float]:
    """Milliseconds for one image, both measured in turns so that a busy machine hits both."""
    seconds: dict[str, list[float]] = {"latency_ms": [], "folded_latency_ms": []}
    for _ in range(5):
        for name, model in zip(seconds, (before, after), strict=True):
            seconds[name].append(measure_latency(model, example, repeats=20).median)
    return {prefix + name: 1e3 * statistics.median(values) for name, values in seconds.items()}


def export_stage(run: Run) -> dict[str, Any]:
    """Write ONNX and check it against torch on every validation image."""
    folded = network.load_folded(run.path)
    path = run.path / "model.onnx"
    name = run.needed("search")["name"]
    exporting.export_onnx(folded, path, data=run.data, metadata={"architecture": name})
    run.progress("export", 0.6, "checking")
    parity = exporting.check_parity(folded, path, run.data.validation, data=run.data)
    return parity._asdict()


def report_stage(run: Run) -> dict[str, Any]:
    """Write the report and the summary."""
    results = Results(
        search=run.needed("search"),
        train=run.needed("train"),
        baseline=run.folder.result("baseline"),
        fold=run.needed("fold"),
        export=run.needed("export"),
    )
    contents = report_contents(run.folder, run.data, run.shares, results)
    report.write(contents, run.path / "report.html")
    return summary_of(run.data, run.folder.settings, results)


def _plan_size(run: Run, cost: network.Cost) -> dict[str, Any]:
    space = run.space
    architecture = space.parse(network.PROBE)
    work = cost.work(architecture)
    if run.folder.settings.steps:
        return {"work": work}
    probe = network.build(space, architecture, seed=0)
    limit = recipe.work_limit(
        probe,
        work,
        run.data,
        run.shares.train,
        device=run.device,
        optimizer=run.folder.settings.trained_with,
    )
    # Below the narrowest network the space holds hardly one that is connected.
    return {"work": max(limit, cost.work(space.parse(network.LEAST)))}


def _plan_trials(run: Run, evaluate: Callable[[], object]) -> dict[str, Any]:
    asked = run.folder.settings.trials
    return {"trials": asked or recipe.trials_in(evaluate, run.shares.search)}


def _plan_training(run: Run, model: nn.Module, left: float) -> dict[str, Any]:
    settings = run.folder.settings
    if settings.steps:
        return {"steps": settings.steps, "seconds": None}
    left = max(left, 1.0)
    optimizer = settings.trained_with
    steps = recipe.steps_in(model, run.data, left, device=run.device, optimizer=optimizer)
    # A machine that becomes slower than it was when measured must not run for ever.
    return {"steps": steps, "seconds": 1.15 * left}


def _training_progress(run: Run, stage: str) -> Callable[[float, Measurement | None], None]:
    def show(fraction: float, measured: Measurement | None) -> None:
        message = "" if measured is None else f"accuracy {measured.accuracy:.1%}"
        run.progress(stage, fraction, message)
        if measured is not None:
            run.folder.event("measured", stage=stage, **measured._asdict())

    return show


def _save_training(
    run: Run, training: Training, name: str, described: dict[str, str]
) -> dict[str, Any]:
    model = training.model.cpu()
    metadata = {
        **described,
        "classes": json.dumps(run.data.class_names),
        "image_shape": json.dumps(run.data.image_shape),
        "mean": json.dumps(run.data.mean),
        "std": json.dumps(run.data.std),
    }
    exporting.save_weights(
        model, run.path / "checkpoints" / f"{name}.safetensors", metadata=metadata
    )
    return {
        "steps": training.steps,
        "seconds": training.seconds,
        "stopped_by": training.stopped_by,
        "accuracy": training.curve[-1].accuracy,
        "parameters": count_parameters(model),
        "macs": count_macs(model, run.example),
        "curve": [list(point) for point in training.curve],
    }
