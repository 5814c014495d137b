"""Once-for-All from supernet to network."""

from functools import partial
from pathlib import Path

import pytest
import torch

from nascence.data import Dataset
from nascence.search import Limit, LimitError, Limits
from nascence.spaces import ElasticMobile, Stage
from nascence.supernets import ElasticSuperNet, OneShotEvaluator, Phase, once_for_all, split
from nascence.supernets.once_for_all import calibrated, recalibration_batches

SPACE = ElasticMobile(
    classes=2,
    stages=(Stage(8, 2),),
    depths=(1, 2),
    kernels=(3, 5),
    expansions=(2, 3, 4),
    resolutions=(6, 8),
    final=8,
    last=8,
    dropout=0.0,
)
PHASES = (Phase("full", 1, kernels=1, depths=1, expansions=1), Phase("all", 1, paths=2))
SMALL = {"samples": 6, "predictions": 20, "verified": 3, "phases": PHASES, "batch_size": 16}
find = partial(once_for_all, steps=4, **SMALL)


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@pytest.fixture
def elastic() -> ElasticSuperNet:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return ElasticSuperNet(SPACE)


def limit(most: float) -> Limits:
    return Limits(Limit("macs", SPACE.macs, most))


def test_all_networks_are_different_and_keep_to_the_limit(
    elastic: ElasticSuperNet, brightness: Dataset
) -> None:
    most = 0.5 * SPACE.macs(SPACE.largest)
    history = find(elastic, brightness, generator=seeded(), limits=limit(most))
    assert [candidate.number for candidate in history.candidates] == list(range(9))
    forms = {SPACE.canonical(candidate.architecture) for candidate in history.candidates}
    assert len(forms) == 9
    assert history.costs == ("macs",)
    for candidate in history.candidates:
        assert candidate.costs == (SPACE.macs(candidate.architecture),)
        assert candidate.costs[0] <= most


def test_a_limit_that_few_networks_keep_ends_early(
    elastic: ElasticSuperNet, brightness: Dataset
) -> None:
    least = min(SPACE.macs(each) for each in SPACE)
    history = find(elastic, brightness, generator=seeded(), limits=limit(least))
    assert len(history) == history.sampled == 1
    assert history.best.costs == (least,)


def test_scores_are_those_of_the_trained_supernet(
    elastic: ElasticSuperNet, brightness: Dataset
) -> None:
    history = find(elastic, brightness, generator=seeded(), limits=limit(1e9), images=40)
    assert history.steps == 4
    assert history.sampled == 6
    assert len(history) == 9
    (supernet,) = history.supernets
    score = OneShotEvaluator(
        supernet,
        brightness.normalise(brightness.validation.images[:40]),
        brightness.validation.labels[:40],
        recalibration=recalibration_batches(brightness, 512),
    )
    for candidate in history.candidates:
        assert score(candidate.architecture) == candidate.score


def test_parts_share_the_steps_and_score_what_they_hold(
    elastic: ElasticSuperNet, brightness: Dataset
) -> None:
    parts = split(elastic, ["stage_1_depth"])
    history = find(parts, brightness, generator=seeded())
    assert history.steps == 4
    assert [part.choices[1] for part in history.supernets] == [(0,), (1,)]
    depths = {candidate.architecture[1] for candidate in history.candidates}
    assert depths == {0, 1}
    with pytest.raises(ValueError, match=r"hold 192 of the 288|give one whole supernet"):
        find(parts[:1], brightness, generator=seeded())
    with pytest.raises(ValueError, match="no supernet"):
        find([], brightness, generator=seeded())


def test_the_same_call_goes_on(
    elastic: ElasticSuperNet, brightness: Dataset, tmp_path: Path
) -> None:
    whole = find(elastic, brightness, generator=seeded())
    calls = 0

    def interrupt(stage: str, fraction: float, message: str) -> None:
        nonlocal calls
        calls += stage == "score"
        if calls == 3:
            raise KeyboardInterrupt

    again = partial(find, elastic, brightness, out=tmp_path)
    with pytest.raises(KeyboardInterrupt):
        again(generator=seeded(), progress=interrupt)
    stages = []
    resumed = again(generator=seeded(), progress=lambda stage, *_: stages.append(stage))
    assert resumed.candidates == whole.candidates
    assert "train" not in stages
    assert stages.count("score") == 6  # of nine, three were there
    # another limit scores anew, and trains nothing
    limited = again(generator=seeded(), limits=limit(0.7 * SPACE.macs(SPACE.largest)),
                    progress=lambda stage, *_: stages.append(stage))  # fmt: skip
    assert "train" not in stages
    assert limited.candidates != whole.candidates


def test_a_limit_that_no_network_keeps_ends_before_the_training(
    elastic: ElasticSuperNet, brightness: Dataset, tmp_path: Path
) -> None:
    with pytest.raises(LimitError, match="no architecture keeps to macs <= 10"):
        find(elastic, brightness, generator=seeded(), limits=limit(10), out=tmp_path)
    assert not list(tmp_path.iterdir())


def test_impossible_settings(elastic: ElasticSuperNet, brightness: Dataset) -> None:
    untrained = partial(find, elastic, brightness, progress=pytest.fail)
    for wrong in ({"samples": 3}, {"verified": 0}, {"images": 0}, {"recalibration_images": 1}):
        with pytest.raises(ValueError, match="give at least"):
            untrained(generator=seeded(), **wrong)


def test_calibrated_networks_answer_as_the_evaluator_does(
    elastic: ElasticSuperNet, brightness: Dataset
) -> None:
    images = brightness.normalise(brightness.validation.images)
    batches = recalibration_batches(brightness, 40)
    score = OneShotEvaluator(elastic, images, brightness.validation.labels, recalibration=batches)
    architecture = SPACE.sample(generator=seeded(3))
    network = calibrated(elastic, architecture, batches)
    torch.testing.assert_close(network(images), score.logits(architecture))
    assert not network.training
    assert [len(batch) for batch in recalibration_batches(brightness, 33)] == [33]
