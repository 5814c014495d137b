"""The boundary: optimality conditions of the dual, and a case with a known answer."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nascence.search.support_vectors import kernel_function, support_vector_boundary


def test_two_points_have_the_plane_between_them() -> None:
    """Hard margin: weights 2 / |difference|^2, value 1 and -1 at the points."""
    points = np.array([[0.0, 0.0], [4.0, 0.0]])
    boundary = support_vector_boundary(
        points, np.array([-1.0, 1.0]), kernel="linear", penalty=100.0
    )
    assert boundary(points) == pytest.approx([-1, 1])
    assert boundary(np.array([[2.0, 7.0]])) == pytest.approx([0])
    assert np.abs(boundary.weights) == pytest.approx([2 / 16, 2 / 16])


@settings(max_examples=40, deadline=None)
@given(
    st.integers(0, 10**6),
    st.integers(4, 40),
    st.sampled_from(["rbf", "poly", "linear"]),
    st.sampled_from([0.1, 1.0, 10.0]),
)
def test_optimality_conditions_hold(seed: int, count: int, kernel: str, penalty: float) -> None:
    """Karush, Kuhn and Tucker: free vectors on the margin, others on their side of it."""
    rng = np.random.default_rng(seed)
    points = rng.normal(size=(count, 3))
    labels = np.where(rng.random(count) < 0.5, 1.0, -1.0)
    labels[:2] = 1.0, -1.0
    boundary = support_vector_boundary(points, labels, kernel=kernel, penalty=penalty)  # type: ignore[arg-type]
    assert boundary.weights.sum() == pytest.approx(0, abs=1e-9)
    assert (np.abs(boundary.weights) <= penalty + 1e-12).all()
    multipliers = np.zeros(count)
    for point, weight in zip(boundary.points, boundary.weights, strict=True):
        multipliers[np.flatnonzero((points == point).all(axis=1))[0]] = abs(weight)
    margins = labels * boundary(points)
    slack = 2e-3
    free = (multipliers > 1e-9) & (multipliers < penalty - 1e-9)
    assert margins[free] == pytest.approx(1, abs=slack)
    assert (margins[multipliers <= 1e-9] >= 1 - slack).all()
    assert (margins[multipliers >= penalty - 1e-9] <= 1 + slack).all()


def test_kernels_are_what_they_are_called() -> None:
    x, z = np.random.default_rng(0).normal(size=(2, 5, 4))
    for i in range(5):
        for j in range(5):
            distance = ((x[i] - z[j]) ** 2).sum()
            assert kernel_function("rbf", 4)(x, z)[i, j] == pytest.approx(np.exp(-distance / 4))
            inner = (x[i] @ z[j]) / 4 + 1
            assert kernel_function("poly", 4)(x, z)[i, j] == pytest.approx(inner**3)
    with pytest.raises(ValueError, match="kernel is 'cubic'"):
        kernel_function("cubic", 2)  # type: ignore[arg-type]


def test_circles_are_told_apart_and_float32_stays() -> None:
    rng = np.random.default_rng(1)
    points = rng.normal(size=(200, 2))
    labels = np.where((points**2).sum(1) < 1, 1.0, -1.0)
    boundary = support_vector_boundary(points, labels, penalty=10.0)
    assert ((boundary(points) > 0) == (labels > 0)).mean() > 0.95
    assert boundary(points.astype(np.float32)).dtype == np.float32


@pytest.mark.parametrize("labels", [[1.0, 1.0], [1.0, 0.0], [1.0]])
def test_other_labels_are_refused(labels: list[float]) -> None:
    with pytest.raises(ValueError, match="labels"):
        support_vector_boundary(np.zeros((2, 1)), np.array(labels))
