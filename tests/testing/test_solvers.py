"""Our solvers pass the checks, and broken ones do not."""

from collections.abc import Callable
from dataclasses import replace

import pytest
import torch

from nascence import registry
from nascence.implicit import Solution, Status, picard
from nascence.testing.solvers import CHECKS, check_solver


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
@pytest.mark.parametrize("name", [e.name for e in registry.OWN if e.kind == "solver"])
def test_every_solver_keeps_the_contract(name: str, check: Callable[..., None]) -> None:
    check(registry.find(name, "solver").load())


def early(f, z0, **settings) -> Solution:
    return replace(picard(f, z0, tol=None, max_iter=2), status=torch.zeros(len(z0)))


def boastful(f, z0, **settings) -> Solution:
    found = picard(f, z0, **settings)
    return replace(found, status=torch.full_like(found.status, Status.CONVERGED))


def mixing(f, z0, **settings) -> Solution:
    found = picard(f, z0, **settings)
    return replace(found, state=found.state + 1e-3 * found.state.mean(0))


def miscounting(f, z0, **settings) -> Solution:
    found = picard(f, z0, **settings)
    return replace(found, evaluations=found.evaluations + 1)


@pytest.mark.parametrize("broken", [early, boastful, mixing, miscounting])
def test_a_broken_one_is_found(broken: Callable[..., Solution]) -> None:
    with pytest.raises(AssertionError):
        check_solver(broken)
