"""Standings worked by hand."""

import math

import pytest
import torch

from nascence.optim.compare.comparison import HELD_OUT, SEEN, Result
from nascence.optim.compare.standings import ALL, standings

GROUPS = {"f/0": SEEN, "f/1": HELD_OUT, "g/0": SEEN}


def result(
    name: str, family: str, best: dict[int, list[list[float]]], *, lowest: float, hand: bool = True
) -> Result:
    tasks = ("f/0", "f/1") if family == "f" else ("g/0",)
    shape = (2, len(tasks))
    return Result(
        *(name, family, tasks, hand, torch.full(shape, 10.0), torch.full(shape, lowest)),
        {count: torch.tensor(losses) for count, losses in best.items()},
        0.5,
    )


RESULTS = [
    result("hand", "f", {1: [[6.0, 2.0], [4.0, 20.0]], 5: [[2.0, 2.0], [2.0, 2.0]]}, lowest=2.0),
    result("hand", "g", {1: [[10.0], [10.0]], 5: [[5.0], [0.0]]}, lowest=0.0),
    result("net", "f", {1: [[1.0, math.inf], [2.0, 6.0]]}, lowest=1.0, hand=False),
    result("net", "g", {1: [[5.0], [11.0]]}, lowest=5.0, hand=False),
]


def test_statistics_worked_by_hand() -> None:
    found = {(each.label, each.group): each for each in standings(RESULTS, GROUPS)}
    assert list(found) == [
        (label, group)
        for group in (ALL, SEEN, HELD_OUT)
        for label in ("hand", "hand, best of 5", "net")
    ]
    # The best of f is 2, of g 0, both by hand: (L - 2) / 8 and L / 10, at most 1.
    net = found["net", ALL]
    assert net.losses == pytest.approx((-0.125, 1, 0.5, 0, 0.5, 1))
    assert net.mean == pytest.approx(2.875 / 6)
    assert net.median == pytest.approx(0.5)
    assert net.medians == pytest.approx((0.5, 0.5))
    assert net.diverged == pytest.approx(2 / 6)
    assert net.family_medians == pytest.approx({"f": 0.25, "g": 0.75})
    seen = found["net", SEEN]
    assert seen.losses == pytest.approx((-0.125, 0.5, 0, 1))
    assert seen.median == pytest.approx(0.25)
    assert (seen.lower, seen.upper) == pytest.approx((-0.03125, 0.625))
    hand = found["hand", ALL]
    assert hand.losses == pytest.approx((0.5, 0, 1, 0.25, 1, 1))
    assert hand.diverged == pytest.approx(1 / 6)  # 10 of 10 is no progress, not divergence
    assert found["hand, best of 5", HELD_OUT].losses == (0, 0)
    assert found["hand, best of 5", HELD_OUT].family_medians == {"f": 0}


def test_with_no_hand_made_optimizer_the_best_of_all_is_0() -> None:
    found = standings(RESULTS[2:], dict.fromkeys(GROUPS, SEEN))
    assert [each.group for each in found] == [ALL]
    assert min(found[0].losses) == 0
