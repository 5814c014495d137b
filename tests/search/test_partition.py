"""Regions: they cover the space, hold what they count, and are chosen by the printed bound."""

import math
from functools import partial

import numpy as np
import pytest

from nascence.search.partition import (
    Region,
    add_score,
    divide_by_clusters,
    divide_by_line,
    grow,
    leaf_numbers,
    select_leaf,
    two_clusters,
)

RNG = np.random.default_rng(0)
POINTS = RNG.random((120, 5))
SCORES = POINTS @ np.array([3.0, -1.0, 0.0, 2.0, 0.5])


def tree(divide=divide_by_line, **settings) -> Region:
    settings = {"height": 5, "leaf_size": 1, **settings}
    return grow(POINTS, SCORES, divide, generator=np.random.default_rng(1), **settings)


def leaves(region: Region) -> list[Region]:
    return [region] if not region.children() else [
        leaf for child in region.children() for leaf in leaves(child)
    ]  # fmt: skip


@pytest.mark.parametrize("divide", [divide_by_line, partial(divide_by_clusters, kernel="rbf"),
                                    partial(divide_by_clusters, kernel="poly")])  # fmt: skip
def test_every_point_is_in_one_leaf_that_counts_it(divide) -> None:
    grown = tree(divide, height=10, leaf_size=10)
    numbers = leaf_numbers(grown, POINTS)
    found = leaves(grown)
    assert len(found) > 4
    assert [leaf.number for leaf in found] == list(range(len(found)))
    for leaf in found:
        inside = numbers == leaf.number
        assert leaf.visits == inside.sum()
        assert leaf.total == pytest.approx(SCORES[inside].sum())


def test_lanas_has_sixteen_regions_in_the_order_of_a_linear_score() -> None:
    """With scores linear in the points, every split is at the mean score of its region."""
    grown = tree()
    assert len(leaves(grown)) == 16
    good, _ = grown.children()
    numbers = leaf_numbers(grown, POINTS)
    good_leaves = {leaf.number for leaf in leaves(good)}
    inside = np.isin(numbers, list(good_leaves))
    assert (inside == (SCORES.mean() <= SCORES)).all()
    means = [leaf.total / leaf.visits for leaf in leaves(grown)]
    assert means == sorted(means, reverse=True)


def test_a_constant_score_is_not_divided() -> None:
    for divide in (divide_by_line, partial(divide_by_clusters, kernel="rbf")):
        grown = grow(POINTS, np.ones(120), divide, height=5, leaf_size=1,
                     generator=np.random.default_rng(0))  # fmt: skip
        assert not grown.children()
        assert grown.visits == 120


def test_a_new_score_counts_on_its_path() -> None:
    grown = tree()
    before = [leaf.visits for leaf in leaves(grown)]
    add_score(grown, POINTS[3], 7.0)
    number = leaf_numbers(grown, POINTS[3:4])[0]
    after = [leaf.visits for leaf in leaves(grown)]
    assert grown.visits == 121
    assert [b - a for a, b in zip(before, after, strict=True)] == [
        int(place == number) for place in range(16)
    ]


def test_the_bound_is_the_printed_one() -> None:
    """Two leaves, mean scores 0.6 and 0.5 of the range, 30 and 10 visits."""
    root = Region(-1, 40, 0.0, side=lambda points: points[:, 0] > 0)
    root.good, root.bad = Region(0, 30, 30 * 0.6), Region(1, 10, 10 * 0.5)
    for exploration in (0.0, 0.05, 0.2, 1.0):
        bounds = [
            mean + 2 * exploration * math.sqrt(2 * math.log(40) / visits)
            for mean, visits in ((0.6, 30), (0.5, 10))
        ]
        leaf = select_leaf(
            root, exploration=exploration, low=0.0, high=1.0, is_open=lambda parent, child: True
        )
        assert leaf is not None
        assert leaf.number == int(np.argmax(bounds))


def test_closed_regions_are_not_chosen() -> None:
    grown = tree()
    closed: set[int] = set()
    for _ in range(200):
        if grown.closed:
            break
        leaf = select_leaf(grown, exploration=0.1, low=0, high=5,
                           is_open=lambda parent, child: not child.closed)  # fmt: skip
        if leaf is not None:
            assert leaf.number not in closed
            closed.add(leaf.number)
            leaf.closed = True
    assert grown.closed
    assert closed == set(range(16))


def test_two_clusters_are_found() -> None:
    points = np.concatenate([RNG.normal(size=(30, 2)), RNG.normal(size=(20, 2)) + 20])
    members = two_clusters(points, np.random.default_rng(0))
    assert len(set(members[:30])) == len(set(members[30:])) == 1
    assert members[0] != members[-1]
    assert two_clusters(np.ones((4, 2)), np.random.default_rng(0)).all()
