"""Initial weights have their known deviations."""

import math

import pytest
import torch

from nascence.params import Params
from nascence.tasks.initial import (
    ACTIVATIONS,
    NAMES,
    initial_weight,
    sample_initialiser,
)


def constants(name: str, scale: float) -> Params:
    return {"initialiser": torch.tensor(NAMES.index(name)), "init_scale": torch.tensor(scale)}


@pytest.mark.parametrize(
    ("name", "scale", "deviation"),
    [
        ("he_normal", 1.0, math.sqrt(2 / 200)),
        ("he_uniform", 1.0, math.sqrt(2 / 200)),
        ("glorot_normal", 1.0, math.sqrt(2 / 300)),
        ("glorot_uniform", 1.0, math.sqrt(2 / 300)),
        ("uniform", 0.3, 0.3 / math.sqrt(3)),
        ("normal", 0.3, 0.3),
        ("truncated_normal", 0.3, 0.3 * 0.8796),  # that of a normal cut at two deviations
        ("variance_scaling", 0.5, math.sqrt(0.5 / 200)),
    ],
)
def test_the_deviation_is_the_known_one(
    name: str, scale: float, deviation: float, generator: torch.Generator
) -> None:
    weight = initial_weight(constants(name, scale), (200, 100), generator=generator)
    assert abs(weight.std() / deviation - 1) < 0.02
    assert abs(weight.mean()) < 0.03 * deviation
    if name.endswith("uniform"):
        assert weight.abs().max() <= deviation * math.sqrt(3)


def test_orthogonal_weights_keep_lengths(generator: torch.Generator) -> None:
    tall = initial_weight(constants("orthogonal", 2.0), (20, 8), generator=generator)
    torch.testing.assert_close(tall.T @ tall, 4 * torch.eye(8), atol=1e-5, rtol=0)
    kernel = initial_weight(constants("orthogonal", 1.0), (6, 4, 3, 3), generator=generator)
    rows = kernel.flatten(1)
    torch.testing.assert_close(rows @ rows.T, torch.eye(6), atol=1e-5, rtol=0)


def test_convolutions_count_places_in_their_fans(generator: torch.Generator) -> None:
    shape = (32, 16, 3, 3)
    he = initial_weight(constants("he_normal", 1.0), shape, generator=generator)
    assert abs(he.std() / math.sqrt(2 / (16 * 9)) - 1) < 0.03
    glorot = initial_weight(constants("glorot_normal", 1.0), shape, generator=generator)
    assert abs(glorot.std() / math.sqrt(2 / (48 * 9)) - 1) < 0.03


def test_initialisers_are_drawn_in_the_published_shares(generator: torch.Generator) -> None:
    drawn = [sample_initialiser(generator=generator) for _ in range(2600)]
    kinds = torch.tensor([int(one["initialiser"]) for one in drawn]).bincount(minlength=9)
    known = torch.tensor([2, 2, 2, 2, 1, 1, 1, 1, 1]) * 200
    assert ((kinds - known).abs() < 70).all()
    assert all(one["init_scale"] == 1 for one in drawn if one["initialiser"] < 4)
    assert all(0.0999 < one["init_scale"] < 10.01 for one in drawn)


def test_activations_at_known_places() -> None:
    x = torch.tensor([-1.0, 0.0, 2.0])
    known = {
        "relu": [0, 0, 2],
        "tanh": [math.tanh(-1), 0, math.tanh(2)],
        "cos": [math.cos(1), 1, math.cos(2)],
        "elu": [math.exp(-1) - 1, 0, 2],
        "sigmoid": [1 / (1 + math.e), 0.5, 1 / (1 + math.exp(-2))],
        "swish": [-1 / (1 + math.e), 0, 2 / (1 + math.exp(-2))],
        "leaky_relu_4": [-0.4, 0, 2],
        "leaky_relu_2": [-0.2, 0, 2],
        "leaky_relu_1": [-0.1, 0, 2],
    }
    assert ACTIVATIONS.keys() == known.keys()
    for name, values in known.items():
        torch.testing.assert_close(ACTIVATIONS[name](x), torch.tensor(values, dtype=torch.float32))
