"""Supernets trained to be evaluators: the budget of steps, and spaces that have none."""

from pathlib import Path

import pytest
import torch

from nascence.data import Dataset
from nascence.search.table_space import TableSpace
from nascence.spaces import SmallSpace
from nascence.supernets.trained import new_supernet, trained_supernet_evaluator

SPACE = SmallSpace(width=4, classes=2)


@pytest.mark.parametrize(("levels", "supernets", "steps"), [(0, 1, 12), (1, 6, 12)])
def test_steps_are_those_of_all_trainings(
    levels: int, supernets: int, steps: int, brightness: Dataset, tmp_path: Path
) -> None:
    evaluate = trained_supernet_evaluator(
        SPACE, brightness, levels=levels, steps=12, seed=0, out=tmp_path
    )
    assert 0 <= evaluate((3, 1, 2, 1)) <= 1
    assert evaluate.description == (  # type: ignore[attr-defined]
        f"{supernets} supernets, {steps} steps in all, {brightness.fingerprint}, seed 0"
    )
    assert (tmp_path / f"supernet-{levels}").is_dir()


def test_equal_seeds_give_equal_supernets_and_leave_the_global_generator() -> None:
    state = torch.get_rng_state()
    one, same, other = (new_supernet(SPACE, seed=seed).state_dict() for seed in (1, 1, 2))
    assert all(torch.equal(one[name], same[name]) for name in one)
    assert any(not torch.equal(one[name], other[name]) for name in one)
    assert torch.equal(torch.get_rng_state(), state)


def test_a_table_has_no_networks() -> None:
    from nascence.data import nats_size

    with pytest.raises(ValueError, match="has no candidates to make a supernet of"):
        new_supernet(TableSpace(nats_size()), seed=0)
