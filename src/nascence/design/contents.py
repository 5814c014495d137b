"""The contents of a finished run's report and summary."""

from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from nascence import report
from nascence.data import Dataset
from nascence.design import network
from nascence.design.families import family_of
from nascence.design.folder import environment
from nascence.design.honesty import warning, worth
from nascence.design.results import DeployedCost, Results
from nascence.design.run import Run
from nascence.design.settings import Shares
from nascence.training import evaluate

MISTAKES = 24


def summary_of(run: Run, results: Results) -> dict[str, Any]:
    """The figures of a run, for the table that is printed and for other programs."""
    rows = _rows(results)
    predicted = results.train.predicted
    return {
        "data": run.data.name,
        "validation_images": len(run.data.validation),
        "architecture": results.search.name,
        "start": run.settings.start,
        "accuracy_before_training": predicted.accuracy if predicted else None,
        "optimizer": run.optimizer,
        "networks": [vars(row) for row in rows],
        "accuracy_above_baseline": rows[0].accuracy - rows[1].accuracy if rows[1:] else None,
        "onnx": vars(results.export),
        "mean_recall": results.fold.mean_recall,
        "uneven": run.data.uneven,
        "warning": warning(run, results),
        "compared": [vars(row) for row in _compared(results)],
        "worth": list(worth(run, results)),
        "inputs": None if run.inputs is None else run.inputs.said(),
        "reading": run.data.reading,
        "skipped": list(run.data.skipped),
        "notes": _notes(results),
        "front": [vars(point) for point in results.search.front],
    }


def report_contents(run: Run, results: Results) -> report.ReportContents:
    """Gather what the report shows. The network is run once more over the validation images."""
    data, family = run.data, family_of(run.settings)
    folded = network.load_folded(run.path)
    logits = evaluate(folded, data.validation, data.normalise).logits
    search, (designed, *others) = results.search, _rows(results)
    return report.ReportContents(
        title=f"{Path(run.settings.data).name}: a designed network",
        data_name=data.name,
        classes=data.class_names,
        image_shape=data.image_shape,
        train_images=len(data.train),
        validation_images=len(data.validation),
        architecture=search.name,
        cell_edges=family.cell_edges(search.decisions),
        skeleton=family.skeleton(search.decisions, run.side),
        candidates=search.candidates,
        score_name=search.score_name,
        curves=_curves(results),
        confusion=confusion(logits, data.validation.labels, data.classes),
        mistakes=_mistakes(logits, data),
        stages=_stage_times(run.shares, results),
        designed=designed,
        baseline=others[0] if others else None,
        settings={
            key: str(value) for key, value in run.settings.model_dump().items() if value is not None
        },
        environment=_environment_lines(),
        notes=(*_readings(run), *data.skipped, *_notes(results)),
        beginning=_beginning(run, results),
        uneven=data.uneven,
        warning=warning(run, results),
        compared=_compared(results),
        worth=worth(run, results),
    )


def confusion(logits: Tensor, labels: Tensor, classes: int) -> np.ndarray:
    """Count how often each class was taken for each.

    Args:
        logits: ``(N, classes)``.
        labels: ``(N,)``.
        classes: Number of classes.

    Returns:
        Counts ``(classes, classes)``: rows are the truth, columns what the network chose.
    """
    pairs = labels * classes + logits.argmax(1)
    return torch.bincount(pairs, minlength=classes**2).view(classes, classes).numpy()


def _rows(results: Results) -> list[report.NetworkRow]:
    """The designed network and, if there is one, the baseline."""

    def row(
        name: str, accuracy: float, cost: DeployedCost, seconds: float, steps: int, recall: float
    ) -> report.NetworkRow:
        return report.NetworkRow(
            name,
            accuracy,
            **vars(cost),
            train_seconds=seconds,
            train_steps=steps,
            mean_recall=recall,
        )

    search, train, baseline, fold = results.search, results.train, results.baseline, results.fold
    seconds = search.seconds + train.seconds
    rows = [row(train.name, fold.accuracy, fold.designed, seconds, train.steps, fold.mean_recall)]
    if baseline is not None and fold.baseline is not None:
        accuracy, seconds = baseline.accuracy, baseline.seconds
        recall = baseline.mean_recall
        rows.append(row(baseline.name, accuracy, fold.baseline, seconds, baseline.steps, recall))
    return rows


def _curves(results: Results) -> tuple[report.Curve, ...]:
    trainings = [results.train, *filter(None, (results.baseline,))]
    curves = []
    for training in trainings:
        if not training.curve:
            continue
        steps, seconds, losses, accuracies, _ = zip(*training.curve, strict=True)
        curves.append(report.Curve(training.name, steps, seconds, losses, accuracies))
    return tuple(curves)


def _mistakes(logits: Tensor, data: Dataset) -> tuple[report.Mistake, ...]:
    """Return the wrongly classified images of which the network was most certain."""
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


def _stage_times(shares: Shares, results: Results) -> tuple[report.StageTime, ...]:
    return tuple(
        report.StageTime(name, result.seconds, getattr(shares, name))
        for name, result in vars(results).items()
        if result is not None
    )


def _environment_lines() -> dict[str, str]:
    found = environment()
    packages = found.pop("packages")
    return {key: str(value) for key, value in {**found, **packages}.items()}


_OPTIMIZERS = {
    "muon": "Muon",
    "sgd": "SGD",
    "adamw": "AdamW",
    "learned": "the released learned optimizer",
}


def _beginning(run: Run, results: Results) -> str:
    """Describe how the training started and which optimizer was used, with the reason."""
    optimizer = f"Trained with {_OPTIMIZERS[run.optimizer]}"
    predicted = results.train.predicted
    if predicted is None:
        why = family_of(run.settings).why_random
        return f"{optimizer} from random parameters. {why}".strip()
    head = "a classifier fitted in closed form" if predicted.head else "its own classifier"
    return (
        f"{optimizer} from parameters that {predicted.hypernetwork} predicted, as --start "
        f"predicted asked. With {head} and BatchNorm statistics of {predicted.images} training "
        f"images, they classified {predicted.accuracy:.1%} of the validation images correctly "
        "before the first step."
    )


def _readings(run: Run) -> list[str]:
    said = "" if run.inputs is None else run.inputs.said()
    return [words for words in (run.data.reading, said) if words]


def _compared(results: Results) -> tuple[report.Compared, ...]:
    return () if results.baseline is None else results.baseline.compared


def _notes(results: Results) -> list[str]:
    notes = list(results.search.notes)
    train, baseline = results.train, results.baseline
    short = train.planned_steps is not None and train.steps <= 0.9 * train.planned_steps
    if train.stopped_by == "seconds" and short:
        notes.append(
            f"Training was cut short after {train.steps} of {train.planned_steps} steps, because "
            "the machine had become slower than it was when the steps were planned."
        )
    if baseline is not None and baseline.compared and not baseline.steps:
        notes.append("No time was left to train networks for comparison; give a longer --budget.")
    if baseline is not None and baseline.accuracy > results.fold.accuracy:
        notes.append(
            "On these images and in this time, the hand-designed network is the better one."
        )
    return notes
