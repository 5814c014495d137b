"""What the report says of a run, counted anew."""

import dataclasses
from collections.abc import Callable

import torch

from nascence.data import Dataset
from nascence.design import contents
from nascence.design.contents import confusion, summary_of
from nascence.design.results import (
    DeployedCost,
    ExportResult,
    FoldResult,
    PredictedStart,
    Results,
    SearchResult,
    TrainingResult,
)
from nascence.design.run import Run
from nascence.training import Measurement

COST = DeployedCost(parameters=10, macs=20, latency_ms=2.0, folded_latency_ms=1.0)
TRAINED = TrainingResult(
    steps=9,
    seconds=2.0,
    stopped_by="steps",
    accuracy=0.2,
    parameters=12,
    macs=24,
    curve=(Measurement(4, 1.0, 2.0, 0.1), Measurement(9, 2.0, 1.0, 0.2)),
    planned_steps=10,
)


def results(*, designed: float, baseline: float | None) -> Results:
    other = None
    if baseline is not None:
        other = dataclasses.replace(TRAINED, accuracy=baseline, name="ResNet")
    return Results(
        search=SearchResult(1.0, (0,), "a cell", {}, 1.0, ()),
        train=TRAINED,
        baseline=other,
        fold=FoldResult(0.1, designed, COST, COST if other else None),
        export=ExportResult(0.1, 30, 30, 1e-6),
    )


def test_confusion_counts_every_image() -> None:
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(50, 4, generator=generator)
    labels = torch.randint(4, (50,), generator=generator)
    expected = [[0] * 4 for _ in range(4)]
    for row, label in zip(logits, labels, strict=True):
        expected[int(label)][int(row.argmax())] += 1
    assert confusion(logits, labels, 4).tolist() == expected


def test_mistakes_are_wrong_and_surest_first(noise: Dataset) -> None:
    logits = torch.randn(30, 3, generator=torch.Generator().manual_seed(0))
    mistakes = contents._mistakes(logits, noise)
    wrong = int((logits.argmax(1) != noise.validation.labels).sum())
    assert len(mistakes) == min(wrong, contents.MISTAKES)
    confidences = [mistake.confidence for mistake in mistakes]
    assert confidences == sorted(confidences, reverse=True)
    assert all(mistake.truth != mistake.predicted for mistake in mistakes)
    assert mistakes[0].image.shape == (8, 8, 3)


def test_summary_says_by_how_much(run_of: Callable[..., Run]) -> None:
    run = run_of()
    summary = summary_of(run, results(designed=0.7, baseline=0.6))
    assert round(summary["accuracy_above_baseline"], 6) == 0.1
    assert [row["name"] for row in summary["networks"]] == ["designed", "ResNet"]
    assert summary["networks"][0]["train_seconds"] == 3.0
    assert (summary["optimizer"], summary["start"]) == ("muon", "random")
    alone = summary_of(run, results(designed=0.7, baseline=None))
    assert alone["accuracy_above_baseline"] is None
    assert len(alone["networks"]) == 1


def test_every_stage_has_its_time_and_its_share(run_of: Callable[..., Run]) -> None:
    run = run_of()
    found = contents._stage_times(run.shares, results(designed=0.7, baseline=None))
    assert [stage.name for stage in found] == ["search", "train", "fold", "export"]
    assert [stage.seconds for stage in found] == [1.0, 2.0, 0.1, 0.1]
    assert found[1].budget == run.shares.train


def test_notes_say_what_a_reader_must_know() -> None:
    good = results(designed=0.7, baseline=0.6)
    assert contents._notes(good) == []
    (note,) = contents._notes(results(designed=0.5, baseline=0.6))
    assert "hand-designed network is the better one" in note
    cut = dataclasses.replace(good, train=dataclasses.replace(TRAINED, stopped_by="seconds"))
    (note,) = contents._notes(cut)
    assert "cut short after 9 of 10 steps" in note
    said = dataclasses.replace(good, search=dataclasses.replace(good.search, notes=("why",)))
    assert contents._notes(said) == ["why"]


def test_beginning_says_what_was_used_and_why(run_of: Callable[..., Run]) -> None:
    found = results(designed=0.7, baseline=None)
    plain = contents._beginning(run_of(), found)
    assert plain.startswith("Trained with Muon from random parameters.")
    assert "--start predicted" in plain
    assert contents._beginning(run_of(name="mdeq", family="mdeq"), found) == (
        "Trained with AdamW from random parameters."
    )
    predicted = PredictedStart("ghn", images=90, head=True, accuracy=0.25, seconds=1.0)
    begun = dataclasses.replace(found, train=dataclasses.replace(TRAINED, predicted=predicted))
    run = run_of(name="learned", start="predicted", optimizer="learned")
    text = contents._beginning(run, begun)
    assert "the released learned optimizer from parameters that ghn predicted" in text
    assert "fitted in closed form" in text
    assert "25.0%" in text
