"""A support-vector boundary between two sets of points: the dual problem, solved directly.

Platt, "Fast Training of Support Vector Machines using Sequential Minimal Optimization", 1999, with
the working set of Fan, Chen and Lin, JMLR 2005, section 2.
"""

from collections.abc import Callable
from functools import partial
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Kernel = Literal["rbf", "poly", "linear"]


class Boundary(NamedTuple):
    """A decision function: positive on the side of the label 1.

    Attributes:
        points: the support vectors, ``(m, d)``.
        weights: label times multiplier of each, ``(m,)``.
        bias: added to the weighted sum of kernels.
        kernel: kernel of two sets of points, ``(n, d)`` and ``(m, d)`` to ``(n, m)``.
    """

    points: Array
    weights: Array
    bias: float
    kernel: Callable[[Array, Array], Array]

    def __call__(self, points: Array) -> Array:
        """Values ``(n,)`` of points ``(n, d)``, in their precision."""
        support, weights = self.points.astype(points.dtype), self.weights.astype(points.dtype)
        return self.kernel(points, support) @ weights + self.bias


def linear(x: Array, z: Array, *, gamma: float) -> Array:
    """Products ``(n, m)`` of points ``(n, d)`` and ``(m, d)``, whatever ``gamma`` is."""
    return x @ z.T


def poly(x: Array, z: Array, *, gamma: float) -> Array:
    """Third powers of ``gamma x z + 1`` of points ``(n, d)`` and ``(m, d)``, ``(n, m)``."""
    base = gamma * (x @ z.T) + 1
    return base * base * base  # as a power it would take twenty times as long


def rbf(x: Array, z: Array, *, gamma: float) -> Array:
    """``exp(-gamma |x - z|^2)`` of points ``(n, d)`` and ``(m, d)``, ``(n, m)``."""
    squares = (x * x).sum(1)[:, None] + (z * z).sum(1)[None, :] - 2 * (x @ z.T)
    return np.exp(-gamma * np.maximum(squares, 0))


KERNELS: dict[Kernel, Callable[..., Array]] = {"linear": linear, "poly": poly, "rbf": rbf}


def kernel_function(name: Kernel, dimensions: int) -> Callable[[Array, Array], Array]:
    """Return a kernel of :data:`KERNELS` with gamma = 1 / dimensions.

    It takes points ``(n, d)`` and ``(m, d)`` to ``(n, m)``.

    Raises:
        ValueError: an unknown name.
    """
    if name not in KERNELS:
        raise ValueError(f"kernel is {name!r}; use 'rbf', 'poly' or 'linear'")
    return partial(KERNELS[name], gamma=1 / dimensions)


def support_vector_boundary(
    points: Array,
    labels: Array,
    *,
    kernel: Kernel = "rbf",
    penalty: float = 1.0,
    tolerance: float = 1e-3,
    most_steps: int = 100_000,
) -> Boundary:
    """Fit the boundary with the largest margin, misses costing ``penalty`` each.

    Minimises ``a'Qa / 2 - sum(a)`` over ``0 <= a <= penalty, labels'a = 0`` with
    ``Q_ij = labels_i labels_j k(x_i, x_j)``, until no pair violates the optimality conditions by
    more than ``tolerance``, or for ``most_steps`` pairs.

    Args:
        points: ``(n, d)``.
        labels: ``(n,)`` of 1 and -1, both of them present.
        kernel: one of :data:`KERNELS`.
        penalty: penalty of a miss, above zero.
        tolerance: see above.
        most_steps: see above.

    Raises:
        ValueError: other labels, or points of another number.
    """
    if points.ndim != 2 or labels.shape != (len(points),):
        raise ValueError(f"points {points.shape} and labels {labels.shape} do not go together")
    if set(np.unique(labels)) != {-1.0, 1.0}:
        raise ValueError("the labels must be 1 and -1, both of them present")
    function = kernel_function(kernel, points.shape[1])
    gram = function(points, points)
    # v = labels * a lies between two bounds and sums to zero; a pair moves by the same step.
    least, most = np.minimum(labels * penalty, 0.0), np.maximum(labels * penalty, 0.0)
    v = np.zeros(len(points))
    level = labels.copy()  # of i: the bias with which i would lie on its margin
    cannot_rise = np.where(v < most, 0.0, -np.inf)
    cannot_fall = np.where(v > least, 0.0, np.inf)
    for _ in range(most_steps):
        up, down = int(np.argmax(level + cannot_rise)), int(np.argmin(level + cannot_fall))
        violation = level[up] - level[down]
        if violation <= tolerance:
            break
        curvature = gram[up, up] + gram[down, down] - 2 * gram[up, down]
        room_up, room_down = most[up] - v[up], v[down] - least[down]
        step = min(violation / max(curvature, 1e-12), room_up, room_down)
        # At a bound it is exactly there, or it would be chosen again for a rounding.
        v[up] = most[up] if step == room_up else v[up] + step
        v[down] = least[down] if step == room_down else v[down] - step
        for place in (up, down):
            cannot_rise[place] = 0.0 if v[place] < most[place] else -np.inf
            cannot_fall[place] = 0.0 if v[place] > least[place] else np.inf
        level -= step * (gram[up] - gram[down])
    chosen = v != 0
    return Boundary(
        points[chosen],
        v[chosen],
        float(level[up] + level[down]) / 2,
        function,
    )
