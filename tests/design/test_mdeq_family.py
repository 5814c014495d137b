"""Sizes of the MDEQ family, the limits on them, and a run from images to ONNX."""

import json
from pathlib import Path

import pytest
import torch

from nascence.data import Dataset
from nascence.design import mdeq_family, network, recipe, stages
from nascence.design.folder import RunFolder
from nascence.design.pipeline import silent
from nascence.design.settings import Settings, share
from nascence.graph import count_parameters
from nascence.search import LimitError


def run_of(tmp_path: Path, data: Dataset, **settings: object) -> stages.Run:
    chosen = Settings(family="mdeq", **settings)
    return stages.Run(
        folder=RunFolder.create(tmp_path / "run", chosen),
        data=data,
        device=torch.device("cpu"),
        shares=share(10.0, baseline=True),
        progress=silent,
    )


def test_sizes_are_built_as_named() -> None:
    tiny, large = mdeq_family.Size(2, 24), mdeq_family.Size(3, 32)
    assert (tiny.channels, large.channels) == ((24, 24), (32, 64, 128))
    model = mdeq_family.build(tiny, classes=10, in_channels=3, seed=0)
    assert count_parameters(model) == 159_322  # the published tiny network


def test_search_keeps_the_limits(tmp_path: Path, noise: Dataset) -> None:
    found = stages.search_stage(run_of(tmp_path, noise, max_params=80_000, steps=2))
    assert all(row["parameters"] <= 80_000 for row in found["candidates"])
    (chosen,) = [row for row in found["candidates"] if row["chosen"]]
    assert chosen["name"] == found["name"]
    assert "streams" in found["decisions"]


def test_limits_that_nothing_keeps(tmp_path: Path, noise: Dataset) -> None:
    with pytest.raises(LimitError, match=r"the smallest has \d+ parameters"):
        stages.search_stage(run_of(tmp_path, noise, max_params=100))


def test_training_in_two_parts_is_read_back(tmp_path: Path, noise: Dataset) -> None:
    run = run_of(tmp_path, noise, max_params=30_000, steps=3)
    run.folder.finish("search", stages.search_stage(run))
    result = stages.train_stage(run)
    assert (result["steps"], result["planned_steps"], result["stopped_by"]) == (3, 3, "steps")
    assert [point[0] for point in result["curve"]] == [1, 2, 3]
    path = run.path / "checkpoints" / "trained.safetensors"
    images = network.check_images(noise)
    model = network.load_trained(path)
    folded = network.fold_network(model, images)
    with torch.no_grad():
        assert torch.allclose(model(images), folded(images), atol=1e-5)
    again = stages.train_stage(run)
    assert again["curve"] == result["curve"]
    assert json.loads(network.read_metadata(path)["architecture"]) == result_decisions(run)


def result_decisions(run: stages.Run) -> dict[str, int]:
    return run.needed("search")["decisions"]


def test_a_learned_optimizer_is_told_the_length_of_each_part(
    tmp_path: Path, noise: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    told, real = [], recipe.learned

    def learned(steps: int | None) -> dict:
        told.append(steps)
        return real(steps)

    monkeypatch.setattr(recipe, "learned", learned)
    run = run_of(tmp_path, noise, max_params=30_000, steps=5, optimizer="learned")
    run.folder.finish("search", stages.search_stage(run))
    told.clear()
    result = stages.train_stage(run)
    assert told == [3, 2]
    assert result["steps"] == 5
