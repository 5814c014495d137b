"""Everything that a design must beat is measured, in its time."""

import json
import time
from collections.abc import Callable

import pytest
import torch

from nascence.core.weights import read_metadata
from nascence.data import Dataset
from nascence.design import network, stages
from nascence.design.run import Run

KEYS = ["majority", "classic", "usual", "ours", "optimizer", "short", "stock"]


@pytest.fixture
def trained(run_of: Callable[..., Run]) -> Run:
    run = run_of(trials=1, steps=2, max_params=40_000)
    run.folder.finish("search", stages.search_stage(run))
    run.folder.finish("train", stages.train_stage(run))
    return run


def test_every_baseline_has_its_row(trained: Run, noise: Dataset) -> None:
    result = stages.baseline_stage(trained)
    assert [row.key for row in result.compared] == KEYS
    rows = {row.key: row for row in result.compared}
    assert rows["majority"].accuracy == pytest.approx(1 / 3)
    assert rows["classic"].steps is None
    assert {rows[key].steps for key in KEYS[2:]} == {2}
    assert rows["ours"].optimizer != rows["optimizer"].optimizer
    best = max((rows[key] for key in ("usual", "ours", "stock")), key=lambda row: row.accuracy)
    assert result.accuracy == best.accuracy
    path = trained.path / "checkpoints" / "baseline.safetensors"
    again = network.load_baseline(path)
    assert sum(each.numel() for each in again.parameters()) == result.parameters
    predicted = again(noise.normalise(noise.validation.images)).argmax(1)
    accuracy = (predicted == noise.validation.labels).float().mean().item()
    assert accuracy == pytest.approx(result.accuracy)
    assert json.loads(read_metadata(path)["classes"]) == ["a", "b", "c"]


def test_by_the_clock_they_end_in_their_time(trained: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """A resumed run finds what is finished, and takes no further step."""
    object.__setattr__(
        trained.folder, "settings", trained.settings.model_copy(update={"steps": None})
    )
    monkeypatch.setattr(Run, "seconds_for", lambda run, stage: 4.0)
    started = time.monotonic()
    first = stages.baseline_stage(trained)
    assert time.monotonic() - started < 20
    spent = sum(row.seconds for row in first.compared)
    assert spent < 8
    second = stages.baseline_stage(trained)
    for one, two in zip(first.compared[2:], second.compared[2:], strict=True):
        assert (one.steps, one.accuracy) == (two.steps, two.accuracy)
    assert torch.isfinite(torch.tensor([row.mean_recall for row in second.compared])).all()
