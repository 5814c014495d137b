"""What every search strategy must do: checks that raise ``AssertionError`` where one fails.

A test of a strategy of your own calls :func:`check_strategy`, which runs all of them::

    def test_my_strategy() -> None:
        check_strategy(MyStrategy, NB201(width=4, cells=1))
"""

from collections.abc import Callable
from typing import Protocol

import torch

from nascence.search import Strategy
from nascence.search.limits import Allowed
from nascence.spaces import Architecture, SearchSpace
from nascence.testing.evidence import seeded, sent

_ASKED = 40


class Make(Protocol):
    """Makes a strategy, such as its class."""

    def __call__(
        self, space: SearchSpace, *, generator: torch.Generator, allowed: Allowed | None = None
    ) -> Strategy:
        """Return an unused strategy.

        Args:
            space: to search.
            generator: its source of randomness.
            allowed: tells which architectures may be proposed.
        """


def check_protocol(make: Make, space: SearchSpace) -> None:
    """Check that a strategy knows its space, and tells its settings and its seed in one line."""
    made = make(space, generator=seeded())
    assert isinstance(made, Strategy), "it lacks a method of Strategy"
    assert made.space is space
    assert "\n" not in made.description
    assert made.description == make(space, generator=seeded()).description
    assert made.description != make(space, generator=seeded(1)).description, "no seed in it"


def check_repeatable(make: Make, space: SearchSpace) -> None:
    """Check that equal generators and scores lead to equal proposals, which is how to resume."""
    state = torch.get_rng_state()
    assert _run(make(space, generator=seeded(2)), _ASKED) == _run(
        make(space, generator=seeded(2)), _ASKED
    )
    assert torch.equal(torch.get_rng_state(), state), "it draws from the global generator"


def check_new(make: Make, space: SearchSpace) -> None:
    """Check that proposals are of the space, and by default no function comes twice."""
    found = [space.canonical(each) for each in _run(make(space, generator=seeded(2)), _ASKED)]
    assert len(set(found)) == _ASKED, "a function is proposed twice"


def check_several_at_once(make: Make, space: SearchSpace) -> None:
    """Check that it can be asked again before it is told, and told what it never proposed."""
    made = make(space, generator=seeded(3))
    asked = [made.ask() for _ in range(5)]
    assert len({space.canonical(each) for each in asked}) == 5
    others = _run(make(space, generator=seeded(4)), 20)
    made = make(space, generator=seeded(4))  # would propose the others next
    for architecture in others + asked[::-1]:
        made.tell(architecture, _score(architecture))
    met = {space.canonical(each) for each in others + asked}
    assert not {space.canonical(each) for each in _run(made, 10)} & met


def check_allowed(make: Make, space: SearchSpace) -> None:
    """Check that nothing is proposed that is not allowed."""
    index = min(2, len(space.decisions[0].choices) - 1)
    made = make(space, generator=seeded(), allowed=lambda each: each[0] == index)
    assert all(each[0] == index for each in _run(made, 25))


def check_scores(make: Make, space: SearchSpace) -> None:
    """Check that scores without a difference, and infinite ones, stop nothing."""
    for scores in ([1.0], [float("-inf")], [0.0, float("inf"), -1e300]):
        made = make(space, generator=seeded(4))
        for number in range(_ASKED // 2 + 2):
            made.tell(made.ask(), scores[number % len(scores)])


def check_pickling(make: Make, space: SearchSpace) -> None:
    """Check that a strategy sent to another process goes on there as it would have here."""
    made = make(space, generator=seeded(5))
    _run(made, _ASKED // 2)
    copy = sent(made)
    assert _run(copy, _ASKED // 2) == _run(made, _ASKED // 2)


CHECKS: tuple[Callable[[Make, SearchSpace], None], ...] = (
    check_protocol,
    check_repeatable,
    check_new,
    check_several_at_once,
    check_allowed,
    check_scores,
    check_pickling,
)
"""All checks."""


def check_strategy(make: Make, space: SearchSpace) -> None:
    """Run all :data:`CHECKS` on a space with 100 functions or more.

    Raises:
        AssertionError: it breaks what :class:`nascence.search.Strategy` promises.
    """
    for check in CHECKS:
        check(make, space)


def _score(architecture: Architecture) -> float:
    return float(sum(architecture))


def _run(made: Strategy, count: int) -> list[Architecture]:
    asked = []
    for _ in range(count):
        asked.append(made.ask())
        made.tell(asked[-1], _score(asked[-1]))
    return asked
