"""Times of convolutions add up to those of networks; a clock of our own makes them known."""

import json
from pathlib import Path

import pytest
import torch

from nascence.data.errors import DataError
from nascence.latency import OperatorTimes
from nascence.spaces import StagedSpace

SPACE = StagedSpace(widths=(4, 8), depths=(0, 1, 2))
NETWORK = SPACE.parse("stem2;4x2 residual;8x1 plain;8x0 plain")


class Ticks:
    """A clock that is one second further whenever it is read."""

    def __init__(self) -> None:
        self.read = 0

    def __call__(self) -> float:
        self.read += 1
        return float(self.read)


def test_a_network_takes_the_time_of_all_its_convolutions() -> None:
    """Stem, four of two residual blocks, two entries, one plain block: each is a second long."""
    clock = Ticks()
    times = OperatorTimes(SPACE, passes=1, clock=clock)
    assert times.of(NETWORK) == 8 * 1000
    kinds = len(set(SPACE.operators(NETWORK)))
    assert clock.read == 2 * 2 * kinds  # begin and end of the first pass and of the counted one


def test_what_is_kept_is_not_measured_again(tmp_path: Path) -> None:
    kept = tmp_path / "times.json"
    first = OperatorTimes(SPACE, passes=1, kept=kept, clock=Ticks()).of(NETWORK)
    clock = Ticks()
    assert OperatorTimes(SPACE, passes=1, kept=kept, clock=clock).of(NETWORK) == first
    assert clock.read == 0


@pytest.mark.parametrize("content", ["{", "[1]", json.dumps({"3 3 4": "fast"})])
def test_a_damaged_file_is_named(tmp_path: Path, content: str) -> None:
    (tmp_path / "times.json").write_text(content)
    with pytest.raises(DataError, match=r"times.json.*delete it"):
        OperatorTimes(SPACE, kept=tmp_path / "times.json")


def test_training_takes_longer_than_inference() -> None:
    wide = StagedSpace(widths=(32,), depths=(1,))
    network = wide.parse("stem1;32x1 plain;32x1 plain;32x1 plain")
    forward = OperatorTimes(wide, batch_size=8).of(network)
    both = OperatorTimes(wide, batch_size=8, training=True).of(network)
    half = OperatorTimes(wide, batch_size=8, training=True, dtype=torch.bfloat16).of(network)
    assert both > 1.5 * forward
    assert half > 0
