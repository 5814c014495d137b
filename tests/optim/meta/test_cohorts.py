"""Cohorts are the same in any company and any process."""

from dataclasses import replace

import pytest
import torch

from nascence.optim import SGD
from nascence.optim.meta.cohorts import (
    LocalCohorts,
    ProcessCohorts,
    UnrollSettings,
    longest,
    training_tasks,
)
from nascence.optim.theta import flatten
from nascence.tasks import Quadratics

SETTINGS = UnrollSettings(
    *(0, 3, 2, (2, 8), 10, "single", "sign", 0.01),
    *(1, 0.5, 0.25),
)


def test_unrolls_grow_geometrically() -> None:
    assert [longest(SETTINGS, step) for step in (0, 5, 10, 99)] == [2, 4, 8, 8]
    assert longest(replace(SETTINGS, ramp=0), 0) == 8


def test_the_last_tasks_of_a_family_are_never_used() -> None:
    family = Quadratics(count=40)
    assert training_tasks(len(family), SETTINGS.held_out) == 30
    optimizer = SGD()
    cohorts = LocalCohorts(optimizer, [family], SETTINGS, range(5))
    seen = set()
    for step in range(30):
        cohorts.advance(flatten(optimizer), step)
        for stack, *_ in cohorts.running.values():
            seen.update(int(name.split("/")[1]) for name in stack.names)
    assert max(seen) < 30
    assert len(seen) > 20


def test_a_cohort_is_the_same_in_any_company() -> None:
    optimizer = SGD()
    theta = flatten(optimizer)
    both = LocalCohorts(optimizer, [Quadratics(count=40)], SETTINGS, [0, 1])
    alone = LocalCohorts(optimizer, [Quadratics(count=40)], SETTINGS, [1])
    for step in range(3):
        together, single = both.advance(theta, step), alone.advance(theta, step)
        assert torch.equal(together[1].gradient, single[0].gradient)


def test_a_process_that_ends_is_told() -> None:
    families = [Quadratics(count=40)]
    cohorts = ProcessCohorts(SGD(), families, SETTINGS, cohorts=1, workers=1)
    try:
        cohorts.processes[0].kill()
        cohorts.processes[0].join()
        with pytest.raises(ChildProcessError, match="continues from the last checkpoint"):
            cohorts.advance(torch.zeros(2), 0)
    finally:
        cohorts.close()
