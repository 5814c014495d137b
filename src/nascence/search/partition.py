"""A tree that divides a space by the scores seen, and which of its regions to sample from next."""

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nascence.search.support_vectors import (
    Array,
    Boundary,
    Kernel,
    support_vector_boundary,
)

Side = Callable[[Array], NDArray[np.bool_]]
"""Tells which of (n, d) points lie on the good side, (n,)."""
Divide = Callable[[Array, Array, np.random.Generator], "Side | None"]
"""Finds a side from points (n, d) and scores (n,), or None where there is none to find."""


@dataclass
class Region:
    """A node: all points that lie on its side of every boundary above it.

    Attributes:
        number: number of the leaf, from 0; -1 for a node with children.
        visits: scored points in it.
        total: sum of their scores.
        side: side of its boundary, where it has one; then ``good`` and ``bad`` are its children.
        closed: nothing is left in it to propose.
        places: places of the architectures of a listed space that lie in it, once they are known.
    """

    number: int
    visits: int
    total: float
    side: Side | None = None
    good: "Region | None" = None
    bad: "Region | None" = None
    closed: bool = False
    places: NDArray[np.intp] | None = None

    def children(self) -> tuple["Region", ...]:
        """The two parts; a leaf has none."""
        return () if self.good is None or self.bad is None else (self.good, self.bad)


def grow(
    points: Array,
    scores: Array,
    divide: Divide,
    *,
    height: int,
    leaf_size: int,
    generator: np.random.Generator,
) -> Region:
    """Divide the space until a region is ``height`` deep or has at most ``leaf_size`` points.

    Where ``divide`` finds nothing, or puts all points on one side, the region stays whole.

    Args:
        points: (n, d), those that have scores.
        scores: (n,), higher is better.
        divide: finds the side of each region.
        height: levels of the tree, 1 for the whole alone.
        leaf_size: most points of a region that is not divided.
        generator: passed on to ``divide``.
    """
    count = 0

    def grown(members: NDArray[np.intp], depth: int) -> Region:
        nonlocal count
        total = float(scores[members].sum())
        if depth < height and len(members) > leaf_size:
            side = divide(points[members], scores[members], generator)
            good = side(points[members]) if side is not None else np.zeros(len(members), bool)
            if good.any() and not good.all():
                region = Region(-1, len(members), total, side)
                region.good = grown(members[good], depth + 1)
                region.bad = grown(members[~good], depth + 1)
                return region
        count += 1
        return Region(count - 1, len(members), total)

    return grown(np.arange(len(points)), 1)


def leaf_numbers(tree: Region, points: Array) -> NDArray[np.intp]:
    """Number of the leaf that each of the points ``(n, d)`` lies in, ``(n,)``."""
    numbers = np.empty(len(points), dtype=np.intp)

    def fill(region: Region, members: NDArray[np.intp]) -> None:
        if region.side is None or region.good is None or region.bad is None:
            numbers[members] = region.number
        elif len(members):
            good = region.side(points[members])
            fill(region.good, members[good])
            fill(region.bad, members[~good])

    fill(tree, np.arange(len(points)))
    return numbers


def add_score(tree: Region, point: Array, score: float) -> None:
    """Count one more scored point ``(d,)`` in every region that it lies in."""
    region: Region | None = tree
    while region is not None:
        region.visits += 1
        region.total += score
        if region.side is None:
            return
        region = region.good if region.side(point[None])[0] else region.bad


def select_leaf(
    tree: Region,
    *,
    exploration: float,
    low: float,
    high: float,
    is_open: Callable[[Region, Region], bool],
) -> Region | None:
    """Go down by the upper confidence bound to a leaf, only through open regions.

    A child's bound is its mean score, scaled so that ``low`` to ``high`` is 0 to 1, plus
    ``2 exploration sqrt(2 ln n_parent / n)``: Wang, Xie, Li, Fonseca and Tian (LaNAS), TPAMI 2021,
    eq. 5. ``is_open(parent, child)`` tells whether a child has something left to propose.
    Returns None, having closed the way to it, where a region has no open child.
    """
    scale = max(high - low, 1e-12)
    region = tree
    while children := region.children():
        visits = region.visits

        def bound(child: Region, visits: int = visits) -> float:
            if not child.visits:
                return math.inf
            mean = (child.total / child.visits - low) / scale
            return mean + 2 * exploration * math.sqrt(2 * math.log(visits) / child.visits)

        open_children = [child for child in children if is_open(region, child)]
        if not open_children:
            region.closed = True
            return None
        region = max(open_children, key=bound)
    return region


@dataclass(frozen=True)
class _Line:
    """Good is where a linear function of the points is not negative."""

    centre: Array
    weights: Array

    def __call__(self, points: Array) -> NDArray[np.bool_]:
        return (points - self.centre) @ self.weights >= 0


@dataclass(frozen=True)
class _Curve:
    """Good is the positive side of a support-vector boundary, in float32 for float32 points."""

    boundary: Boundary
    centre: NDArray[np.float32]
    scale: np.float32

    def __call__(self, points: Array) -> NDArray[np.bool_]:
        return self.boundary((points - self.centre) / self.scale) > 0


def divide_by_line(points: Array, scores: Array, generator: np.random.Generator) -> Side | None:
    """Fit scores ``(n,)`` of points ``(n, d)`` by least squares; good is at or above their mean.

    Wang et al. (LaNAS), TPAMI 2021, section 3. The fit is solved, with a ridge of 1e-6 for codes
    that are not independent, not approached by gradient descent.
    """
    mean, centre = scores.mean(), points.mean(axis=0)
    x = points - centre
    weights = np.linalg.solve(x.T @ x + 1e-6 * np.eye(x.shape[1]), x.T @ (scores - mean))
    if not np.isfinite(weights).all() or np.ptp(x @ weights) < 1e-9:
        return None
    return _Line(centre, weights)


def divide_by_clusters(
    points: Array,
    scores: Array,
    generator: np.random.Generator,
    *,
    kernel: Kernel,
    penalty: float = 1.0,
) -> Side | None:
    """Divide points ``(n, d)`` with scores ``(n,)`` by two clusters and a support-vector boundary.

    Wang, Fonseca and Tian (LA-MCTS), NeurIPS 2020, section 3.1. The cluster of the higher mean is
    good. Points are scaled to a mean variance of one, and scores to that of all coordinates, so
    that both weigh the same in the clusters; the boundary knows the points alone.
    """
    centre, scale = points.mean(axis=0), math.sqrt(points.var(axis=0).mean())
    deviation = scores.std()
    if not deviation > 0 or not scale > 0:
        return None
    x = (points - centre) / scale
    height = math.sqrt(points.shape[1]) * (scores - scores.mean()) / deviation
    first = two_clusters(np.column_stack([x, height]), generator)
    if first.all() or not first.any():
        return None
    good = first if scores[first].mean() > scores[~first].mean() else ~first
    labels = np.where(good, 1.0, -1.0)
    boundary = support_vector_boundary(
        x, labels, kernel=kernel, penalty=penalty, tolerance=1e-2, most_steps=500
    )
    return _Curve(boundary, centre.astype(np.float32), np.float32(scale))


def two_clusters(
    points: Array, generator: np.random.Generator, *, most_rounds: int = 50
) -> NDArray[np.bool_]:
    """Tell which of the points ``(n, d)`` belong to the first of two clusters, ``(n,)``.

    Lloyd's algorithm from two points, the second drawn by its squared distance from the first
    (Arthur and Vassilvitskii, 2007).
    """
    first = points[generator.integers(len(points))]
    squares = ((points - first) ** 2).sum(axis=1)
    if not squares.sum() > 0:
        return np.ones(len(points), dtype=bool)
    second = points[generator.choice(len(points), p=squares / squares.sum())]
    members = np.zeros(len(points), dtype=bool)
    for _ in range(most_rounds):
        nearer = points @ (first - second) >= (first @ first - second @ second) / 2
        if (nearer == members).all() or nearer.all() or not nearer.any():
            return nearer
        members = nearer
        first, second = points[members].mean(axis=0), points[~members].mean(axis=0)
    return members
