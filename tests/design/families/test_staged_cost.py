"""Costs are those of the folded network; limits that nothing keeps are refused at once."""

from pathlib import Path

import pytest
import torch

from nascence.design.families.staged_cost import TIMED, StagedCost, space_of
from nascence.graph import count_macs, count_parameters
from nascence.reparam import fold
from nascence.search import LimitError

SPACE = space_of((3, 16, 16), classes=4)
NETWORK = SPACE.parse("stem2;16x1 branched;32x1 inverted;32x0 plain")


@pytest.fixture
def cost(tmp_path: Path) -> StagedCost:
    return StagedCost(SPACE, (3, 16, 16), precision="float32", folder=tmp_path)


def test_costs_are_those_after_folding(cost: StagedCost) -> None:
    model = SPACE.build(NETWORK).eval()
    with torch.no_grad():
        for value in (*model.parameters(), *model.buffers()):
            if value.ndim == 1:
                value.uniform_(0.5, 1.5)
    images = torch.randn(1, 3, 16, 16, generator=torch.Generator().manual_seed(0))
    folded = fold(model, images)
    assert cost.parameters(NETWORK) == count_parameters(folded)
    assert cost.macs(NETWORK) == count_macs(folded, images)


def test_times_are_of_one_image(cost: StagedCost, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("nascence.latency.OperatorTimes.of", lambda *_: 64.0)
    assert cost.latency_ms(NETWORK) == 64
    assert cost.training_ms(NETWORK) == 64 / TIMED


def test_limits_are_kept(cost: StagedCost) -> None:
    limits = cost.limits(parameters=cost.parameters(NETWORK), latency_ms=1e6)
    assert limits(NETWORK)
    assert not cost.limits(parameters=cost.parameters(NETWORK) - 1, latency_ms=None)(NETWORK)
    assert limits(cost.smallest())


def test_limits_below_the_smallest_network_are_refused(cost: StagedCost) -> None:
    least = cost.parameters(cost.smallest())
    with pytest.raises(LimitError, match=f"--max-params 7: the smallest has {least:,} parameters"):
        cost.limits(parameters=7, latency_ms=None)
    with pytest.raises(LimitError, match="--max-latency-ms 1e-06: the smallest takes"):
        cost.limits(parameters=None, latency_ms=1e-6)
