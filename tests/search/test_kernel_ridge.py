"""Kernel ridge regression against its definition."""

import numpy as np
import pytest

from nascence.search.kernel_ridge import MOST, PENALTIES, SCALES, KernelRidge


def points_and_values(count: int, *, noise: float = 0.1) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    indices = rng.integers(3, size=(count, 4))
    points = np.eye(3)[indices].reshape(count, 12)
    return points, indices.sum(axis=1) + noise * rng.normal(size=count)


def fitted(points: np.ndarray, values: np.ndarray) -> KernelRidge:
    return KernelRidge(points, values, decisions=4, rng=np.random.default_rng(1))


def test_settings_have_the_least_error_of_fits_without_each_point() -> None:
    """Every pair of settings, refitted once for each point that is left out."""
    points, values = points_and_values(12)
    centred = values - values.mean()
    different = (points[:, None] != points[None]).sum(axis=2) / 2
    errors = {}
    for scale in SCALES:
        kernel = np.exp(-2 * different / (scale * 4))
        for penalty in PENALTIES:
            missed = []
            for place in range(12):
                rest = np.arange(12) != place
                inner = kernel[np.ix_(rest, rest)] + penalty * np.eye(11)
                predicted = kernel[place, rest] @ np.linalg.solve(inner, centred[rest])
                missed.append(centred[place] - predicted)
            errors[scale, penalty] = np.mean(np.square(missed))
    fit = fitted(points, values)
    assert fit.error == pytest.approx(min(errors.values()), rel=1e-6)
    assert errors[fit.scale, fit.penalty] == pytest.approx(fit.error, rel=1e-6)


def test_a_sum_over_decisions_is_recovered() -> None:
    points, values = points_and_values(400, noise=0.0)
    fit = fitted(points[:60], values[:60])
    assert np.abs(fit(points[60:]) - values[60:]).max() < 0.1


def test_settings_chosen_on_a_part_serve_all() -> None:
    points, values = points_and_values(1500)
    fit = fitted(points, values)
    indices = points.reshape(-1, 4, 3).argmax(axis=2)
    assert np.abs(fit(points) - indices.sum(axis=1)).mean() < 0.05  # half the noise and less


def test_too_many_points_are_refused() -> None:
    with pytest.raises(ValueError, match=r"10,001 points are too many .* use model='mlp'"):
        fitted(np.zeros((MOST + 1, 1)), np.zeros(MOST + 1))
