"""Stages hand over, and name what they lack."""

from collections.abc import Callable

import pytest
import torch
from torch import nn

from nascence.design import stages
from nascence.design.folder import RunError
from nascence.design.run import Run


def test_a_stage_names_what_it_lacks(run_of: Callable[..., Run]) -> None:
    with pytest.raises(RunError, match="no result of the stage search"):
        stages.train_stage(run_of())


@pytest.mark.parametrize("family", ["cells", pytest.param("mdeq", marks=pytest.mark.slow)])
def test_stages_hand_over_from_search_to_export(run_of: Callable[..., Run], family: str) -> None:
    run = run_of(family=family, trials=2, steps=2, max_params=40_000)
    found = run.folder.finish("search", stages.search_stage(run))
    trained = run.folder.finish("train", stages.train_stage(run))
    baseline = run.folder.finish("baseline", stages.baseline_stage(run))
    assert (trained.steps, baseline.steps, baseline.planned_steps) == (2, 2, None)
    folded = run.folder.finish("fold", stages.fold_stage(run))
    assert folded.designed.parameters <= 40_000
    assert folded.baseline is not None
    exported = run.folder.finish("export", stages.export_stage(run))
    assert exported.images == len(run.data.validation)
    assert exported.relative_error < 1e-4
    summary = stages.report_stage(run)
    assert summary["architecture"] == found.name
    assert (run.path / "report.html").stat().st_size > 100_000


def test_latencies_are_of_both_networks() -> None:
    heavy, light = nn.Conv2d(3, 64, 7, padding=3), nn.Conv2d(3, 1, 1)
    cost = stages._cost(heavy, light, torch.zeros(1, 3, 64, 64))
    assert cost.latency_ms > cost.folded_latency_ms > 0
    assert (cost.parameters, cost.macs) == (4, 3 * 64 * 64)
