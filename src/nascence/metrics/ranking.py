"""How well one list of scores ranks as another does."""

import numpy as np
from numpy.typing import ArrayLike, NDArray


def kendall_tau(scores: ArrayLike, truth: ArrayLike) -> float:
    """Return Kendall's tau-b, from -1 to 1, in O(n log n).

    With C concordant and D discordant pairs, and n pairs less those tied in each list, it is
    (C - D) / sqrt(n_scores n_truth): Kendall, "The Treatment of Ties in Ranking Problems", 1945.
    Pairs are counted with a sort as in Knight, "A Computer Method for Calculating Kendall's Tau
    with Ungrouped Data", 1966.

    Args:
        scores: (n,) numbers, infinite ones included, n of 2 or more.
        truth: (n,) numbers to compare with.

    Returns:
        The statistic, or NaN where all values of a list are equal.

    Raises:
        ValueError: lists of different lengths, of more than one dimension, too short, with NaN.
    """
    x, y = _pair(scores, truth)
    x_rank, y_rank = _dense_ranks(x), _dense_ranks(y)
    order = np.lexsort((y_rank, x_rank))
    x_rank, y_rank = x_rank[order], y_rank[order]
    pairs = len(x) * (len(x) - 1) // 2
    x_tied, y_tied = _tied_pairs(x_rank), _tied_pairs(y_rank)
    both_tied = _tied_pairs(x_rank * len(x) + y_rank)
    difference = pairs - x_tied - y_tied + both_tied - 2 * _inversions(y_rank)
    if pairs in (x_tied, y_tied):
        return float("nan")
    tau = difference / np.sqrt(float(pairs - x_tied)) / np.sqrt(float(pairs - y_tied))
    return float(np.clip(tau, -1, 1))  # roundings of the two roots can lead past one


def spearman(scores: ArrayLike, truth: ArrayLike) -> float:
    """Return Spearman's rho: Pearson's correlation of the ranks, ties given their mean rank.

    Arguments, result and errors are those of :func:`kendall_tau`.
    """
    x, y = (_mean_ranks(values) for values in _pair(scores, truth))
    x, y = x - x.mean(), y - y.mean()
    norm = np.sqrt((x @ x) * (y @ y))
    return float(x @ y / norm) if norm > 0 else float("nan")


def top_kendall_tau(scores: ArrayLike, truth: ArrayLike, *, fraction: float) -> float:
    """Return Kendall's tau-b among the best ``fraction`` by ``truth``, in (0, 1].

    The number kept is rounded up, at least 2; what ties with the last of them is kept as well.

    Raises:
        ValueError: ``fraction`` is not in (0, 1].
    """
    if not 0 < fraction <= 1:
        raise ValueError(f"fraction is {fraction}; it must be above 0 and at most 1")
    x, y = _pair(scores, truth)
    kept = max(2, int(np.ceil(fraction * len(y))))
    best = y >= np.sort(y)[-kept]
    return kendall_tau(x[best], y[best])


def _pair(scores: ArrayLike, truth: ArrayLike) -> tuple[NDArray, NDArray]:
    x, y = np.asarray(scores, dtype=np.float64), np.asarray(truth, dtype=np.float64)
    if x.ndim != 1 or x.shape != y.shape or len(x) < 2:
        raise ValueError(
            f"the lists have the shapes {x.shape} and {y.shape}; "
            "give two of the same length, 2 or more"
        )
    if np.isnan(x).any() or np.isnan(y).any():
        raise ValueError("a list holds NaN, which has no rank; drop those entries from both")
    return x, y


def _dense_ranks(values: NDArray) -> NDArray:
    return np.unique(values, return_inverse=True)[1]


def _mean_ranks(values: NDArray) -> NDArray:
    _, inverse, counts = np.unique(values, return_inverse=True, return_counts=True)
    return (np.cumsum(counts) - (counts - 1) / 2)[inverse]


def _tied_pairs(values: NDArray) -> int:
    counts = np.unique(values, return_counts=True)[1]
    return int((counts * (counts - 1) // 2).sum())


def _inversions(values: NDArray) -> int:
    """Count the pairs i < j with values[i] > values[j] >= 0, bit by bit from the highest.

    Two values differ first in one bit: the pair is inverted if there the earlier has a one and
    the later a zero. Values that agree so far stand together, in their first order.
    """
    total = 0
    for bit in reversed(range(int(values.max()).bit_length())):
        prefix, ones = values >> (bit + 1), (values >> bit) & 1
        starts = np.flatnonzero(np.diff(prefix, prepend=-1))
        before = np.cumsum(ones) - ones
        group = np.repeat(np.arange(len(starts)), np.diff(starts, append=len(values)))
        total += int((before - before[starts][group])[ones == 0].sum())
        values = values[np.argsort(values >> bit, kind="stable")]
    return total
