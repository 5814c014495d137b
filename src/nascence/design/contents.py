"""What a finished run has to say: the contents of its report and its summary."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from nascence import report
from nascence.data import Dataset
from nascence.design import mdeq_family, network
from nascence.design.folder import RunFolder, environment
from nascence.design.settings import Settings, Shares
from nascence.spaces.cell import EDGES, live_edges
from nascence.training import evaluate

MISTAKES = 24


@dataclass(frozen=True)
class Results:
    """The results of every stage, as they stand in the folder."""

    search: dict[str, Any]
    train: dict[str, Any]
    baseline: dict[str, Any] | None
    fold: dict[str, Any]
    export: dict[str, Any]


def summary_of(data: Dataset, settings: Settings, results: Results) -> dict[str, Any]:
    """The figures of a run, for the table that is printed and for other programs."""
    rows = [_designed_row(results)]
    if results.baseline is not None:
        rows.append(_baseline_row(results))
    predicted = results.train.get("predicted")
    difference = rows[0].accuracy - rows[1].accuracy if len(rows) > 1 else None
    return {
        "data": data.name,
        "validation_images": len(data.validation),
        "architecture": results.search["name"],
        "start": settings.start,
        "accuracy_before_training": predicted["accuracy"] if predicted else None,
        "optimizer": settings.trained_with,
        "networks": [vars(row) for row in rows],
        "accuracy_above_baseline": difference,
        "onnx": results.export,
        "reading": data.reading,
        "skipped": list(data.skipped),
    }


def report_contents(
    folder: RunFolder, data: Dataset, shares: Shares, results: Results
) -> report.ReportContents:
    """Gather what the report shows. The network is run once more over the validation images."""
    folded = network.load_folded(folder.path)
    logits = evaluate(folded, data.validation, data.normalise).logits
    chosen = results.search["decisions"]
    return report.ReportContents(
        title=f"{Path(folder.settings.data).name}: a designed network",
        data_name=data.name,
        classes=data.class_names,
        image_shape=data.image_shape,
        train_images=len(data.train),
        validation_images=len(data.validation),
        architecture=results.search["name"],
        cell_edges=_cell_edges(chosen),
        skeleton=_skeleton(chosen, max(data.image_shape[1:])),
        candidates=tuple(report.CandidatePoint(**point) for point in results.search["candidates"]),
        score_name=results.search.get("score_name", "binary-code score per image + ln(MACs)"),
        curves=_curves(results),
        confusion=confusion(logits, data.validation.labels, data.classes),
        mistakes=_mistakes(logits, data),
        stages=_stage_times(shares, results),
        designed=_designed_row(results),
        baseline=_baseline_row(results) if results.baseline is not None else None,
        settings={
            key: str(value)
            for key, value in folder.settings.model_dump().items()
            if value is not None
        },
        environment=_environment_lines(),
        notes=(*filter(None, (data.reading,)), *data.skipped, *_notes(results)),
        beginning=_beginning(folder.settings, results.train),
    )


def confusion(logits: Tensor, labels: Tensor, classes: int) -> np.ndarray:
    """Counts (classes, classes): rows are the truth, columns what the network chose."""
    pairs = labels * classes + logits.argmax(1)
    return torch.bincount(pairs, minlength=classes**2).view(classes, classes).numpy()


def _designed_row(results: Results) -> report.NetworkRow:
    return report.NetworkRow(
        name="designed",
        accuracy=results.fold["accuracy"],
        parameters=results.fold["parameters"],
        macs=results.fold["macs"],
        latency_ms=results.fold["latency_ms"],
        folded_latency_ms=results.fold["folded_latency_ms"],
        train_seconds=results.search["seconds"] + results.train["seconds"],
        train_steps=results.train["steps"],
    )


def _baseline_row(results: Results) -> report.NetworkRow:
    assert results.baseline is not None
    return report.NetworkRow(
        name=results.baseline["name"],
        accuracy=results.baseline["accuracy"],
        parameters=results.fold["baseline_parameters"],
        macs=results.fold["baseline_macs"],
        latency_ms=results.fold["baseline_latency_ms"],
        folded_latency_ms=results.fold["baseline_folded_latency_ms"],
        train_seconds=results.baseline["seconds"],
        train_steps=results.baseline["steps"],
    )


def _curves(results: Results) -> tuple[report.Curve, ...]:
    found = [("designed", results.train)]
    if results.baseline is not None:
        found.append((results.baseline["name"], results.baseline))
    curves = []
    for name, result in found:
        steps, seconds, losses, accuracies = zip(*result["curve"], strict=True)
        curves.append(report.Curve(name, steps, seconds, losses, accuracies))
    return tuple(curves)


def _mistakes(logits: Tensor, data: Dataset) -> tuple[report.Mistake, ...]:
    """The images that the network got wrong and was surest of."""
    confidence, chosen = logits.softmax(1).max(1)
    wrong = (chosen != data.validation.labels).nonzero().flatten()
    order = wrong[confidence[wrong].argsort(descending=True)][:MISTAKES]
    return tuple(
        report.Mistake(
            image=data.validation.images[index].permute(1, 2, 0).numpy(),
            truth=data.class_names[int(data.validation.labels[index])],
            predicted=data.class_names[int(chosen[index])],
            confidence=float(confidence[index]),
        )
        for index in order.tolist()
    )


def _cell_edges(chosen: dict[str, Any]) -> tuple[tuple[int, int, str], ...]:
    """(from node, to node, operation) for every edge that the output depends on."""
    if "streams" in chosen:
        return ()  # the cell of an MDEQ is one for all its sizes
    operations = tuple(chosen[f"edge_{source}_{target}"] for source, target in EDGES)
    return tuple(
        (source, target, operation)
        for (source, target), operation, live in zip(
            EDGES, operations, live_edges(operations), strict=True
        )
        if live
    )


def _skeleton(chosen: dict[str, Any], side: int) -> tuple[str, ...]:
    if "streams" in chosen:
        return mdeq_family.skeleton(mdeq_family.Size(**chosen), side)
    width, cells = chosen["width"], chosen["cells"]
    lines = [f"stem: 3x3 convolution, {width} channels, {side} px"]
    for stage in range(3):
        if stage:
            lines.append(f"reduction: residual block, stride 2, {width * 2**stage} channels")
        lines.append(
            f"{cells} cell{'s' if cells > 1 else ''}, {width * 2**stage} channels, "
            f"{side // 2**stage} px"
        )
    return (*lines, "global average, linear classifier")


def _stage_times(shares: Shares, results: Results) -> tuple[report.StageTime, ...]:
    found = [("search", results.search), ("train", results.train)]
    if results.baseline is not None:
        found.append(("baseline", results.baseline))
    found += [("fold", results.fold), ("export", results.export)]
    return tuple(
        report.StageTime(name, result["seconds"], getattr(shares, name)) for name, result in found
    )


def _environment_lines() -> dict[str, str]:
    found = environment()
    packages = found.pop("packages")
    return {key: str(value) for key, value in {**found, **packages}.items()}


_OPTIMIZERS = {"sgd": "SGD", "adamw": "AdamW", "learned": "the released learned optimizer"}
_WHY_RANDOM = (
    "That is the default because it ended better in equal time; --start predicted begins with "
    "parameters of a hypernetwork."
)


def _beginning(settings: Settings, train: dict[str, Any]) -> str:
    """Where the training began and what led it, in words, with the reason."""
    optimizer = f"Trained with {_OPTIMIZERS[settings.trained_with]}"
    predicted = train.get("predicted")
    if predicted is None:
        why = _WHY_RANDOM if settings.family == "cells" else ""
        return f"{optimizer} from random parameters. {why}".strip()
    head = "a classifier fitted in closed form" if predicted["head"] else "its own classifier"
    return (
        f"{optimizer} from parameters that {predicted['hypernetwork']} predicted, as --start "
        f"predicted asked: with {head} and BatchNorm statistics of {predicted['images']} training "
        f"images they had {predicted['accuracy']:.1%} of the validation images right before the "
        f"first step."
    )


def _notes(results: Results) -> list[str]:
    notes = []
    planned = results.train["planned_steps"]
    if results.train["stopped_by"] == "seconds":
        notes.append(
            f"Training was shortened to {results.train['steps']} of {planned} steps: "
            f"the machine became slower than it was when the steps were planned."
        )
    if results.baseline is not None and results.baseline["accuracy"] > results.fold["accuracy"]:
        notes.append("The hand-designed network is the better one on these images and this time.")
    return notes
