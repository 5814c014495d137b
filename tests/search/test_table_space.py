"""Spaces of tables: searched, read as published, or refused; of listed ones, near means near."""

from collections import Counter
from itertools import product

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from nascence.data import Table, accel_nasbench, nasbench_macro, nats_size
from nascence.jobs.names import cost_named
from nascence.search import (
    CrossoverEvolution,
    Evolution,
    LaMCTS,
    LaNAS,
    LimitError,
    ListedSpace,
    LocalSearch,
    RandomSearch,
    TableEvaluator,
    TableSpace,
    search,
)
from nascence.search.limits import Limit, Limits
from nascence.search.table_space import table_space
from nascence.spaces import Architecture

DECISIONS = tuple((f"d{place}", (1, 2, 3)) for place in range(4))


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def listing(*architectures: Architecture, nearest: int = 2) -> ListedSpace:
    scores = {"x/test": np.arange(len(architectures), dtype=float)}
    rows = {architecture: row for row, architecture in enumerate(architectures)}
    return ListedSpace(Table("list", DECISIONS, scores, "", rows), nearest=nearest)


LISTED = ((0, 0, 0, 0), (2, 2, 2, 2), (0, 0, 0, 1), (0, 0, 1, 1), (2, 2, 0, 1), (0, 1, 0, 0))
architectures = st.tuples(*4 * [st.integers(0, 2)])


def distance(first: Architecture, second: Architecture) -> int:
    return sum(a != b for a, b in zip(first, second, strict=True))


@settings(max_examples=50, deadline=None)
@given(st.lists(architectures, min_size=2, max_size=20, unique=True), st.integers(1, 5))
def test_neighbours_are_the_nearest_of_a_sorted_list(
    listed: list[Architecture], nearest: int
) -> None:
    space = listing(*listed, nearest=nearest)
    for architecture in listed:
        others = sorted(distance(architecture, each) for each in listed if each != architecture)
        last = others[min(nearest, len(others)) - 1]
        found = space.neighbours(architecture)
        assert set(found) == {
            each for each in listed if each != architecture and distance(architecture, each) <= last
        }
        apart = [distance(architecture, each) for each in found]
        assert apart == sorted(apart)


def test_samples_are_uniform_over_the_list() -> None:
    space, generator = listing(*LISTED), seeded()
    counts = Counter(space.sample(generator=generator) for _ in range(3000))
    assert set(counts) == set(LISTED)
    assert all(abs(count - 500) < 5 * (500 * 5 / 6) ** 0.5 for count in counts.values())


def test_mutants_are_all_neighbours_alike() -> None:
    space, generator = listing(*LISTED), seeded()
    counts = Counter(space.mutate((0, 0, 0, 0), generator=generator) for _ in range(1000))
    assert counts.keys() == {(0, 0, 0, 1), (0, 1, 0, 0)}
    assert min(counts.values()) > 400


def test_mixtures_are_the_nearest_listed_ones() -> None:
    """Every mixture of two has the same probability, and every one of those nearest to it."""
    space, generator = listing(*LISTED), seeded()
    expected: Counter[Architecture] = Counter()
    for mixture in product((0, 2), repeat=4):
        least = min(distance(mixture, each) for each in LISTED)
        near = [each for each in LISTED if distance(mixture, each) == least]
        expected.update({each: 1000 / 16 / len(near) for each in near})
    counts = Counter(
        space.crossover((0, 0, 0, 0), (2, 2, 2, 2), generator=generator) for _ in range(1000)
    )
    assert all(abs(counts[each] - expected[each]) < 5 * expected[each] ** 0.5 for each in LISTED)
    assert space.crossover((2, 2, 0, 1), (2, 2, 0, 1), generator=generator) == (2, 2, 0, 1)


def test_positions_and_lines_go_both_ways() -> None:
    space = table_space(accel_nasbench())
    assert isinstance(space, ListedSpace)
    assert space.size == len(list(space)) == 5_123
    for row, architecture in list(enumerate(space))[::500]:
        assert space.index(architecture) == row == space.table.row(architecture)
        assert space.architecture(row) == architecture
        assert space.canonical(architecture) == architecture
        assert space.parse(space.format(architecture)) == architecture
        assert space.from_json(space.to_json(architecture)) == architecture
        assert space.codes([architecture]).sum() == len(space.decisions)
    with pytest.raises(ValueError, match="index is 5123"):
        space.architecture(5123)


def test_the_greatest_weight_is_that_of_a_listed_one() -> None:
    space = listing(*LISTED)
    weights = list(torch.rand(4, 3, generator=seeded()))
    totals = {
        each: sum(float(vector[index]) for index, vector in zip(each, weights, strict=True))
        for each in LISTED
    }
    assert space.derive(weights) == max(totals, key=lambda each: totals[each])


def test_what_is_not_listed_is_refused() -> None:
    space = listing(*LISTED)
    unlisted = (1, 1, 1, 1)
    for use in (
        space.check,
        space.canonical,
        space.format,
        space.index,
        space.neighbours,
        lambda each: space.mutate(each, generator=seeded()),
        lambda each: space.crossover(each, LISTED[0], generator=seeded()),
    ):
        with pytest.raises(ValueError, match=r"list holds 6 of 81 architectures, and \(1, 1, 1"):
            use(unlisted)
    with pytest.raises(ValueError, match="holds 6 of 81"):
        space.parse("2:2:2:2")
    with pytest.raises(ValueError, match="has index 3"):
        space.index((3, 0, 0, 0))


def test_tables_get_the_space_that_suits_them() -> None:
    assert type(table_space(nasbench_macro())) is TableSpace
    with pytest.raises(ValueError, match="holds its whole space; use TableSpace"):
        ListedSpace(nasbench_macro())
    with pytest.raises(ValueError, match="lists 1 architectures; searching needs at least 2"):
        listing((0, 0, 0, 0))
    with pytest.raises(ValueError, match="nearest is 0"):
        listing(*LISTED, nearest=0)
    assert listing(*LISTED).description != listing(*LISTED, nearest=3).description


@pytest.mark.parametrize(
    "kind", [RandomSearch, Evolution, CrossoverEvolution, LocalSearch, LaNAS, LaMCTS]
)
def test_strategies_search_it_under_a_limit(kind: type) -> None:
    table = accel_nasbench()
    space = table_space(table)
    latency = cost_named("latency/zcu102", space, table)
    strategy = kind(
        space, generator=seeded(), allowed=Limits(Limit("latency/zcu102", latency, 4.0))
    )
    history = search(strategy, TableEvaluator(space, table), trials=60)
    found = [candidate.architecture for candidate in history.candidates]
    assert len(set(found)) == 60
    assert all(latency(architecture) <= 4 for architecture in found)


@pytest.mark.parametrize(
    ("table", "cost"), [(accel_nasbench(), "latency/zcu102"), (nasbench_macro(), "macs")]
)
def test_a_limit_that_no_network_meets_is_a_line(table: Table, cost: str) -> None:
    space = table_space(table)
    least = table.column("flops" if cost == "macs" else cost).min()
    allowed = Limits(Limit(cost, cost_named(cost, space, table), 0.99 * least))
    strategy = Evolution(space, generator=seeded(), allowed=allowed)
    with pytest.raises(LimitError, match=f"no architecture keeps to {cost} <= .* smallest had"):
        strategy.ask()


def test_a_table_can_be_searched() -> None:
    table = nasbench_macro()
    space = TableSpace(table)
    evaluate = TableEvaluator(space, table)
    strategy = Evolution(space, generator=seeded())
    history = search(strategy, evaluate, trials=150)
    assert history.best.score > 92.5
    text = space.format(history.best.architecture)
    assert space.parse(text) == history.best.architecture


def test_architectures_are_read_as_published() -> None:
    space = TableSpace(nats_size())
    assert space.parse("8:64:16:8:32") == (0, 7, 1, 0, 3)
    with pytest.raises(ValueError, match="it has 4 choices, and this space has 5"):
        space.parse("8:64:16:8")
    with pytest.raises(ValueError, match=r"width_4 is '9'; use one of 8, 16"):
        space.parse("8:64:16:8:9")
    with pytest.raises(ValueError, match="cannot be built"):
        space.build((0,) * 5)


def test_a_table_of_a_part_is_no_space() -> None:
    table = Table(
        "part", (("a", (1, 2)),), {"x/test": torch.ones(1).double().numpy()}, "", {(0,): 0}
    )
    with pytest.raises(ValueError, match=r"holds a part of its space only.*use ListedSpace"):
        TableSpace(table)
