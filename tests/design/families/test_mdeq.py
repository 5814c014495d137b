"""Sizes of the MDEQ family, the limits on them, and a run from images to ONNX."""

import json
from collections.abc import Callable

import pytest
import torch

from nascence.core.weights import read_metadata
from nascence.data import Dataset
from nascence.design import network, recipe, stages
from nascence.design.families import mdeq
from nascence.design.run import Run
from nascence.search import LimitError


def test_search_keeps_the_limits(run_of: Callable[..., Run]) -> None:
    found = stages.search_stage(run_of(family="mdeq", max_params=80_000, steps=2))
    assert all(point.parameters <= 80_000 for point in found.candidates)
    (chosen,) = [point for point in found.candidates if point.chosen]
    assert chosen.name == found.name
    assert "streams" in found.decisions
    assert found.score_name == "ln(MACs)"


@pytest.mark.parametrize(
    ("limits", "message"),
    [
        ({"max_params": 100}, r"--max-params 100: the smallest has [\d,]+ parameters"),
        ({"max_latency_ms": 1e-6}, r"--max-latency-ms 1e-06: the fastest takes [\d.]+ ms"),
    ],
)
def test_limits_that_nothing_keeps(
    run_of: Callable[..., Run], monkeypatch: pytest.MonkeyPatch, limits: dict, message: str
) -> None:
    monkeypatch.setattr(mdeq, "SIZES", mdeq.SIZES[:2])
    with pytest.raises(LimitError, match=message) as caught:
        stages.search_stage(run_of(family="mdeq", **limits))
    other = {"max_params": "latency", "max_latency_ms": "params"}[next(iter(limits))]
    assert other not in str(caught.value)  # a limit that was not given


def test_training_in_two_parts_is_read_back(run_of: Callable[..., Run], noise: Dataset) -> None:
    run = run_of(family="mdeq", max_params=30_000, steps=3)
    found = run.folder.finish("search", stages.search_stage(run))
    result = stages.train_stage(run)
    assert (result.steps, result.planned_steps, result.stopped_by) == (3, 3, "steps")
    assert [point.step for point in result.curve] == [1, 2, 3]
    path = run.path / "checkpoints" / "trained.safetensors"
    images = network.check_images(noise)
    model = network.load_trained(path)
    folded = network.fold_network(model, images)
    with torch.no_grad():
        assert torch.allclose(model(images), folded(images), atol=1e-5)
    again = stages.train_stage(run)
    assert again.curve == result.curve
    metadata = read_metadata(path)
    assert metadata["family"] == "mdeq"
    assert json.loads(metadata["architecture"]) == found.decisions


def test_a_learned_optimizer_is_told_the_length_of_each_part(
    run_of: Callable[..., Run], monkeypatch: pytest.MonkeyPatch
) -> None:
    told, real = [], recipe.learned

    def learned(steps: int | None) -> dict:
        told.append(steps)
        return real(steps)

    monkeypatch.setattr(recipe, "learned", learned)
    run = run_of(family="mdeq", max_params=30_000, steps=5, optimizer="learned")
    run.folder.finish("search", stages.search_stage(run))
    told.clear()
    result = stages.train_stage(run)
    assert told == [3, 2]
    assert result.steps == 5
