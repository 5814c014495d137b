"""The DARTS space against published networks, its own ones, and its definition."""

from collections import Counter
from itertools import combinations, islice, permutations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from nascence.graph import count_macs, count_parameters
from nascence.search import Limit, Limits, RandomSearch
from nascence.spaces import GENOTYPES, Architecture, Darts, SearchSpace
from nascence.spaces.darts_genotype import NODES, OPERATIONS, genotype
from nascence.spaces.darts_network import EDGES

PUBLISHED = Darts()
IMAGENET = Darts(classes=1000, width=48, cells=14, stem="imagenet")
SMALL = Darts(width=4, cells=4, classes=7, in_channels=1)
architectures = st.integers(0, 2**31).map(
    lambda seed: PUBLISHED.sample(generator=torch.Generator().manual_seed(seed))
)


@pytest.mark.parametrize(
    ("space", "name", "parameters"),
    [
        # printed by the authors' code, which does not count the auxiliary head
        (PUBLISHED, "DARTS_V2", 3_349_342),
        (IMAGENET, "DARTS_V2", 4_718_752),
        # of the tables of the papers, in millions
        (PUBLISHED, "PC_DARTS_CIFAR", 3.6),
        (IMAGENET, "PC_DARTS_CIFAR", 5.3),
        (IMAGENET, "PC_DARTS_IMAGENET", 5.3),
    ],
)
def test_parameters_of_published_networks(space: Darts, name: str, parameters: float) -> None:
    counted = space.parameters(space.from_genotype(GENOTYPES[name]))
    assert (counted if parameters > 100 else round(counted / 1e6, 1)) == parameters


def test_macs_of_a_published_network() -> None:
    """RLNAS, table 3: 629 MFLOPs of what was searched on CIFAR-10, built for ImageNet."""
    architecture = IMAGENET.from_genotype(GENOTYPES["RLDARTS_CIFAR"])
    assert IMAGENET.macs(architecture) == pytest.approx(629e6, rel=0.002)


def test_size_is_the_published_one() -> None:
    """Section 3.1.1 of the paper: 1.04e9 cells, counted without isomorphism."""
    assert isinstance(PUBLISHED, SearchSpace)
    assert PUBLISHED.size == (180 * 7**8) ** 2
    assert PUBLISHED.size == pytest.approx(1.04e9**2, rel=0.01)
    assert len(PUBLISHED.decisions) == 28
    assert all(decision.choices == OPERATIONS for decision in PUBLISHED.decisions)


@pytest.mark.parametrize(
    ("setting", "side"),
    [
        ({}, 16),
        ({"pool_norm": True, "drop_path": 0.2}, 12),
        ({"auxiliary": True}, 32),
        ({"stem": "imagenet", "cells": 3}, 64),
        ({"stem": "imagenet", "auxiliary": True}, 32),
    ],
)
def test_costs_are_those_of_the_built_network(
    setting: dict, side: int, generator: torch.Generator
) -> None:
    space = Darts(**{"width": 4, "cells": 4, "classes": 7, "in_channels": 1, **setting})
    for _ in range(3):
        architecture = space.sample(generator=generator)
        model = space.build(architecture)
        macs = count_macs(model, torch.zeros(1, 1, side, side))
        assert space.cost(architecture, side=side) == (count_parameters(model), macs)


def test_networks_give_classes(generator: torch.Generator) -> None:
    model = SMALL.build(SMALL.sample(generator=generator))
    assert model(torch.randn(2, 1, 16, 16, generator=generator)).shape == (2, 7)


@given(index=st.integers(0, PUBLISHED.size - 1))
def test_index_round_trips(index: int) -> None:
    architecture = PUBLISHED.architecture(index)
    assert PUBLISHED.index(PUBLISHED.check(architecture)) == index


def test_iteration_is_in_the_order_of_the_index() -> None:
    first = list(islice(PUBLISHED, 200))
    assert [PUBLISHED.index(architecture) for architecture in first] == list(range(200))
    with pytest.raises(ValueError, match=f"from 0 to {PUBLISHED.size - 1}"):
        PUBLISHED.architecture(PUBLISHED.size)


@given(architecture=architectures)
def test_genotypes_strings_and_json_round_trip(architecture: Architecture) -> None:
    assert PUBLISHED.from_genotype(PUBLISHED.genotype(architecture)) == architecture
    assert PUBLISHED.parse(PUBLISHED.format(architecture)) == architecture
    assert PUBLISHED.from_json(PUBLISHED.to_json(architecture)) == architecture
    code = torch.from_numpy(PUBLISHED.codes([architecture])).view(28, 8)
    assert tuple(code.argmax(1).tolist()) == architecture


def test_samples_are_uniform(generator: torch.Generator) -> None:
    drawn = [PUBLISHED.sample(generator=generator) for _ in range(3000)]
    start = 14 + EDGES.index((0, 4))
    pairs = Counter(
        tuple(source for source in range(4) if architecture[start + source])
        for architecture in drawn
    )
    assert set(pairs) == set(combinations(range(4), 2))
    # 500 expected of each, five standard deviations are 102
    assert all(abs(count - 500) < 102 for count in pairs.values())
    operations = Counter(architecture[0] for architecture in drawn)
    assert set(operations) == set(range(1, 8))
    assert all(abs(count - 3000 / 7) < 96 for count in operations.values())


@settings(max_examples=25)
@given(architecture=architectures, seed=st.integers(0, 99))
def test_neighbours_are_one_edge_away(architecture: Architecture, seed: int) -> None:
    neighbours = PUBLISHED.neighbours(architecture)
    assert len(set(neighbours)) == len(neighbours) == 120
    edges = set(zip(PUBLISHED.decisions, architecture, strict=True))
    for neighbour in neighbours:
        assert PUBLISHED.check(neighbour) == neighbour
        others = set(zip(PUBLISHED.decisions, neighbour, strict=True))
        assert len({edge for edge in others - edges if edge[1]}) == 1
    mutant = PUBLISHED.mutate(architecture, generator=torch.Generator().manual_seed(seed))
    assert mutant in neighbours


@given(first=architectures, second=architectures, seed=st.integers(0, 99))
def test_children_have_the_nodes_of_their_parents(
    first: Architecture, second: Architecture, seed: int
) -> None:
    generator = torch.Generator().manual_seed(seed)
    child = PUBLISHED.crossover(first, second, generator=generator)
    parents, own = [PUBLISHED.genotype(a) for a in (first, second)], PUBLISHED.genotype(child)
    for kind in ("normal", "reduce"):
        for place in range(0, 8, 2):
            node = slice(place, place + 2)
            assert getattr(own, kind)[node] in [getattr(p, kind)[node] for p in parents]


def renumbered(cell: tuple, order: tuple[int, ...]) -> tuple | None:
    """The cell's edges with its nodes numbered otherwise; None where an edge would lead down."""
    number = {0: 0, 1: 1, **dict(zip(NODES, order, strict=True))}
    edges: dict[int, list] = {node: [] for node in NODES}
    for place, (operation, source) in enumerate(cell):
        node = NODES[place // 2]
        if number[source] >= number[node]:
            return None
        edges[number[node]].append((operation, number[source]))
    return tuple(edge for node in NODES for edge in edges[node])


@settings(max_examples=25)
@given(architecture=architectures)
def test_canonical_form_is_the_same_for_every_numbering(architecture: Architecture) -> None:
    canonical = PUBLISHED.canonical(architecture)
    assert PUBLISHED.cost(canonical) == PUBLISHED.cost(architecture)
    cells = PUBLISHED.genotype(architecture)
    for order in permutations(NODES):
        normal = renumbered(cells.normal, order) or cells.normal
        reduce = renumbered(cells.reduce, order) or cells.reduce
        other = PUBLISHED.from_genotype(genotype(normal, reduce))
        assert PUBLISHED.canonical(other) == canonical


def test_renumbered_cells_compute_the_same() -> None:
    """Nodes 2 and 3 of this cell read its inputs only, so they may change places."""
    normal = GENOTYPES["DARTS_V2"].normal
    other = renumbered(normal, (3, 2, 4, 5))
    assert other is not None
    assert other != normal
    reduce = GENOTYPES["DARTS_V2"].reduce
    first, second = (
        SMALL.build(SMALL.from_genotype(genotype(cell, reduce))).cells[0].eval()
        for cell in (normal, other)
    )
    second.first, second.second = first.first, first.second
    number = {0: 0, 1: 1, 2: 3, 3: 2, 4: 4, 5: 5}
    for name, edge in first.edges.items():
        source, node = map(int, name.split("_"))
        second.edges[f"{number[source]}_{number[node]}"] = edge
    x = torch.randn(2, 12, 8, 8)
    two, three, four, five = first(x, x).chunk(4, dim=1)
    torch.testing.assert_close(second(x, x), torch.cat((three, two, four, five), dim=1))


@given(architecture=architectures, seed=st.integers(0, 99))
def test_weights_that_favour_a_genotype_give_it(architecture: Architecture, seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    weights = 0.5 * torch.rand(28, 8, generator=generator)
    for row, index in zip(weights, architecture, strict=True):
        row[index] += 1
        row[0] += 5  # none is stronger everywhere and does not count
    assert PUBLISHED.derive(list(weights)) == architecture


def test_derivation_keeps_two_edges_of_each_node() -> None:
    """Node 3 of the normal cell by hand: strengths .3, .5, .4 of its inputs 0, 1, 2."""
    weights = torch.full((28, 8), 0.01)
    weights[2, 4], weights[3, 6], weights[4, 1] = 0.3, 0.5, 0.4
    weights[2, 0] = 0.9
    derived = PUBLISHED.genotype(PUBLISHED.derive(list(weights)))
    assert derived.normal[2:4] == (("dil_conv_3x3", 1), ("max_pool_3x3", 2))
    with pytest.raises(ValueError, match="got 27 weight vectors"):
        PUBLISHED.derive(list(weights[1:]))


def test_illegal_combinations_are_named(generator: torch.Generator) -> None:
    good = PUBLISHED.sample(generator=generator)
    with pytest.raises(ValueError, match="1 edges into node 2 of the normal cell"):
        PUBLISHED.check((0, *good[1:]))
    with pytest.raises(ValueError, match="5 edges into node 5 of the reduce cell"):
        PUBLISHED.build((*good[:-5], 1, 1, 1, 1, 1))
    with pytest.raises(ValueError, match="use one of none, max_pool_3x3"):
        PUBLISHED.from_json(PUBLISHED.to_json(good).replace(OPERATIONS[good[0]], "conv"))


def test_limits_are_obeyed() -> None:
    limits = Limits(Limit("macs", SMALL.macs, 2.5e6), Limit("parameters", SMALL.parameters, 15e3))
    strategy = RandomSearch(SMALL, generator=torch.Generator().manual_seed(0), allowed=limits)
    for _ in range(20):
        architecture = strategy.ask()
        strategy.tell(architecture, 0.0)
        assert SMALL.macs(architecture) <= 2.5e6
        assert SMALL.parameters(architecture) <= 15e3


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ({"classes": 0}, "classes is 0"),
        ({"width": 7}, "width is 7; it must be even"),
        ({"cells": 2}, "cells is 2; at least 3"),
        ({"stem": "mnist"}, "stem is 'mnist'; use one of 'cifar', 'imagenet'"),
        ({"drop_path": 1}, "drop_path is 1"),
    ],
)
def test_impossible_settings_are_refused(setting: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Darts(**setting)


@pytest.mark.parametrize(("space", "side"), [(PUBLISHED, 30), (PUBLISHED, 0), (IMAGENET, 48)])
def test_sides_that_the_network_cannot_take_are_refused(space: Darts, side: int) -> None:
    with pytest.raises(ValueError, match=f"side is {side}; these networks need"):
        space.macs(space.from_genotype(GENOTYPES["DARTS_V1"]), side=side)
