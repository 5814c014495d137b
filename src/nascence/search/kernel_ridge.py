"""Kernel ridge regression on architectures, with settings chosen by leave-one-out."""

import numpy as np

from nascence.search.support_vectors import Array

SCALES = (0.5, 1.0, 2.0, 4.0, 8.0)
PENALTIES = np.logspace(-4, 2, 19)
CHOSEN_ON = 500
"""Points on which scale and penalty are chosen; all of them decide the weights."""
MOST = 10_000


class KernelRidge:
    """Fits values at points as a sum of exponential kernels around them.

    ``k(x, y) = exp(-|x - y|^2 / (scale * decisions))``: of one-hot codes ``|x - y|^2`` is twice
    the number of decisions in which two architectures differ, so that the kernel is a product
    over decisions and holds interactions of any order, the weaker the higher. Scale and penalty
    are the pair of :data:`SCALES` and :data:`PENALTIES` with the least squared leave-one-out
    error, which an eigendecomposition of the kernel gives for every penalty at once.

    Args:
        points: ``(n, codes)``, at most :data:`MOST`.
        values: ``(n,)``.
        decisions: number of them.
        rng: draws the points for the choice of settings where there are more than
            :data:`CHOSEN_ON`.

    Attributes:
        scale, penalty: as chosen.
        error: mean squared leave-one-out error at that choice.

    Raises:
        ValueError: there are more points than :data:`MOST`.
    """

    def __init__(
        self, points: Array, values: Array, *, decisions: int, rng: np.random.Generator
    ) -> None:
        if len(points) > MOST:
            raise ValueError(
                f"{len(points):,} points are too many for a kernel, which takes {MOST:,}; use "
                "model='mlp'"
            )
        self._points, self._decisions = points, decisions
        self._offset = float(values.mean())
        chosen = np.arange(len(points))
        if len(points) > CHOSEN_ON:
            chosen = np.sort(rng.choice(len(points), CHOSEN_ON, replace=False))
        distances = self._distances(points[chosen])[:, chosen]
        centred = values - self._offset
        self.error, self.scale, self.penalty = min(
            (error, scale, penalty)
            for scale in SCALES
            for penalty, error in leave_one_out_errors(np.exp(-distances / scale), centred[chosen])
        )
        kernel = np.exp(-self._distances(points) / self.scale)
        kernel[np.diag_indices(len(kernel))] += self.penalty
        self._weights = np.linalg.solve(kernel, centred)

    def __call__(self, points: Array) -> Array:
        """Predict the values at points ``(n, codes)``: ``(n,)``."""
        return np.exp(-self._distances(points) / self.scale) @ self._weights + self._offset

    def _distances(self, points: Array) -> Array:
        """Squared distances over the number of decisions: (n, fitted points)."""
        squares = (points**2).sum(axis=1)[:, None] + (self._points**2).sum(axis=1)
        return (squares - 2 * points @ self._points.T).clip(0) / self._decisions


def leave_one_out_errors(kernel: Array, values: Array) -> list[tuple[float, float]]:
    """Pairs of a penalty and its mean squared leave-one-out error, by ``(n, n)`` and ``(n,)``.

    Left out, a point is missed by ``a_i / (K + penalty)^-1_ii`` with ``a`` the weights fitted on
    all (Rasmussen and Williams, Gaussian Processes for Machine Learning, eq. 5.12).
    """
    roots, vectors = np.linalg.eigh(kernel)
    projected, squares = vectors.T @ values, vectors**2
    found = []
    for penalty in PENALTIES:
        inverse = 1 / (roots.clip(0) + penalty)
        residuals = vectors @ (inverse * projected) / (squares @ inverse)
        found.append((float(penalty), float(np.mean(residuals**2))))
    return found
