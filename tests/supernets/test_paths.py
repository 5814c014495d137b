"""Samplers of paths: what they draw, and how often."""

import pickle
from collections import Counter

import pytest
import torch

from nascence.spaces import NB201, SmallSpace
from nascence.supernets import binned_paths, cost_edges, fair_paths, uniform_paths

SPACE = SmallSpace(width=4)
CHOICES = ((0, 5), (3,), (1, 2, 4), (2, 3, 4, 5))


def test_uniform_paths_are_uniform_over_what_is_held(generator: torch.Generator) -> None:
    counts: Counter = Counter()
    for _ in range(2400):
        counts.update(uniform_paths(SPACE, CHOICES, generator=generator))
    assert len(counts) == 2 * 3 * 4
    # 100 expected of each; five standard deviations are 49.
    assert all(abs(count - 100) < 50 for count in counts.values())


def test_a_fair_round_takes_every_choice_once(generator: torch.Generator) -> None:
    space = NB201(width=4, cells=1)
    rounds = {
        tuple(fair_paths(space, (tuple(range(5)),) * 6, generator=generator)) for _ in range(20)
    }
    assert len(rounds) == 20
    for paths in rounds:
        assert len(paths) == 5
        for column in zip(*paths, strict=True):
            assert sorted(column) == [0, 1, 2, 3, 4]


def test_a_fair_round_with_fewer_choices_repeats_them_evenly(generator: torch.Generator) -> None:
    paths = fair_paths(SPACE, CHOICES, generator=generator)
    assert len(paths) == 4
    counts = [Counter(column) for column in zip(*paths, strict=True)]
    assert counts[0] == {0: 2, 5: 2}
    assert counts[1] == {3: 4}
    assert sorted(counts[2].values()) == [1, 1, 2]
    assert sorted(counts[3]) == [2, 3, 4, 5]


def test_binned_paths_take_every_range_of_costs_equally_often(generator: torch.Generator) -> None:
    edges = cost_edges(SPACE, SPACE.macs, bins=4, generator=generator)
    sampler = pickle.loads(pickle.dumps(binned_paths(SPACE.macs, edges)))  # as workers get it
    choices = (tuple(range(6)),) * 4
    counts = [0] * 4
    for _ in range(400):
        (path,) = sampler(SPACE, choices, generator=generator)
        cost = SPACE.macs(path)
        counts[next(i for i in range(4) if edges[i] <= cost <= edges[i + 1])] += 1
    # 100 expected of each; five standard deviations are 43. By chance alone the last has 3 %.
    assert all(abs(count - 100) < 44 for count in counts), counts


class Constrained(SmallSpace):
    """Allows the architectures with exactly one ``none``."""

    def sample(self, *, generator: torch.Generator) -> tuple[int, ...]:
        path = [1 + int(torch.randint(5, (), generator=generator)) for _ in range(4)]
        path[int(torch.randint(4, (), generator=generator))] = 0
        return tuple(path)

    def canonical(self, architecture: tuple[int, ...]) -> tuple[int, ...]:
        if architecture.count(0) != 1:
            raise ValueError(f"{architecture} has not one none")
        return super().canonical(architecture)


def test_constraints_of_a_space_hold_on_its_paths(generator: torch.Generator) -> None:
    space, choices = Constrained(width=4), (tuple(range(6)),) * 4
    for _ in range(20):
        (path,) = uniform_paths(space, choices, generator=generator)
        assert path.count(0) == 1
    with pytest.raises(ValueError, match="not every choice goes with every other"):
        fair_paths(space, choices, generator=generator)


def test_impossible_bins_are_refused(generator: torch.Generator) -> None:
    for edges in ([1.0], [2.0, 1.0]):
        with pytest.raises(ValueError, match="edges are"):
            binned_paths(SPACE.macs, edges)
    with pytest.raises(ValueError, match="bins is 0"):
        cost_edges(SPACE, SPACE.macs, bins=0, generator=generator)
    with pytest.raises(ValueError, match="no architecture with a cost from"):
        binned_paths(SPACE.macs, [-2.0, -1.0])(SPACE, CHOICES, generator=generator)
