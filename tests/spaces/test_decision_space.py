"""What follows from the decisions alone, the same for every space that is made of them."""

from collections import Counter

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from nascence.spaces import Architecture, Decision
from nascence.spaces.decision_space import (
    Cost,
    CostTable,
    DecisionSpace,
    check_counts,
    check_fraction,
    check_positive,
    shortened,
    total,
)


class Letters(DecisionSpace):
    """Three decisions; the costs of a choice are its index, and ten times the decision's."""

    decisions = (Decision("a", ("x", "y", "z")), Decision("b", (1, 2)), Decision("c", ("x", "y")))
    description = "Letters"

    def cost_table(self, *, side: int | None = None) -> CostTable:
        scale = side or 1
        return CostTable(
            Cost(1000, 0),
            tuple(
                tuple(Cost(index, 10 * place * scale) for index in range(len(choices)))
                for place, (_, choices) in enumerate(self.decisions)
            ),
        )


SPACE = Letters()
architectures = st.tuples(*(st.integers(0, len(d.choices) - 1) for d in SPACE.decisions))


def test_size_is_the_product_of_the_choices() -> None:
    assert SPACE.size == 12
    assert repr(SPACE) == "Letters"


@given(architecture=architectures)
def test_code_and_json_round_trip(architecture: Architecture) -> None:
    assert SPACE.from_json(SPACE.to_json(architecture)) == architecture
    code = SPACE.encode(architecture)
    assert code.shape == (7,)
    parts = code.split([3, 2, 2])
    assert tuple(int(part.argmax()) for part in parts) == architecture
    assert SPACE.derive(parts) == architecture
    assert all(part.sum() == 1 for part in parts)


@given(architecture=architectures)
def test_costs_add(architecture: Architecture) -> None:
    assert SPACE.parameters(architecture) == 1000 + sum(architecture)
    assert SPACE.macs(architecture) == 30
    assert SPACE.macs(architecture, side=7) == 210


def test_children_take_each_decision_from_either_parent(generator: torch.Generator) -> None:
    children = Counter(
        SPACE.crossover((0, 0, 1), (2, 1, 1), generator=generator) for _ in range(2000)
    )
    assert set(children) == {(0, 0, 1), (0, 1, 1), (2, 0, 1), (2, 1, 1)}
    # 500 expected of each; five standard deviations are 97
    assert all(abs(count - 500) < 97 for count in children.values())
    with pytest.raises(ValueError, match="decision 'a'"):
        SPACE.crossover((0, 0, 1), (3, 0, 0), generator=generator)


@given(architecture=architectures, seed=st.integers(0, 99))
def test_mutants_are_neighbours(architecture: Architecture, seed: int) -> None:
    neighbours = SPACE.neighbours(architecture)
    assert len(set(neighbours)) == len(neighbours) == 2 + 1 + 1
    mutant = SPACE.mutate(architecture, generator=torch.Generator().manual_seed(seed))
    assert mutant in neighbours
    assert SPACE.canonical(architecture) == architecture


def test_networks_hold_the_choice_of_every_place() -> None:
    class Twice(Letters):
        def network(self, choose):
            names = ("c", "a", "c")
            builders = [lambda size=size: nn.Linear(1, size) for size in (1, 2, 3)]
            return nn.Sequential(*(choose(name, builders) for name in names))

    built = Twice().build((2, 0, 1))
    assert [layer.out_features for layer in built] == [2, 3, 2]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("not json", "not JSON"),
        ("[" * 100_000, "not JSON|cannot read"),
        ("null", "object with the keys a, b, c"),
        ('{"a": "x"}', "object with the keys a, b, c"),
        ('{"a": "w", "b": 1, "c": "x"}', "a is 'w'; use one of x, y, z"),
        ('{"a": ["x"], "b": 1, "c": "x"}', "a is "),
        ('{"a": "x", "b": 1.0, "c": "x"}', "b is 1.0; use one of 1, 2"),
        ('{"a": "x", "b": true, "c": "x"}', "b is True"),
        ('{"a": "x", "b": ' + "9" * 5000 + ', "c": "x"}', "not JSON"),
    ],
)
def test_unreadable_json_says_why(text: str, message: str) -> None:
    with pytest.raises(ValueError, match=message) as caught:
        SPACE.from_json(text)
    assert len(str(caught.value)) < 300


def test_weights_that_do_not_fit_are_refused() -> None:
    good = [torch.zeros(3), torch.zeros(2), torch.zeros(2)]
    with pytest.raises(ValueError, match="got 2 weight vectors; this space has 3"):
        SPACE.derive(good[:2])
    with pytest.raises(ValueError, match=r"'b' have shape \(3,\); it must be \(2,\)"):
        SPACE.derive([good[0], torch.zeros(3), good[2]])
    with pytest.raises(ValueError, match="'c' are not finite"):
        SPACE.derive([*good[:2], torch.tensor([0.0, torch.nan])])


def test_settings_are_checked() -> None:
    for value in (0, -1, 2.0, True, "1"):
        with pytest.raises(ValueError, match="size is"):
            check_positive("size", value)
    for values in ((1,), (1, 3), (0, 1), (1, 1.0), (True, 1)):
        with pytest.raises(ValueError, match="it must be 2 ints from 1 to 2"):
            check_counts("strides", values, 2, 2)
    for value in (1, -0.1, float("nan")):
        with pytest.raises(ValueError, match="probability"):
            check_fraction("dropout", value)
    check_counts("depths", (1, 99), 2)


def test_long_values_are_cut() -> None:
    assert shortened("x" * 999, 10) == "'xxxxxxxxx…"
    assert shortened([1]) == "[1]"


def test_total_of_nothing_is_nothing() -> None:
    assert total([]) == (0, 0)
