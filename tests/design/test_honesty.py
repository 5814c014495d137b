"""What must be said is said first."""

import dataclasses
from collections.abc import Callable

import pytest

from nascence.data import Dataset
from nascence.design.honesty import warning, worth
from nascence.design.results import (
    DeployedCost,
    ExportResult,
    FoldResult,
    Results,
    SearchResult,
    TrainingResult,
)
from nascence.design.run import Run
from nascence.report import Compared
from nascence.training import Measurement

COST = DeployedCost(10, 20, 2.0, 1.0)


def row(key: str, figure: float, steps: int | None = 100) -> Compared:
    return Compared(key, key, "ours", "SGD", "random", figure, figure, 1.0, steps)


def results(figure: float, *rows: Compared, samples: int = 3000) -> Results:
    trained = TrainingResult(
        steps=100,
        seconds=2.0,
        stopped_by="steps",
        accuracy=figure,
        parameters=12,
        macs=24,
        curve=(Measurement(9, 2.0, 1.0, figure, figure),),
        mean_recall=figure,
        samples=samples,
    )
    return Results(
        search=SearchResult(1.0, (0,), "a cell", {}, 1.0, ()),
        train=trained,
        baseline=dataclasses.replace(trained, compared=rows),
        fold=FoldResult(0.1, figure, COST, COST, figure),
        export=ExportResult(0.1, 30, 30, 1e-6),
    )


@pytest.mark.parametrize(
    ("found", "words"),
    [
        (results(0.9, row("majority", 0.4, None), row("classic", 0.8, None)), ""),
        (results(0.3, row("majority", 0.4, None)), "no better than always naming"),
        (results(0.7, row("classic", 0.8, None)), "A classic without a network is better"),
        (results(0.7, samples=30), "it saw each image 1.0 times"),
    ],
)
def test_warnings(run_of: Callable[..., Run], found: Results, words: str) -> None:
    said = warning(run_of(), found)
    assert words in said
    assert bool(said) == bool(words)


def test_one_class_of_uneven_ones_is_said(run_of: Callable[..., Run], noise: Dataset) -> None:
    uneven = dataclasses.replace(
        noise, train=dataclasses.replace(noise.train, labels=noise.train.labels.clamp_max(1))
    )
    assert uneven.uneven
    assert "names one class" in warning(run_of(data=uneven), results(1 / 3))


def test_worth_is_the_difference_of_equal_times(run_of: Callable[..., Run]) -> None:
    rows = [row("usual", 0.5), row("ours", 0.6), row("optimizer", 0.58), row("stock", 0.4, 9)]
    lines = worth(run_of(), results(0.8, *rows, row("short", 0.7)))
    assert lines[0].startswith("recipe: +10.0 points of accuracy")
    assert lines[1].startswith("optimizer: +2.0 points")
    assert lines[2].startswith("architecture: +10.0 points")
    assert lines[3].startswith("longer training: +10.0 points")
    assert lines[4].startswith("all of it: +40.0 points")
    assert any("fewer than 50 steps fitted into the time of stock" in line for line in lines)
    assert worth(run_of(name="other"), results(0.8)) == ()
