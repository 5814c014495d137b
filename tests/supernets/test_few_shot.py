"""Levels of splitting against the same steps done by hand."""

from pathlib import Path

import pytest
import torch

from nascence.data import Dataset
from nascence.supernets import (
    SuperNet,
    at_random,
    split,
    split_on,
    train_few_shot,
    train_sub_supernets,
)

SETTINGS = {"batch_size": 16, "crop": 0}


def test_levels_are_trainings_of_splits(
    supernet: SuperNet, brightness: Dataset, tmp_path: Path
) -> None:
    found = train_few_shot(
        supernet,
        brightness,
        criteria=[lambda *_: {"edge_0_1": [(0, 1, 2), (3, 4, 5)]}, at_random()],
        steps=[4, 2, 1],
        seed=3,
        out=tmp_path,
        **SETTINGS,
    )
    assert len(found.sub_supernets) in (2 * 6, 6 + 3, 2 * 3)
    assert found.steps == 4 + 2 * 2 + len(found.sub_supernets)
    assert found.seconds >= sum(sub_supernet.seconds for sub_supernet in found.sub_supernets)
    root = train_sub_supernets([supernet], brightness, seed=3, steps=4, **SETTINGS)[0]
    parts = split(root.supernet, {"edge_0_1": [(0, 1, 2), (3, 4, 5)]})
    middle = train_sub_supernets(parts, brightness, seed=3, steps=2, **SETTINGS)
    first = found.sub_supernets[0].supernet
    place = next(n for n in range(4) if first.choices[n] != middle[0].supernet.choices[n])
    name = supernet.space.decisions[place].name
    last = train_sub_supernets(
        split(middle[0].supernet, [name])[:1], brightness, seed=3, steps=1, **SETTINGS
    )[0]
    assert last.supernet.choices == first.choices
    own = last.supernet.state_dict()
    assert all(torch.equal(value, own[key]) for key, value in first.state_dict().items())


def test_a_second_call_reads_what_the_first_has_done(
    supernet: SuperNet, brightness: Dataset, tmp_path: Path
) -> None:
    settings = {"criteria": [split_on(["edge_0_1"])], "seed": 1, "out": tmp_path, **SETTINGS}
    first = train_few_shot(supernet, brightness, steps=[2, 1], **settings)
    (tmp_path / "level-1" / "leaf-3-012345-012345-012345.pt").unlink()
    again = train_few_shot(supernet, brightness, steps=[2, 1], **settings)
    for one, other in zip(first.sub_supernets, again.sub_supernets, strict=True):
        states = one.supernet.state_dict(), other.supernet.state_dict()
        assert all(torch.equal(states[0][key], states[1][key]) for key in states[0])
    assert [
        a.seconds == b.seconds
        for a, b in zip(first.sub_supernets, again.sub_supernets, strict=True)
    ] == [
        True,
        True,
        True,
        False,
        True,
        True,
    ]


def test_steps_must_fit_the_splits(supernet: SuperNet, brightness: Dataset) -> None:
    with pytest.raises(ValueError, match="1 numbers of steps for 1 splits"):
        train_few_shot(supernet, brightness, criteria=[split_on(["edge_0_1"])], steps=[1], seed=0)
    with pytest.raises(ValueError, match="was already split"):
        train_few_shot(
            supernet,
            brightness,
            criteria=[split_on(["edge_0_1"]), split_on(["edge_0_1"])],
            steps=[1, 1, 1],
            seed=0,
            **SETTINGS,
        )
