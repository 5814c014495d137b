"""Drawing and changing decisions."""

from collections import Counter
from functools import partial

import pytest
import torch

from nascence.spaces import Decision, name_of
from nascence.spaces.decisions import check_architecture, mutate_decision, sample_decisions

DECISIONS = (Decision("a", (1, 2, 3)), Decision("b", ("only",)), Decision("c", ("x", "y")))


def test_samples_are_uniform(generator: torch.Generator) -> None:
    counts = Counter(sample_decisions(DECISIONS, generator=generator) for _ in range(3000))
    assert len(counts) == 6
    # 500 expected of each; five standard deviations are 102.
    assert all(abs(count - 500) < 102 for count in counts.values())


def test_mutations_are_uniform_over_what_can_change(generator: torch.Generator) -> None:
    counts = Counter(
        mutate_decision((1, 0, 0), DECISIONS, generator=generator) for _ in range(2000)
    )
    assert set(counts) == {(0, 0, 0), (2, 0, 0), (1, 0, 1)}
    assert abs(counts[(1, 0, 1)] - 1000) < 112


def test_nothing_to_mutate_is_an_error(generator: torch.Generator) -> None:
    with pytest.raises(ValueError, match="no decision"):
        mutate_decision((0,), DECISIONS[1:2], generator=generator)


@pytest.mark.parametrize(
    ("architecture", "message"),
    [
        ((0, 0), "has 2 indices; this space has 3 decisions: a, b, c"),
        ((3, 0, 0), "'a' has index 3; it must be an int from 0 to 2, one of the choices 1, 2, 3"),
        ((0, -1, 0), "'b' has index -1"),
        ((0, 0, True), "'c' has index True"),
        ((0, 0, 1.0), "'c' has index 1.0"),
    ],
)
def test_wrong_architectures_are_named(architecture: tuple, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        check_architecture(architecture, DECISIONS)


def test_names_are_the_same_in_every_process() -> None:
    assert name_of(len) == "len"
    assert name_of(partial(int, base=2)) == "int(base=2)"
    assert name_of(partial(partial(max, 3), key=None)) == "max(3, key=None)"
