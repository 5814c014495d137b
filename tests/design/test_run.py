"""Randomness and missing results of the stages of a run."""

import json
from collections.abc import Callable

import pytest
import torch
from torch import nn

from nascence.design import recipe
from nascence.design.folder import RunError
from nascence.design.results import ExportResult, TrainingPlan
from nascence.design.run import Run


def test_each_purpose_has_its_own_randomness(run_of: Callable[..., Run]) -> None:
    run = run_of()
    first = [torch.rand(1, generator=run.generator(stream)).item() for stream in range(6)]
    assert len(set(first)) == 6
    assert first[2] == torch.rand(1, generator=run.generator(2)).item()


def test_a_missing_result_is_named(run_of: Callable[..., Run]) -> None:
    with pytest.raises(RunError, match="no result of the stage export; delete the later ones"):
        run_of().needed("export", ExportResult)


def test_a_training_shows_its_part_of_the_stage(run_of: Callable[..., Run]) -> None:
    seen: list[tuple[str, float]] = []
    run = run_of()
    object.__setattr__(run, "progress", lambda stage, done, message: seen.append((stage, done)))
    model = nn.Sequential(nn.Flatten(), nn.Linear(192, 3))
    plan = TrainingPlan(4, None)
    result = run.train(
        model, plan, recipe.usual(), stream=3, name="second", stage="train", span=(0.5, 1.0)
    )
    assert result.steps == 4
    assert seen == [("train", 0.625), ("train", 0.75), ("train", 0.875), ("train", 1.0)]
    assert (run.path / "checkpoints" / "second.pt").exists()
    lines = (run.path / "events.jsonl").read_text().splitlines()
    assert [json.loads(line)["stage"] for line in lines] == ["train"] * 4
