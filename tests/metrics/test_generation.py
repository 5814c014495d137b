"""Scores of generated images against values that can be worked out."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from nascence.metrics import Moments, classifier_score, frechet_distance, moments


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def rotation(size: int, seed: int = 0) -> Tensor:
    square = torch.randn(size, size, generator=seeded(seed), dtype=torch.float64)
    return torch.linalg.qr(square).Q


def gaussian(mean: Tensor, variances: Tensor, turned: Tensor | None = None) -> Moments:
    turned = torch.eye(len(mean), dtype=torch.float64) if turned is None else turned
    return Moments(mean.double(), turned @ torch.diag(variances.double()) @ turned.T)


@pytest.mark.parametrize("classes", [2, 3, 10])
def test_the_score_of_certain_answers_spread_over_k_classes_is_k(classes: int) -> None:
    certain = torch.eye(classes).repeat(4, 1)
    assert classifier_score(certain) == pytest.approx(classes)
    assert classifier_score(torch.full((7, classes), 1 / classes)) == pytest.approx(1)
    assert classifier_score(certain[:1].repeat(5, 1)) == pytest.approx(1)


def test_the_score_of_two_answers_by_hand() -> None:
    """p = (a, 1 - a) and (1 - a, a): KL from one half is log 2 - H(a)."""
    for a in (0.1, 0.35, 0.5):
        entropy = -a * math.log(a) - (1 - a) * math.log(1 - a)
        value = classifier_score(torch.tensor([[a, 1 - a], [1 - a, a]]))
        assert value == pytest.approx(2 * math.exp(-entropy))


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 1000), st.integers(1, 20), st.integers(2, 6))
def test_the_score_is_between_one_and_the_classes(seed: int, rows: int, classes: int) -> None:
    table = (5 * torch.randn(rows, classes, generator=seeded(seed))).softmax(1)
    value = classifier_score(table)
    assert 1 - 1e-9 <= value <= classes + 1e-9
    order = torch.randperm(classes, generator=seeded(seed))
    assert classifier_score(table[:, order]) == pytest.approx(value)


@pytest.mark.parametrize(
    ("table", "message"),
    [
        (torch.zeros(0, 3), "give a table"),
        (torch.zeros(3), "give a table"),
        (torch.tensor([[0.5, 0.6]]), "add up to 1"),
        (torch.tensor([[1.5, -0.5]]), "not be negative"),
        (torch.tensor([[math.nan, 1.0]]), "not finite"),
    ],
)
def test_tables_without_a_score(table: Tensor, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        classifier_score(table)


def test_the_distance_of_equal_gaussians_is_zero() -> None:
    made = gaussian(torch.arange(5.0), torch.tensor([3.0, 1.0, 1e-6, 0.0, 7.0]), rotation(5))
    assert frechet_distance(made, made) == pytest.approx(0, abs=1e-9)


@pytest.mark.parametrize("turned", [None, rotation(4)])
def test_the_distance_where_the_covariances_commute(turned: Tensor | None) -> None:
    """Sum of (m1 - m2)^2 and of (s1 - s2)^2 along the common axes."""
    means = torch.tensor([1.0, 0.0, -2.0, 0.5]), torch.tensor([0.0, 0.0, 1.0, 0.5])
    deviations = torch.tensor([1.0, 2.0, 0.0, 3.0]), torch.tensor([2.0, 0.5, 1.0, 0.0])
    first, second = (gaussian(m, s**2, turned) for m, s in zip(means, deviations, strict=True))
    expected = float((means[0] - means[1]).square().sum())
    expected += float((deviations[0] - deviations[1]).square().sum())
    assert frechet_distance(first, second) == pytest.approx(expected)
    assert frechet_distance(second, first) == pytest.approx(expected)


def test_a_shift_of_the_mean_and_a_rotation_of_all_features() -> None:
    x = torch.randn(200, 4, generator=seeded(), dtype=torch.float64) @ torch.randn(
        4, 4, generator=seeded(1), dtype=torch.float64
    )
    shift = torch.tensor([3.0, 0.0, -4.0, 0.0])
    assert frechet_distance(moments(x), moments(x + shift)) == pytest.approx(25)
    other = torch.randn(150, 4, generator=seeded(2), dtype=torch.float64)
    turned = rotation(4, 3)
    plain = frechet_distance(moments(x), moments(other))
    assert plain > 0.1
    assert frechet_distance(moments(x @ turned), moments(other @ turned)) == pytest.approx(plain)


def test_the_root_of_covariances_that_do_not_commute() -> None:
    """Two dimensions: tr (C1 C2)^(1/2) = (tr(C1 C2) + 2 (det C1 det C2)^(1/2))^(1/2)."""
    first = gaussian(torch.zeros(2), torch.tensor([4.0, 1.0]))
    second = gaussian(torch.zeros(2), torch.tensor([9.0, 0.25]), rotation(2))
    product = first.covariance @ second.covariance
    crossed = (product.trace() + 2 * (4.0 * 2.25) ** 0.5).sqrt()
    expected = float(5.0 + 9.25 - 2 * crossed)
    assert frechet_distance(first, second) == pytest.approx(expected)


def test_moments_are_those_of_numpy() -> None:
    import numpy as np

    x = torch.randn(30, 3, generator=seeded())
    found = moments(x)
    np.testing.assert_allclose(found.mean.numpy(), x.double().numpy().mean(0))
    np.testing.assert_allclose(found.covariance.numpy(), np.cov(x.double().numpy().T))


def test_more_dimensions_than_images_give_a_number() -> None:
    few, more = torch.randn(5, 40, generator=seeded()), torch.randn(6, 40, generator=seeded(1))
    assert frechet_distance(moments(few), moments(few)) == pytest.approx(0, abs=1e-6)
    assert frechet_distance(moments(few), moments(more)) > 1


def test_features_without_a_distance() -> None:
    good = moments(torch.randn(5, 3, generator=seeded()))
    with pytest.raises(ValueError, match="2 or more"):
        moments(torch.zeros(1, 3))
    with pytest.raises(ValueError, match="not finite"):
        moments(torch.full((4, 3), math.inf))
    with pytest.raises(ValueError, match="features of 3 and 2 dimensions"):
        frechet_distance(good, moments(torch.zeros(5, 2)))
    broken = Moments(good.mean, good.covariance * math.nan)
    with pytest.raises(ValueError, match="not finite"):
        frechet_distance(good, broken)
