"""Gains, kinds and sizes of predicted parameters."""

from math import prod

import pytest

from nascence.graph import Node, Parameter
from nascence.hypernet.layout import Layout, layout


def of(shape: tuple[int, ...], role: str = "weight", *, classifier: bool = False) -> Layout:
    parameter = Parameter("p", shape, role)
    return layout(parameter, Node("conv", (parameter,)), classifier=classifier, classes=10)


@pytest.mark.parametrize(
    ("shape", "beta"),
    [
        ((8, 4, 3, 3), 2.0),
        ((8, 1, 3, 3), 1.0),  # depthwise
        ((8, 4, 1, 7), 1.0),  # first half of a pair
        ((8, 4, 7, 1), 2.0),
        ((8, 4), 2.0),
        ((8, 1), 2.0),
        ((8, 4, 3, 3, 3), 2.0),
    ],
)
def test_gain_is_the_root_of_beta_over_fan_in(shape: tuple[int, ...], beta: float) -> None:
    found = of(shape)
    assert found.finish == "fan_in"
    assert found.gain == pytest.approx((beta / prod(shape[1:])) ** 0.5)


def test_kinds_and_sizes() -> None:
    assert of((8, 4)).size == (8, 4, 1, 1)
    assert of((8, 4, 5)).size == (8, 4, 1, 5)
    assert of((10, 4), classifier=True).kind == "class_weight"
    assert of((11, 4), classifier=True).kind == "kernel"
    assert of((10,), "bias", classifier=True).kind == "class_bias"
    assert of((10,), "bias").kind == "vector"
    assert (of((8,), "norm_weight").row, of((8,), "norm_weight").finish) == (0, "scale")
    assert (of((8,), "norm_bias").row, of((8,), "norm_bias").finish) == (1, "shift")
    transposed = of((4, 8, 3, 3), "weight_transposed")
    assert transposed.size == (8, 4, 3, 3)
    assert transposed.gain == pytest.approx((2 / (4 * 9)) ** 0.5)
    assert of((1, 8, 7, 7), "position").size == (1, 8, 7, 7)
    assert of((1, 50, 8), "position").size == (1, 8, 7, 7)
    assert of((169, 3), "table").size == (1, 3, 13, 13)
