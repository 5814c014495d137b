"""What every search space must do: checks that take one and raise ``AssertionError`` if it fails.

A test of a space of your own calls :func:`check_space`, which runs all of them::

    def test_my_space() -> None:
        check_space(MySpace())

What a space can do it tells by the small protocols of :mod:`nascence.spaces`; the checks of one
that it does not keep pass by it.
"""

from collections.abc import Callable
from itertools import islice
from typing import Any

import numpy as np
import torch
from torch import Tensor

from nascence.spaces import (
    Coded,
    Costed,
    Crossable,
    Derivable,
    Listable,
    Readable,
    SearchSpace,
    Sharable,
)
from nascence.testing.evidence import refuses, samples, seeded, sent
from nascence.testing.networks import (
    check_build,
    check_cells,
    check_costs,
    check_network,
    check_restriction,
)

GARBAGE = ("", "nothing", "-1", "0" * 5000, "{}", "[" * 10_000, "null", '{"a": 1}', "\x00", "∞ 9 9")
_SMALL = 2_000


def check_decisions(space: SearchSpace) -> None:
    """Check that decisions have names and choices of their own, and the space one line."""
    assert isinstance(space, SearchSpace), "it lacks a method of SearchSpace"
    names = [name for name, _ in space.decisions]
    assert names, "it has no decision"
    assert len(set(names)) == len(names), "two decisions have the same name"
    for name, choices in space.decisions:
        assert len({str(choice) for choice in choices}) == len(choices) > 0, name
    assert space.description, "the description is empty"
    assert "\n" not in space.description


def check_samples(space: SearchSpace) -> None:
    """Check that samples are tuples of indices, and follow from the generator alone."""
    state = torch.get_rng_state()
    assert space.sample(generator=seeded(3)) == space.sample(generator=seeded(3))
    for architecture in samples(space, 50):
        assert isinstance(architecture, tuple)
        assert len(architecture) == len(space.decisions)
        for index, (_, choices) in zip(architecture, space.decisions, strict=True):
            assert type(index) is int
            assert 0 <= index < len(choices)
    assert torch.equal(torch.get_rng_state(), state), "it draws from the global generator"


def check_mutation(space: SearchSpace) -> None:
    """Check that a mutant is another architecture, which follows from the generator alone."""
    for architecture in samples(space, 20):
        mutant = space.mutate(architecture, generator=seeded(4))
        assert mutant == space.mutate(architecture, generator=seeded(4))
        assert mutant != architecture
        space.canonical(mutant)


def check_canonical(space: SearchSpace) -> None:
    """Check that the representative of an architecture represents itself."""
    for architecture in samples(space, 50):
        canonical = space.canonical(architecture)
        assert space.canonical(canonical) == canonical


def check_lines(space: SearchSpace) -> None:
    """Check that different architectures are written as different lines."""
    architectures = set(samples(space, 200))
    lines = {space.format(architecture) for architecture in architectures}
    assert len(lines) == len(architectures)
    assert not any("\n" in line for line in lines)


def check_refusals(space: SearchSpace) -> None:
    """Check that every method refuses, in one line, an architecture outside of the space."""
    good = space.sample(generator=seeded(1))
    uses: list[Callable[[Any], object]] = [space.canonical, space.format, space.build]
    uses.append(lambda each: space.mutate(each, generator=seeded()))
    if isinstance(space, Costed):
        uses += [space.parameters, space.macs]
    if isinstance(space, Listable):
        uses.append(space.index)
    if isinstance(space, Readable):
        uses.append(space.to_json)
    if isinstance(space, Crossable):
        uses.append(space.neighbours)
        uses.append(lambda each: space.crossover(each, good, generator=seeded()))
        uses.append(lambda each: space.crossover(good, each, generator=seeded()))
    if isinstance(space, Sharable):
        uses.append(space.built)
    for wrong in (good[:-1], (*good, 0), (-1, *good[1:]), (10**6, *good[1:]), ()):
        for use in uses:
            refuses(use, wrong)


def check_reading(space: SearchSpace) -> None:
    """Check that text is read as it was written, and anything else refused in one line."""
    if not isinstance(space, Readable):
        return
    for architecture in samples(space, 20):
        assert space.parse(space.format(architecture)) == architecture
        assert space.from_json(space.to_json(architecture)) == architecture
    for text in GARBAGE:
        for read in (space.parse, space.from_json):
            refuses(read, text)


def check_listing(space: SearchSpace) -> None:
    """Check that all architectures have numbers, in the order in which they are listed."""
    if not isinstance(space, Listable):
        return
    assert type(space.size) is int
    for number in {0, 1 % space.size, space.size // 2, space.size - 1}:
        assert space.index(space.architecture(number)) == number
    for architecture in samples(space, 20):
        assert space.architecture(space.index(architecture)) == architecture
    most = space.size if space.size <= _SMALL else 50
    first = list(islice(space, most + 1))
    assert len(first) == min(space.size, most + 1)
    assert [space.index(each) for each in first] == list(range(len(first)))
    for wrong in (-1, space.size, True, 0.0):
        refuses(space.architecture, wrong)


def check_crossing(space: SearchSpace) -> None:
    """Check mixtures and neighbours: of the space, and repeatable; a mutant is a neighbour."""
    if not isinstance(space, Crossable):
        return
    for first, second in zip(samples(space, 10), samples(space, 10, seed=2), strict=True):
        child = space.crossover(first, second, generator=seeded(5))
        assert child == space.crossover(first, second, generator=seeded(5))
        space.canonical(child)
        assert space.crossover(first, first, generator=seeded(5)) == first
        around = space.neighbours(first)
        assert around == space.neighbours(first)
        assert len(set(around)) == len(around), "a neighbour is listed twice"
        assert first not in around
        for neighbour in around[:20]:
            space.canonical(neighbour)
        assert space.mutate(first, generator=seeded(6)) in around


def check_deriving(space: SearchSpace) -> None:
    """Check that the choices with all the weight are chosen, and unfit weights refused."""
    if not isinstance(space, Derivable):
        return
    sizes = [len(choices) for _, choices in space.decisions]
    for architecture in samples(space, 10):
        weights = [torch.zeros(size) for size in sizes]
        for vector, index in zip(weights, architecture, strict=True):
            vector[index] = 1
        assert space.derive(weights) == architecture
    unfit: list[list[Tensor]] = [
        weights[:-1],
        [torch.zeros(sizes[0] + 1), *weights[1:]],
        [torch.full((sizes[0],), torch.nan), *weights[1:]],
    ]
    for wrong in unfit:
        refuses(space.derive, wrong)


def check_codes(space: SearchSpace) -> None:
    """Check that different functions are different points, each the same in any company."""
    if not isinstance(space, Coded):
        return
    different = sorted({space.canonical(each) for each in samples(space, 50)})
    codes = space.codes(different)
    assert codes.dtype == np.float64
    assert codes.ndim == 2
    assert np.isfinite(codes).all()
    assert len(np.unique(codes, axis=0)) == len(different)
    assert (space.codes(different[:1]) == codes[:1]).all()


def check_pickling(space: SearchSpace) -> None:
    """Check that a space survives the way to another process."""
    copy = sent(space)
    assert copy.description == space.description
    assert copy.decisions == space.decisions
    assert copy.sample(generator=seeded(1)) == space.sample(generator=seeded(1))


CHECKS: tuple[Callable[[SearchSpace], None], ...] = (
    check_decisions,
    check_samples,
    check_mutation,
    check_canonical,
    check_lines,
    check_refusals,
    check_build,
    check_reading,
    check_listing,
    check_crossing,
    check_deriving,
    check_codes,
    check_costs,
    check_network,
    check_cells,
    check_restriction,
    check_pickling,
)
"""All checks."""


def check_space(space: SearchSpace) -> None:
    """Run all :data:`CHECKS`; a space with small networks takes a few seconds.

    Raises:
        AssertionError: it breaks what the protocols of :mod:`nascence.spaces` promise.
    """
    for check in CHECKS:
        check(space)
