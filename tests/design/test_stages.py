import math
from pathlib import Path

import pytest
import torch
from torch import nn

from nascence.data import Dataset
from nascence.design import network, recipe, stages
from nascence.design.folder import RunError, RunFolder
from nascence.design.pipeline import silent
from nascence.design.settings import Settings, share


@pytest.fixture
def run(tmp_path: Path, noise: Dataset) -> stages.Run:
    settings = Settings(trials=3, steps=2, max_params=20_000)
    return stages.Run(
        folder=RunFolder.create(tmp_path / "run", settings),
        data=noise,
        device=torch.device("cpu"),
        shares=share(10.0, baseline=True),
        progress=silent,
    )


def test_each_purpose_has_its_own_randomness(run: stages.Run) -> None:
    first = [torch.rand(1, generator=run.generator(stream)).item() for stream in range(6)]
    assert len(set(first)) == 6
    assert first[2] == torch.rand(1, generator=run.generator(2)).item()


def test_a_stage_names_what_it_lacks(run: stages.Run) -> None:
    with pytest.raises(RunError, match="no result of the stage search"):
        stages.train_stage(run)


def test_search_keeps_the_limits_and_says_what_it_chose(run: stages.Run) -> None:
    found = stages.search_stage(run)
    assert len(found["candidates"]) == 3
    assert all(point["parameters"] <= 20_000 for point in found["candidates"])
    chosen = [point for point in found["candidates"] if point["chosen"]]
    assert [point["name"] for point in chosen] == [found["name"]]
    assert chosen[0]["score"] == max(point["score"] for point in found["candidates"])
    again = stages.search_stage(run)
    assert again["candidates"] == found["candidates"]


def test_no_machine_is_too_slow_for_a_network(
    tmp_path: Path, noise: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A step that takes an hour still leaves networks that lead from the input to the output."""
    monkeypatch.setattr(recipe, "seconds_per_step", lambda *_, **__: 3600.0)
    run = stages.Run(
        folder=RunFolder.create(tmp_path / "run", Settings(trials=40)),
        data=noise,
        device=torch.device("cpu"),
        shares=share(10.0, baseline=True),
        progress=silent,
    )
    found = stages.search_stage(run)
    assert math.isfinite(found["score"])
    model = network.build(run.space, tuple(found["architecture"]), seed=0).eval()
    images = torch.randn(2, *noise.image_shape, generator=torch.Generator().manual_seed(0))
    assert not torch.allclose(*model(images))


def test_a_search_that_finds_nothing_connected_says_so(
    run: stages.Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(network.Score, "__call__", lambda *_: -math.inf)
    with pytest.raises(RunError, match="none of 3 networks within the limits has a score"):
        stages.search_stage(run)


def test_latencies_are_of_both_networks(run: stages.Run) -> None:
    heavy, light = nn.Conv2d(3, 64, 7, padding=3), nn.Conv2d(3, 1, 1)
    measured = stages._latencies("x_", heavy, light, torch.zeros(1, 3, 64, 64))
    assert set(measured) == {"x_latency_ms", "x_folded_latency_ms"}
    assert measured["x_latency_ms"] > measured["x_folded_latency_ms"] > 0
