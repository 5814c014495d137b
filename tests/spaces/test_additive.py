"""Costs that add up, and networks built from one definition."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from nascence.spaces import Architecture, Choose, Decision
from nascence.spaces.additive import (
    AdditiveSpace,
    Cost,
    CostTable,
    check_counts,
    check_fraction,
    check_positive,
    total,
)


class Letters(AdditiveSpace):
    """Three decisions; the costs of a choice are its index, and ten times the decision's."""

    description = "Letters"

    def __init__(self) -> None:
        decisions = Decision("a", ("x", "y", "z")), Decision("b", (1, 2)), Decision("c", ("x", "y"))
        super().__init__(decisions, default_side=1)

    def network(self, choose: Choose) -> nn.Module:
        return nn.Sequential(
            *(choose(name, [nn.Identity] * len(choices)) for name, choices in self.decisions)
        )

    def cost_table(self, *, side: int | None = None) -> CostTable:
        scale = side or self.default_side
        return CostTable(
            Cost(1000, 0),
            tuple(
                tuple(Cost(index, 10 * place * scale) for index in range(len(choices)))
                for place, (_, choices) in enumerate(self.decisions)
            ),
        )


SPACE = Letters()
architectures = st.tuples(*(st.integers(0, len(d.choices) - 1) for d in SPACE.decisions))


@given(architecture=architectures)
def test_costs_add(architecture: Architecture) -> None:
    assert SPACE.parameters(architecture) == 1000 + sum(architecture)
    assert SPACE.macs(architecture) == 30
    assert SPACE.macs(architecture, side=7) == 210
    assert SPACE.canonical(architecture) == architecture
    assert repr(SPACE) == "Letters"


def test_networks_hold_the_choice_of_every_place() -> None:
    class Twice(Letters):
        def network(self, choose):
            names = ("c", "a", "c")
            builders = [lambda size=size: nn.Linear(1, size) for size in (1, 2, 3)]
            return nn.Sequential(*(choose(name, builders) for name in names))

    built = Twice().build((2, 0, 1))
    assert [layer.out_features for layer in built] == [2, 3, 2]


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


def test_total_of_nothing_is_nothing() -> None:
    assert total([]) == (0, 0)
