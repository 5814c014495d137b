"""The stages of a run. Each reads what earlier ones left in the folder and returns its result."""

import dataclasses
import json
import statistics
import time
from typing import Any

from torch import Tensor, nn

from nascence import export as exporting
from nascence import report
from nascence.core.weights import read_metadata
from nascence.design import network, start
from nascence.design.baselines import compare
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

LATENCIES, LATENCY_SECONDS = 10, 1.5
"""Passes that a latency is the median of, and time after which no more are measured."""


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
    left = min(left, run.seconds_for("train") + max(run.shares.search - found.seconds, 0.0))
    if run.settings.start == "predicted":
        model, predicted = start.begin(run, model)
        left -= predicted.seconds

    def make() -> TrainingPlan:
        if run.settings.steps:
            return TrainingPlan(run.settings.steps, None, unmeasured_precision(run.device))
        planned = family.plan(run, model, max(left, 1.0))
        # A machine that becomes slower must not make the run longer than its budget.
        most = left if planned.seconds is None else min(planned.seconds, left)
        return dataclasses.replace(planned, seconds=max(most, 1.0))

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
    """Train what the designed network must beat; the best of them stands for all."""
    designed = run.needed("train", TrainingResult)
    training, result = compare(run, designed, run.seconds_for("baseline"))
    if training is None:
        return result
    saved = _saved(run, training, "baseline", {"spec": result.spec})
    return dataclasses.replace(result, parameters=saved.parameters, macs=saved.macs)


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
    judged = evaluate(folded, run.data.validation, run.data.normalise)
    designed, baseline = _cost(trained, folded, run.example), None
    if run.settings.baseline and run.needed("baseline", TrainingResult).steps:
        other = network.load_baseline(run.path / "checkpoints" / "baseline.safetensors")
        baseline = _cost(other, network.fold_network(other, images), run.example)
    seconds = time.perf_counter() - started
    return FoldResult(seconds, judged.accuracy, designed, baseline, judged.mean_recall)


def export_stage(run: Run) -> ExportResult:
    """Write ONNX and check it against torch on every validation image."""
    started = time.perf_counter()
    folded = network.load_folded(run.path)
    path = run.path / "model.onnx"
    metadata = {
        "architecture": run.needed("search", SearchResult).name,
        **({} if run.inputs is None else run.inputs.metadata(run.data.image_shape)),
    }
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
    started = time.perf_counter()
    for _ in range(5):
        for name, model in zip(seconds, (before, after), strict=True):
            seconds[name].append(measure_latency(model, example, repeats=LATENCIES).median)
        if time.perf_counter() - started > LATENCY_SECONDS:
            break
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
        "mean_recall": training.curve[-1].mean_recall,
        "precision": training.precision,
        "samples": training.samples,
        "parameters": count_parameters(model),
        "macs": count_macs(model, run.example),
        "curve": training.curve,
    }
    return TrainingResult(**{**measured, **facts})
