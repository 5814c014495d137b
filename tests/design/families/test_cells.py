"""The search of the family of cells keeps to its limits and says what it chose."""

import dataclasses
import json
import math
from collections.abc import Callable

import pytest
import torch

from nascence.data import Dataset, Split
from nascence.design import recipe
from nascence.design.families import cell_space, cells
from nascence.design.run import Run
from nascence.search import LimitError, limits

QUICK = {"trials": 3, "steps": 2, "max_params": 20_000}


def test_search_keeps_the_limits_and_says_what_it_chose(run_of: Callable[..., Run]) -> None:
    run = run_of(**QUICK)
    found = cells.Cells().search(run)
    assert len(found.candidates) == 3
    assert all(point.parameters <= 20_000 for point in found.candidates)
    chosen = [point for point in found.candidates if point.chosen]
    assert [point.name for point in chosen] == [found.name]
    assert chosen[0].score == max(point.score for point in found.candidates)
    assert cells.Cells().search(run).candidates == found.candidates


def test_no_machine_is_too_slow_for_a_network(
    run_of: Callable[..., Run], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A step that takes an hour still leaves networks that lead from the input to the output."""
    monkeypatch.setattr(recipe, "seconds_per_step", lambda *_, **__: 3600.0)
    run = run_of(trials=40)
    found = cells.Cells().search(run)
    assert math.isfinite(found.score)
    model = cells.Cells().build(run, found).eval()
    images = torch.randn(2, *run.data.image_shape, generator=torch.Generator().manual_seed(0))
    assert not torch.allclose(*model(images))


def test_without_a_score_the_largest_connected_network_is_taken(
    run_of: Callable[..., Run], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cell_space.Score, "__call__", lambda *_: -math.inf)
    run = run_of(**{**QUICK, "trials": 12})
    found = cells.Cells().search(run)
    space = cells.space_in(run)
    connected = [
        point.macs
        for point in found.candidates
        if cell_space.is_connected(space, space.parse(point.name))
    ]
    (chosen,) = [point for point in found.candidates if point.chosen]
    assert chosen.macs == max(connected)
    assert found.notes == (cells.INDISTINCT,)


def test_a_search_that_finds_nothing_connected_says_so(
    run_of: Callable[..., Run], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cell_space.Score, "__call__", lambda *_: -math.inf)
    monkeypatch.setattr(cell_space, "is_connected", lambda *_: False)
    with pytest.raises(LimitError, match="none of the 3 networks that were tried") as caught:
        cells.Cells().search(run_of(trials=3, steps=2))
    assert str(caught.value).endswith("its output; give more --trials")


@pytest.mark.parametrize(
    ("given", "advice"),
    [
        ({}, "keeps to what can be trained in the time; give a longer --budget"),
        ({"trials": 3}, "keeps to what can be trained in the time; give more --trials"),
        (
            {"max_params": 900_000, "max_latency_ms": 9e5},
            r"--max-params 900,000 and --max-latency-ms 900,000.0; the smallest had .* for "
            "--max-params and .* for --max-latency-ms; "
            "give a longer --budget or a larger --max-params or a larger --max-latency-ms",
        ),
    ],
)
def test_advice_names_only_what_was_given(
    run_of: Callable[..., Run],
    monkeypatch: pytest.MonkeyPatch,
    given: dict[str, float],
    advice: str,
) -> None:
    monkeypatch.setattr(cells, "_largest_work", lambda *_: {"work": 1.0})
    monkeypatch.setattr(limits, "TRIES", 20)
    with pytest.raises(LimitError, match=f"{advice}$"):
        cells.Cells().search(run_of(**given))


def repeated(data: Dataset, copies: int) -> Dataset:
    """The data with its first image in place of the next ones, in other classes."""
    images = data.train.images.clone()
    images[1 : 1 + copies] = images[0]
    return dataclasses.replace(data, train=Split(images, data.train.labels))


@pytest.mark.parametrize("copies", [1, 5, 28])
def test_repeated_images_are_scored_once(
    run_of: Callable[..., Run], noise: Dataset, copies: int
) -> None:
    run = run_of(data=repeated(noise, copies), **QUICK)
    images, labels = cells._scored_images(run)
    assert len(images) == len(labels) == len(images.unique(dim=0)) == len(noise.train) - copies
    found = cells.Cells().search(run)
    assert math.isfinite(found.score)
    assert not found.notes


def test_images_that_are_all_the_same_do_not_end_a_search(
    run_of: Callable[..., Run], noise: Dataset
) -> None:
    found = cells.Cells().search(run_of(data=repeated(noise, 29), **QUICK))
    assert [point for point in found.candidates if point.chosen]


def test_a_latency_that_hardly_any_network_keeps_ends_in_time(
    run_of: Callable[..., Run], monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = []

    def slow(self: cell_space.Cost, architecture: tuple[int, ...]) -> float:
        asked.append(architecture)
        return 1.0 if len(asked) <= 2 else 5.0 + len(asked)

    monkeypatch.setattr(cell_space.Cost, "latency_ms", slow)
    monkeypatch.setattr(limits, "TRIES", 100)
    run = run_of(**QUICK, max_latency_ms=0.6)
    with pytest.raises(
        LimitError, match=r"latency-ms 0.6; the smallest had .*\d for --max-latency-ms"
    ):
        cells.Cells().search(run)


def test_only_edges_that_count_are_drawn() -> None:
    chosen = dict.fromkeys(("edge_0_1", "edge_0_2"), "none")
    chosen |= {"edge_1_2": "nor_conv_3x3", "edge_0_3": "nor_conv_1x1"}
    chosen |= {"edge_1_3": "skip_connect", "edge_2_3": "avg_pool_3x3"}
    assert cells.Cells().cell_edges(chosen) == ((0, 3, "nor_conv_1x1"),)


def test_skeleton_names_every_stage() -> None:
    lines = cells.Cells().skeleton({"width": 8, "cells": 2}, 32)
    assert lines[0] == "stem: 3x3 convolution, 8 channels, 32 px"
    assert [line for line in lines if line.startswith("2 cells")] == [
        "2 cells, 8 channels, 32 px",
        "2 cells, 16 channels, 16 px",
        "2 cells, 32 channels, 8 px",
    ]


def test_the_file_of_latencies_is_read_again(run_of: Callable[..., Run]) -> None:
    run = run_of(**QUICK, max_latency_ms=1000.0)
    found = cells.Cells().search(run)
    measured = json.loads((run.path / "stages" / "latencies.json").read_text())
    assert {point.name for point in found.candidates} <= set(measured)
    assert all(value < 1000 for value in measured.values())
