"""Confusion matrices against counts made one image at a time."""

import math
from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nascence.report.confusion import class_figures, confused_pairs, downsample, row_shares

labelled = st.integers(2, 7).flatmap(
    lambda classes: st.tuples(
        st.just(classes),
        st.lists(st.tuples(st.integers(0, classes - 1), st.integers(0, classes - 1)), max_size=60),
    )
)


def matrix(classes: int, images: list[tuple[int, int]]) -> np.ndarray:
    counts = np.zeros((classes, classes), dtype=int)
    for truth, predicted in images:
        counts[truth, predicted] += 1
    return counts


@given(labelled, st.integers(1, 10))
def test_pairs_are_the_most_frequent_mistakes(
    case: tuple[int, list[tuple[int, int]]], limit: int
) -> None:
    classes, images = case
    wrong = Counter(pair for pair in images if pair[0] != pair[1])
    found = confused_pairs(matrix(classes, images), limit)
    assert [pair.images for pair in found] == [n for _, n in wrong.most_common(limit)]
    for pair in found:
        assert wrong[pair.truth, pair.predicted] == pair.images
        of_class = sum(truth == pair.truth for truth, _ in images)
        assert pair.share == pytest.approx(pair.images / of_class)


@given(labelled)
def test_recall_and_precision(case: tuple[int, list[tuple[int, int]]]) -> None:
    classes, images = case
    figures = class_figures(matrix(classes, images))
    assert sorted(row.label for row in figures) == list(range(classes))
    for row in figures:
        of_class = [p for t, p in images if t == row.label]
        named = [t for t, p in images if p == row.label]
        for value, answers in ((row.recall, of_class), (row.precision, named)):
            expected = answers.count(row.label) / len(answers) if answers else math.nan
            assert value == pytest.approx(expected, nan_ok=True)
    known = [row.recall for row in figures if not math.isnan(row.recall)]
    assert known == sorted(known)
    assert not any(math.isnan(row.recall) for row in figures[: len(known)])


@given(labelled, st.integers(1, 8))
def test_downsampling_merges_neighbouring_classes(
    case: tuple[int, list[tuple[int, int]]], block: int
) -> None:
    classes, images = case
    merged = matrix(math.ceil(classes / block), [(t // block, p // block) for t, p in images])
    np.testing.assert_array_equal(downsample(matrix(classes, images), block), merged)


def test_shares_of_an_empty_row_are_nan() -> None:
    shares = row_shares(np.array([[3, 1], [0, 0]]))
    np.testing.assert_array_equal(shares, [[0.75, 0.25], [math.nan, math.nan]])
