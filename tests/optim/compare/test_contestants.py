"""Contestants by name, with fingerprints of their settings."""

import math
from pathlib import Path

import pytest
import torch

from nascence.optim import Adam, NAdamW, Small, load, save
from nascence.optim.baselines.opt_list import load_opt_list
from nascence.optim.baselines.tuned_adam import Adam8p, NAdamWCosine
from nascence.optim.compare.contestants import (
    NAMES,
    Contestant,
    contestants,
    file_name,
    seen_families,
)
from nascence.tasks import TRAINING


def test_everyone_takes_part() -> None:
    found = {each.name: each for each in contestants(NAMES, trials=(1, 5))}
    assert list(found) == [
        "optimizer-small",
        "untrained small (hidden 4, learning_rate 0.001)",
        "Adam 0.001",
        "NAdamW 0.001",
        "AdamLR",
        "Adam8p",
        "opt_list",
    ]
    assert [each.hand_made for each in found.values()] == [False, False] + [True] * 5
    assert isinstance(found["Adam 0.001"].optimizer, Adam)
    assert isinstance(found["NAdamW 0.001"].optimizer, NAdamW)
    assert isinstance(found["Adam8p"].optimizer, Adam8p)
    assert isinstance(found["opt_list"].optimizer, NAdamWCosine)
    assert found["AdamLR"].trials == (14,)
    for name in ("Adam8p", "opt_list"):
        assert found[name].trials == (1, 5)
        assert len(found[name].theta["log_rate"]) == 5  # type: ignore[index]


def test_first_trials_are_the_same_for_any_number() -> None:
    few = contestants(["adam8p", "opt-list"], trials=(2,))
    many = contestants(["adam8p", "opt-list"], trials=(1, 4))
    for short, long in zip(few, many, strict=True):
        assert short.theta is not None
        assert long.theta is not None
        for name, value in short.theta.items():
            assert torch.equal(value, long.theta[name][:2])
    assert torch.equal(few[1].theta["log_rate"], load_opt_list()["log_rate"][:2])  # type: ignore[index]


def test_a_fingerprint_changes_with_the_settings_alone(tmp_path: Path) -> None:
    one = Contestant("a", Adam(1e-3))
    assert one.fingerprint == Contestant("b", Adam(1e-3)).fingerprint
    assert one.fingerprint != Contestant("a", Adam(1.1e-3)).fingerprint
    assert one.fingerprint != Contestant("a", NAdamW(1e-3)).fingerprint
    name = file_name(Contestant(str(tmp_path / "my weights.safetensors"), Adam(1e-3)), "mlp")
    assert name == f"mlp--my-weights-{one.fingerprint}.json"


def test_what_is_not_there_is_said() -> None:
    with pytest.raises(ValueError, match="optimizer is 'velo'; allowed are learned, untrained"):
        contestants(["adam", "velo"])
    with pytest.raises(ValueError, match="name at least one"):
        contestants([])
    with pytest.raises(ValueError, match="name at least one"):
        contestants(["learned"], weights=[])
    with pytest.raises(ValueError, match="nowhere is not a file"):
        contestants(["learned"], weights=["nowhere"])
    with pytest.raises(ValueError, match="holds no optimizer"):
        contestants(["learned"], weights=["ghn2-cifar10"])
    with pytest.raises(ValueError, match="at least 1"):
        contestants(["adam8p"], trials=(0,))
    with pytest.raises(ValueError, match="ask for no more"):
        contestants(["opt-list"], trials=(100_000,))


def test_cards_say_what_was_seen(tmp_path: Path) -> None:
    released = seen_families(["optimizer-small"])
    assert {"yardstick", "quadratic", "mlp"} <= released.keys() <= set(TRAINING)
    card = {"families": "mlp:units (12), two-words (3)", "held_out": "0.1"}
    save(Small(), tmp_path / "a", card=card)
    save(Small(), tmp_path / "b", card={"families": "mlp (12)", "held_out": "0.05"})
    save(load("optimizer-small"), tmp_path / "c")
    found = seen_families([str(tmp_path / name) for name in "abc"])
    assert found.keys() == {"mlp", "two-words"}
    assert math.isclose(found["mlp"], 0.05)
    assert math.isclose(found["two-words"], 0.1)
