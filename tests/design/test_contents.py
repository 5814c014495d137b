import torch

from nascence.data import Dataset
from nascence.design import contents
from nascence.design.contents import Results, confusion, summary_of
from nascence.design.settings import Settings


def results(*, designed: float, baseline: float | None, stopped_by: str = "steps") -> Results:
    trained = {"seconds": 2.0, "steps": 9, "stopped_by": stopped_by, "planned_steps": 10}
    trained["curve"] = [[4, 1.0, 2.0, 0.1], [9, 2.0, 1.0, 0.2]]
    costs = {"parameters": 10, "macs": 20, "latency_ms": 2.0, "folded_latency_ms": 1.0}
    fold = {**costs, **{f"baseline_{key}": value for key, value in costs.items()}}
    return Results(
        search={"seconds": 1.0, "name": "a cell"},
        train=trained,
        baseline=None if baseline is None else {**trained, "accuracy": baseline, "name": "ResNet"},
        fold={**fold, "accuracy": designed, "seconds": 0.1},
        export={"seconds": 0.1},
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


def test_only_edges_that_count_are_drawn() -> None:
    chosen = dict.fromkeys(("edge_0_1", "edge_0_2"), "none")
    chosen |= {"edge_1_2": "nor_conv_3x3", "edge_0_3": "nor_conv_1x1"}
    chosen |= {"edge_1_3": "skip_connect", "edge_2_3": "avg_pool_3x3"}
    assert contents._cell_edges(chosen) == ((0, 3, "nor_conv_1x1"),)


def test_summary_says_by_how_much(noise: Dataset) -> None:
    summary = summary_of(noise, Settings(), results(designed=0.7, baseline=0.6))
    assert round(summary["accuracy_above_baseline"], 6) == 0.1
    assert [row["name"] for row in summary["networks"]] == ["designed", "ResNet"]
    assert summary["networks"][0]["train_seconds"] == 3.0
    alone = summary_of(noise, Settings(), results(designed=0.7, baseline=None))
    assert alone["accuracy_above_baseline"] is None
    assert len(alone["networks"]) == 1


def test_notes_say_what_a_reader_must_know() -> None:
    assert contents._notes(results(designed=0.7, baseline=0.6)) == []
    (note,) = contents._notes(results(designed=0.5, baseline=0.6))
    assert "hand-designed network is the better one" in note
    (note,) = contents._notes(results(designed=0.7, baseline=0.6, stopped_by="seconds"))
    assert "shortened to 9 of 10 steps" in note


def test_beginning_says_what_was_used_and_why() -> None:
    plain = contents._beginning(Settings(), {"predicted": None})
    assert plain.startswith("Trained with SGD from random parameters.")
    assert "--start predicted" in plain
    assert contents._beginning(Settings(family="mdeq"), {}) == (
        "Trained with AdamW from random parameters."
    )
    predicted = {"hypernetwork": "ghn", "images": 90, "head": True, "accuracy": 0.25}
    text = contents._beginning(
        Settings(start="predicted", optimizer="learned"), {"predicted": predicted}
    )
    assert "the released learned optimizer from parameters that ghn predicted" in text
    assert "fitted in closed form" in text
    assert "25.0%" in text


def test_skeleton_names_every_stage() -> None:
    lines = contents._skeleton({"width": 8, "cells": 2}, 32)
    assert lines[0] == "stem: 3x3 convolution, 8 channels, 32 px"
    assert [line for line in lines if line.startswith("2 cells")] == [
        "2 cells, 8 channels, 32 px",
        "2 cells, 16 channels, 16 px",
        "2 cells, 32 channels, 8 px",
    ]
