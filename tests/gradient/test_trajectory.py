"""Histories of epochs: which is the result, what it cost, and that they can be written and read."""

import json
from dataclasses import asdict, replace

import pytest

from nascence.gradient.trajectory import Epoch, epoch_from, trajectory

EPOCH = Epoch(0, (1, 2), 0.5, 0.9, ((0.5, 0.5), (0.2, 0.3, 0.5)), 1.5, 10, 2.0)


def test_the_result_is_the_last_epoch_of_the_most_accurate_sub_supernet() -> None:
    epochs = [
        replace(EPOCH, accuracy=0.9),
        replace(EPOCH, accuracy=0.3, steps=20, seconds=5.0),
        replace(EPOCH, sub_supernet=1, accuracy=0.2, steps=8),
        replace(EPOCH, sub_supernet=1, accuracy=0.4, steps=18, seconds=3.0),
    ]
    history = trajectory(epochs, ("steps", "skips"))
    assert history.derived is epochs[3]
    assert history.best.score == 0.9  # what a search of epochs would have taken
    assert (history.steps, history.seconds) == (38, 8.0)
    assert [candidate.seconds for candidate in history.candidates] == [2.0, 3.0, 2.0, 1.0]


def test_sub_supernets_are_compared_by_any_score_at_their_last_epochs() -> None:
    epochs = [
        replace(EPOCH, architecture=(9, 9)),  # not its sub-supernet's last
        replace(EPOCH, architecture=(1, 1), accuracy=0.9, steps=20),
        replace(EPOCH, sub_supernet=1, architecture=(3, 3), accuracy=0.1),
        replace(EPOCH, sub_supernet=2, architecture=(0, 7), accuracy=0.2),
    ]
    history = trajectory(epochs)
    assert history.ends == (epochs[1], epochs[2], epochs[3])
    assert history.derived is epochs[1]
    assert history.derived_by(sum) is epochs[3]
    assert history.derived_by(lambda each: float("nan") if 7 in each else sum(each)) is epochs[2]
    assert history.derived_by(lambda each: -float("inf")) is epochs[1]
    with pytest.raises(ValueError, match="finished no epoch"):
        trajectory([]).derived_by(sum)


def test_where_latency_counts_the_result_has_the_least_objective() -> None:
    epochs = [
        replace(EPOCH, accuracy=0.9, objective=1.4, latency=5.0),
        replace(EPOCH, accuracy=0.4, objective=1.2, latency=3.0, sub_supernet=1),
    ]
    assert trajectory(epochs).derived is epochs[1]
    assert trajectory(epochs).best.architecture == epochs[0].architecture


def test_epochs_survive_json() -> None:
    history = trajectory([EPOCH], ("steps",))
    read = json.loads(history.to_json())
    assert epoch_from(read["epochs"][0]) == EPOCH
    assert epoch_from(asdict(EPOCH)) == EPOCH
    assert read["stops"] == ["steps"]


def test_no_epoch_is_no_result() -> None:
    with pytest.raises(ValueError, match="finished no epoch"):
        _ = trajectory([]).derived
