"""The history of a search for generators."""

from dataclasses import asdict

import pytest
import torch

from nascence.gan.history import (
    GanRound,
    GanSupernetResult,
    Growth,
    growth_from,
    joined,
    round_from,
)
from nascence.spaces import GeneratorSpace
from nascence.supernets import SuperNet

ROUND = GanRound(0, 1, 10, 1.5, -0.2, 1.2, 3.0, (0, 1, 2, 1), 0, 2.5)
GROWTHS = (
    Growth(0, 1, ((0, 0, 0, 0), (1, 1, 1, 1)), (1.5, 1.2), 1, 1.0),
    Growth(1, 1, ((1, 0, 0, 0),), (1.7,), 1, 0.5),
)


def results() -> list[GanSupernetResult]:
    supernet = SuperNet(GeneratorSpace(stages=1, width=2, latent=2))
    second = GanRound(1, 1, 4, 1.0, None, None, None, None, 2, 1.0)
    return [
        GanSupernetResult((ROUND,), GROWTHS[:1], "steps", supernet, 1),
        GanSupernetResult((second,), GROWTHS[1:], None, supernet, 1, "the loss became nan"),
    ]


def test_the_candidates_are_those_of_the_last_stage() -> None:
    history = joined(results())
    assert [each.architecture for each in history.candidates] == [
        (0, 0, 0, 0), (1, 1, 1, 1), (1, 0, 0, 0)
    ]  # fmt: skip
    assert [each.number for each in history.candidates] == [0, 1, 2]
    assert history.candidates[0].seconds == 0.5
    assert (history.best.score, history.best_sub_supernet) == (1.7, 1)
    assert (history.steps, history.seconds) == (14, 3.5)
    assert history.stops == ("steps",)


def test_without_a_last_stage_there_are_none() -> None:
    early = [GanSupernetResult((ROUND,), GROWTHS[:1], None, results()[0].supernet, 2, "nan")]
    history = joined(early)
    assert len(history) == 0
    assert history.growths == GROWTHS[:1]
    with pytest.raises(ValueError, match="the history is empty"):
        _ = history.best


def test_rows_are_read_as_they_were_written() -> None:
    row = asdict(ROUND)
    assert round_from({**row, "best": list(row["best"])}) == ROUND
    row = asdict(GROWTHS[0])
    lists = {"architectures": [list(each) for each in row["architectures"]],
             "scores": list(row["scores"])}  # fmt: skip
    assert growth_from({**row, **lists}) == GROWTHS[0]
    assert torch.tensor(GROWTHS[0].scores).isfinite().all()
