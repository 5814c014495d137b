"""The search of one supernet: its stages, its resets, its rewards, its checkpoint."""

import math
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor

from nascence.core.resumable import CheckpointError
from nascence.data import Dataset
from nascence.gan.history import GanRound
from nascence.gan.settings import GanSettings
from nascence.gan.supernet_search import GanSupernetSearch
from nascence.supernets import SuperNet, split
from nascence.training import DivergenceError

TINY = GanSettings(
    round_steps=3,
    controller_steps=2,
    samples=2,
    controller_rate=1e-2,
    entropy=1e-3,
    baseline_decay=0.9,
    hidden=6,
    candidates=6,
    kept=2,
    images=12,
    batch_size=6,
    generated=4,
    critic_steps=2,
    rates=(1e-3, 1e-3),
    reset_window=500,
    reset_variance=1e-3,
    discriminator_width=4,
    grow=(0.5,),
)


def contrast(images: Tensor) -> float:
    return float(images.mean((1, 2, 3)).std())


def search_of(
    supernet: SuperNet, data: Dataset, path: Path | None = None, score=contrast, **settings
) -> GanSupernetSearch:
    return GanSupernetSearch(
        supernet,
        data,
        score,
        replace(TINY, **settings),
        number=0,
        seed=5,
        device=torch.device("cpu"),
        path=path,
    )


def nothing(fraction: float, ended: GanRound | None) -> None:
    pass


def state_of(part: GanSupernetSearch) -> dict[str, Tensor]:
    return {name: value.clone() for name, value in part.gan.supernet.state_dict().items()}


def test_stages_rounds_and_the_beam(shades: Dataset, generators: SuperNet) -> None:
    """Ten steps, growth after five, rounds of three: they end at 3, 5, 6, 9 and 10."""
    part = search_of(generators, shades)
    assert part.search(steps=10, seconds=None, progress=nothing) == "steps"
    assert [(each.stage, each.steps) for each in part.rounds] == [
        (1, 3), (1, 5), (2, 6), (2, 9), (2, 10)
    ]  # fmt: skip
    first, last = part.growths
    assert (first.stage, last.stage) == (1, 2)
    assert {len(each) for each in first.architectures} == {4}
    assert {len(each) for each in last.architectures} == {9}
    beginnings = set(first.architectures[: first.kept])
    assert part.beam is not None
    assert part.beam.architectures == list(first.architectures[:2])
    assert {each[:4] for each in last.architectures} <= beginnings
    for growth in part.growths:
        assert list(growth.scores) == sorted(growth.scores, reverse=True)
        assert len(set(growth.architectures)) == len(growth.architectures) <= 6
    for ended in part.rounds:
        assert ended.best is not None
        assert len(ended.best) == (4 if ended.stage == 1 else 9)


def test_scores_are_of_the_images_of_the_path(shades: Dataset, generators: SuperNet) -> None:
    part = search_of(generators, shades)
    part.search(steps=4, seconds=None, progress=nothing)
    last = part.growths[-1]
    vectors = part.gan.latents(12, 11, 2)
    for architecture, score in zip(last.architectures, last.scores, strict=True):
        with torch.no_grad():
            images = part.gan.supernet(vectors, architecture)
        assert score == pytest.approx(contrast(images), rel=1e-4)


def test_the_controller_learns_what_scores_well(shades: Dataset, generators: SuperNet) -> None:
    """The score knows the architecture: pre-activation with instance normalisation."""
    part = search_of(generators, shades, controller_steps=60, samples=6, entropy=0.0,
                     controller_rate=0.03, images=2)  # fmt: skip
    asked: list[tuple[int, ...]] = []

    def scored(architecture: tuple[int, ...], vectors: Tensor) -> tuple[float, bool]:
        asked.append(architecture)
        return float(architecture[0] == 1) + float(architecture[1] == 2), True

    part._scored = scored  # type: ignore[method-assign]
    part._learn()
    with torch.no_grad():
        drawn = part.policy.controller.draw(50, generator=torch.Generator().manual_seed(1))
    assert sum(each[:2] == (1, 2) for each in drawn.architectures) > 40
    assert sum(each[:2] == (1, 2) for each in asked[:60]) < 30


def test_a_part_draws_what_it_holds(shades: Dataset, generators: SuperNet) -> None:
    held = split(generators, ["stage_1_upsampling"])[2]
    part = search_of(held, shades)
    part.search(steps=4, seconds=None, progress=nothing)
    found = {each for growth in part.growths for each in growth.architectures}
    assert {each[2] for each in found} == {2}


def test_an_interrupted_search_goes_on_exactly(
    shades: Dataset, generators: SuperNet, tmp_path: Path
) -> None:
    settings = {"reset_window": 3, "reset_variance": 1e9}
    whole = search_of(generators, shades, **settings)
    whole.search(steps=9, seconds=None, progress=nothing)
    for stop in (2, 5, 9):
        path = tmp_path / f"{stop}.pt"
        broken = search_of(generators, shades, path, **settings)

        def interrupt(fraction: float, ended: GanRound | None, stop: int = stop) -> None:
            if round(9 * fraction) == stop:
                raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            broken.search(steps=9, seconds=None, progress=interrupt)
        resumed = search_of(generators, shades, path, **settings)
        resumed.search(steps=9, seconds=None, progress=nothing)
        expected = state_of(whole)
        assert all(torch.equal(value, expected[each]) for each, value in state_of(resumed).items())
        assert [each.architectures for each in resumed.growths] == [
            each.architectures for each in whole.growths
        ]
        assert [each.scores for each in resumed.growths] == [each.scores for each in whole.growths]
        assert [each.reward for each in resumed.rounds] == [each.reward for each in whole.rounds]
        assert resumed.gan.resets == whole.gan.resets
    other = search_of(generators, shades, tmp_path / "2.pt", kept=1)
    with pytest.raises(CheckpointError, match="another search: its kept is 2, not 1"):
        other.search(steps=9, seconds=None, progress=nothing)


def test_a_time_limit_grows_all_stages(shades: Dataset, generators: SuperNet) -> None:
    part = search_of(generators, shades)
    assert part.search(steps=None, seconds=0.05, progress=nothing) == "seconds"
    assert [each.stage for each in part.growths] == [1, 2]


def test_one_image_whatever_is_given_is_told(shades: Dataset, generators: SuperNet) -> None:
    part = search_of(generators, shades)
    with torch.no_grad():
        part.gan.supernet.get_parameter("network.image.weight").zero_()
    with pytest.raises(
        DivergenceError, match=r"candidate of stage 1 makes the same image.*collapsed"
    ):
        part._grow()


def test_values_that_are_not_finite_are_told(shades: Dataset, generators: SuperNet) -> None:
    part = search_of(generators, shades, score=lambda images: math.nan)
    with pytest.raises(DivergenceError, match=r"the score of .* is nan"):
        part._grow()

    def overflows(images: Tensor) -> float:
        raise ValueError("probabilities hold values that are not finite")

    part = search_of(generators, shades, score=overflows)
    with pytest.raises(DivergenceError, match="has no score: probabilities hold"):
        part._grow()
    part = search_of(generators, shades)
    with torch.no_grad():
        part.gan.supernet.get_parameter("network.image.bias").fill_(math.nan)
    with pytest.raises(DivergenceError, match=r"images of .* are not finite"):
        part._grow()
    part = search_of(generators, shades)
    with torch.no_grad():
        part.policy.controller.heads[1].bias.fill_(math.nan)
    with pytest.raises(DivergenceError, match="logits of 'stage_1_normalisation'"):
        part.gan.advance(part._path)


def test_a_score_is_part_of_what_a_checkpoint_is_known_by(
    shades: Dataset, generators: SuperNet
) -> None:
    assert search_of(generators, shades).identity["score"] == "contrast"
