"""The clock of a run."""

import time

import pytest

from nascence.design.clock import Clock


def test_time_of_earlier_starts_counts() -> None:
    clock = Clock(10.0, spent=4.0)
    time.sleep(0.05)
    assert 4.05 <= clock.elapsed < 5
    assert clock.left == pytest.approx(10 - clock.elapsed, abs=0.01)
    assert Clock(1.0, spent=2.0).left < 0


def test_waiting_is_slowness() -> None:
    clock = Clock(10.0)
    time.sleep(0.2)
    assert clock.slowness > 3
    started = time.process_time()
    while time.process_time() - started < 0.1:
        pass
    assert 1 <= clock.slowness <= 20
