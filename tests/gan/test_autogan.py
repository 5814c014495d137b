"""The search as a whole: plain and split supernets, processes, and what is told of failures."""

import json
from pathlib import Path

import pytest
import torch
from torch import Tensor

from nascence.data import Dataset
from nascence.gan import GanHistory, GanRound, GanSearchError, autogan
from nascence.spaces import NB201, GeneratorSpace
from nascence.supernets import SuperNet, split

TINY = {
    "round_steps": 2,
    "controller_steps": 1,
    "hidden": 6,
    "candidates": 3,
    "kept": 2,
    "images": 8,
    "batch_size": 4,
    "generated": 4,
    "critic_steps": 1,
    "discriminator_width": 4,
}


def contrast(images: Tensor) -> float:
    return float(images.mean((1, 2, 3)).std())


def searched(supernets, data: Dataset, seed: int = 0, **settings) -> GanHistory:
    settings = {"steps": 6, "score": contrast, **TINY, **settings}
    return autogan(supernets, data, generator=torch.Generator().manual_seed(seed), **settings)


def test_one_supernet(shades: Dataset, generators: SuperNet) -> None:
    before = {name: value.clone() for name, value in generators.state_dict().items()}
    history = searched(generators, shades)
    assert history.steps == 6
    assert (history.stops, history.best_sub_supernet, len(history.supernets)) == (("steps",), 0, 1)
    final = history.growths[-1]
    assert [each.architecture for each in history.candidates] == list(final.architectures)
    assert history.best.score == max(final.scores)
    assert generators.space.check(history.best.architecture)
    assert all(torch.equal(value, before[name]) for name, value in generators.state_dict().items())
    again = searched(generators, shades)
    assert again.candidates == history.candidates
    assert searched(generators, shades, seed=1).candidates != history.candidates


def test_a_split_supernet(shades: Dataset, generators: SuperNet) -> None:
    parts = split(generators, ["stage_2_normalisation"])
    history = searched(parts, shades, steps=8)
    steps = [
        [each.steps for each in history.rounds if each.sub_supernet == n][-1] for n in range(3)
    ]
    assert steps == [3, 3, 2]
    assert history.steps == 8
    best = history.supernets[history.best_sub_supernet]
    assert best.check(history.best.architecture) == history.best.architecture
    place = [name for name, _ in generators.space.decisions].index("stage_2_normalisation")
    for number, growth in enumerate(each for each in history.growths if each.stage == 2):
        assert {each[place] for each in growth.architectures} == {number}
    assert history.best.score == max(each.scores[0] for each in history.growths if each.stage == 2)
    written = json.loads(history.to_json())
    assert len(written["candidates"]) == len(history)
    assert [each["steps"] for each in written["rounds"]] == [each.steps for each in history.rounds]


def test_processes_give_the_same(shades: Dataset, generators: SuperNet, tmp_path: Path) -> None:
    parts = split(generators, {"stage_1_order": [(0,), (1,)]})
    here = searched(parts, shades, out=tmp_path)
    there = searched(parts, shades, workers=2)
    assert there.candidates == here.candidates
    for one, other in zip(there.supernets, here.supernets, strict=True):
        state = other.state_dict()
        assert all(torch.equal(value, state[name]) for name, value in one.state_dict().items())
    seen: list[float] = []
    assert sorted(path.name for path in tmp_path.iterdir()) == ["part-0.pt", "part-1.pt"]
    resumed = searched(parts, shades, out=tmp_path, progress=lambda f, _: seen.append(f))
    assert resumed.candidates == here.candidates
    assert not seen


def test_progress_is_of_all_parts(shades: Dataset, generators: SuperNet) -> None:
    seen: list[tuple[float, GanRound | None]] = []
    parts = split(generators, {"stage_1_order": [(0,), (1,)]})
    searched(parts, shades, steps=4, progress=lambda *told: seen.append(told))
    assert [fraction for fraction, _ in seen] == [0.25, 0.5, 0.75, 1.0]
    assert seen[-1][1] is not None


def test_a_failure_keeps_what_was_found(shades: Dataset, generators: SuperNet) -> None:
    """The score fails at images of 16 pixels, in the second of two parts."""
    parts = split(generators, {"stage_1_order": [(0,), (1,)]})
    calls = []

    def failing(images: Tensor) -> float:
        calls.append(images.shape[-1])
        later = calls.count(8) and 16 in calls and calls[-1] == 8
        return float("nan") if later else contrast(images)

    with pytest.raises(GanSearchError, match=r"the score of .* is nan") as caught:
        searched(parts, shades, score=failing)
    history = caught.value.history
    assert history.stops == ("steps",)
    assert {each.sub_supernet for each in history.growths} == {0}
    assert history.candidates
    assert json.loads(history.to_json())["stops"] == ["steps"]


def test_losses_that_overflow_and_a_collapsed_generator(
    shades: Dataset, generators: SuperNet
) -> None:
    with pytest.raises(GanSearchError, match=r"the loss of the .* became") as caught:
        searched(generators, shades, steps=30, rates=(1e30, 1e30), round_steps=1)
    assert all(each.steps < 30 for each in caught.value.history.rounds)
    with torch.no_grad():
        generators.get_parameter("network.image.weight").zero_()
    with pytest.raises(GanSearchError, match="the generator collapsed"):
        searched(generators, shades, rates=(1e-30, 1e-30))


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"steps": None}, "neither steps nor seconds"),
        ({"steps": 1}, "at least one step for each of 2 stages of 1 supernets"),
        ({"seconds": 0.0}, "a positive time"),
        ({"workers": 0}, "workers is 0"),
        ({"grow": (0.2, 0.4)}, "grow has 2 parts; 2 stages grow 1 times"),
        ({"samples": 0}, "samples 0"),
        ({"rates": (0.0, 1.0)}, "the learning rates are"),
    ],
)
def test_impossible_settings(shades: Dataset, generators: SuperNet, settings, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        searched(generators, shades, **settings)


def test_supernets_that_cannot_be_searched(
    shades: Dataset, brightness: Dataset, generators: SuperNet
) -> None:
    for given, message in (
        ([], "0 supernets are given"),
        ([generators, generators], "none of them twice"),
        (SuperNet(NB201(width=4, cells=1)), "has no generators"),
        (SuperNet(GeneratorSpace(stages=2, width=4), statistics="tracked"), "statistics='batch'"),
    ):
        with pytest.raises(ValueError, match=message):
            searched(given, shades)
    with pytest.raises(ValueError, match="the images of brightness are 8x8"):
        searched(generators, brightness)
