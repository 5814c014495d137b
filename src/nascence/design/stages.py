"""The stages of a run. Each reads what earlier ones left in the folder and returns its result."""

import json
import statistics
import time
from typing import Any

from torch import Tensor, nn

from nascence import export as exporting
from nascence import report
from nascence.core.weights import read_metadata
from nascence.design import network, recipe, start
from nascence.design.contents import report_contents, summary_of
from nascence.design.families import family_of
from nascence.design.results import (
    DeployedCost,
    ExportResult,
    FoldResult,
    Results,
    SearchResult,
    TrainingPlan,
    TrainingResult,
)
from nascence.design.run import Run
from nascence.graph import count_macs, count_parameters, measure_latency
from nascence.training import Training, evaluate, unmeasured_precision


def search_stage(run: Run) -> SearchResult:
    """Choose an architecture within the limits.

    Raises:
        LimitError: No architecture keeps to them.
    """
    return family_of(run.settings).search(run)


def train_stage(run: Run) -> TrainingResult:
    """Train the chosen network for its share of the budget."""
    found, family = run.needed("search", SearchResult), family_of(run.settings)
    model, predicted = family.build(run, found), None
    left = run.shares.search + run.shares.train - found.seconds
    if run.settings.start == "predicted":
        model, predicted = start.begin(run, model)
        left -= predicted.seconds

    def make() -> TrainingPlan:
        if run.settings.steps:
            return TrainingPlan(run.settings.steps, None, unmeasured_precision(run.device))
        return family.plan(run, model, max(left, 1.0))

    plan = run.folder.plan("train", TrainingPlan, make)
    training = family.train(run, model, plan)
    described = {"family": run.settings.family, **family.describe(run, found)}
    return _saved(
        run,
        training,
        "trained",
        described,
        seconds=training.seconds + (predicted.seconds if predicted else 0.0),
        planned_steps=plan.steps,
        predicted=predicted,
    )


def baseline_stage(run: Run) -> TrainingResult:
    """Train a hand-designed network of the same cost the usual way for the same wall time."""
    designed, settings = run.needed("train", TrainingResult), run.settings
    model = network.baseline(
        designed.macs,
        classes=run.data.classes,
        image_shape=run.data.image_shape,
        seed=settings.seed,
    )

    def make() -> TrainingPlan:
        if settings.steps:
            return TrainingPlan(settings.steps, None, unmeasured_precision(run.device))
        seconds = run.needed("search", SearchResult).seconds + designed.seconds
        return TrainingPlan(None, seconds)

    plan = run.folder.plan("baseline", TrainingPlan, make)
    training = run.train(model, plan, recipe.usual(), stream=4, name="baseline")
    return _saved(run, training, "baseline", {"macs": str(designed.macs)}, name="ResNet, AdamW")


def fold_stage(run: Run) -> FoldResult:
    """Fold branches and BatchNorms away; measure what that costs and gains."""
    started = time.perf_counter()
    source = run.path / "checkpoints" / "trained.safetensors"
    images = network.check_images(run.data)
    trained = network.load_trained(source)
    folded = network.fold_network(trained, images)
    metadata = read_metadata(source)
    exporting.save_weights(folded, run.path / "model.safetensors", metadata=metadata)
    run.progress("fold", 0.5, "measuring")
    accuracy = evaluate(folded, run.data.validation, run.data.normalise).accuracy
    designed, baseline = _cost(trained, folded, run.example), None
    if run.settings.baseline:
        other = network.load_baseline(run.path / "checkpoints" / "baseline.safetensors")
        baseline = _cost(other, network.fold_network(other, images), run.example)
    return FoldResult(time.perf_counter() - started, accuracy, designed, baseline)


def export_stage(run: Run) -> ExportResult:
    """Write ONNX and check it against torch on every validation image."""
    started = time.perf_counter()
    folded = network.load_folded(run.path)
    path = run.path / "model.onnx"
    metadata = {"architecture": run.needed("search", SearchResult).name}
    exporting.export_onnx(folded, path, data=run.data, metadata=metadata, opset=run.settings.opset)
    run.progress("export", 0.6, "checking")
    parity = exporting.check_parity(folded, path, run.data.validation, data=run.data)
    return ExportResult(time.perf_counter() - started, *parity)


def report_stage(run: Run) -> dict[str, Any]:
    """Write the report and the summary."""
    started = time.perf_counter()
    results = Results(
        search=run.needed("search", SearchResult),
        train=run.needed("train", TrainingResult),
        baseline=run.folder.result("baseline", TrainingResult),
        fold=run.needed("fold", FoldResult),
        export=run.needed("export", ExportResult),
    )
    report.write(report_contents(run, results), run.path / "report.html")
    return {**summary_of(run, results), "seconds": time.perf_counter() - started}


def _cost(before: nn.Module, after: nn.Module, example: Tensor) -> DeployedCost:
    """Cost of a folded network; latencies by turns, so that a busy machine slows both down."""
    seconds: dict[str, list[float]] = {"latency_ms": [], "folded_latency_ms": []}
    for _ in range(5):
        for name, model in zip(seconds, (before, after), strict=True):
            seconds[name].append(measure_latency(model, example, repeats=20).median)
    latencies = {name: 1e3 * statistics.median(values) for name, values in seconds.items()}
    return DeployedCost(count_parameters(after), count_macs(after, example), **latencies)


def _saved(
    run: Run, training: Training, file: str, described: dict[str, str], **facts: Any
) -> TrainingResult:
    """Write the weights of a training with all that reading them back needs; its result."""
    model = training.model.cpu()
    metadata = {
        **described,
        "classes": json.dumps(run.data.class_names),
        "image_shape": json.dumps(run.data.image_shape),
        "mean": json.dumps(run.data.mean),
        "std": json.dumps(run.data.std),
    }
    exporting.save_weights(
        model, run.path / "checkpoints" / f"{file}.safetensors", metadata=metadata
    )
    measured: dict[str, Any] = {
        "steps": training.steps,
        "seconds": training.seconds,
        "stopped_by": training.stopped_by,
        "accuracy": training.curve[-1].accuracy,
        "parameters": count_parameters(model),
        "macs": count_macs(model, run.example),
        "curve": training.curve,
    }
    return TrainingResult(**{**measured, **facts})
