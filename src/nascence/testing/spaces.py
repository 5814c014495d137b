"""What every search space must do: checks that take one and raise ``AssertionError`` if it fails.

A test of a space of your own calls :func:`check_space`, which runs all of them::

    def test_my_space() -> None:
        check_space(MySpace())

What a space can do it tells by the small protocols of :mod:`nascence.spaces`; the checks of one
that it does not keep pass by it.
"""

import contextlib
import pickle
from collections.abc import Callable, Iterator, Sequence
from itertools import islice
from typing import Any, TypeVar

import numpy as np
import torch
from torch import Tensor, nn

from nascence.graph import count_macs, count_parameters
from nascence.spaces import (
    Architecture,
    Cellular,
    Coded,
    Costed,
    Crossable,
    Derivable,
    Listable,
    NetworkSpace,
    Readable,
    Restrictable,
    SearchSpace,
    Sharable,
    Zero,
)

GARBAGE = ("", "nothing", "-1", "0" * 5000, "{}", "[" * 10_000, "null", '{"a": 1}', "\x00", "∞ 9 9")
_SMALL = 2_000
Kind = TypeVar("Kind")
_SIDE = 32


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
    assert space.sample(generator=_seeded(3)) == space.sample(generator=_seeded(3))
    for architecture in _samples(space, 50):
        assert isinstance(architecture, tuple)
        assert len(architecture) == len(space.decisions)
        for index, (_, choices) in zip(architecture, space.decisions, strict=True):
            assert type(index) is int
            assert 0 <= index < len(choices)
    assert torch.equal(torch.get_rng_state(), state), "it draws from the global generator"


def check_mutation(space: SearchSpace) -> None:
    """Check that a mutant is another architecture, which follows from the generator alone."""
    for architecture in _samples(space, 20):
        mutant = space.mutate(architecture, generator=_seeded(4))
        assert mutant == space.mutate(architecture, generator=_seeded(4))
        assert mutant != architecture
        space.canonical(mutant)


def check_canonical(space: SearchSpace) -> None:
    """Check that the representative of an architecture represents itself."""
    for architecture in _samples(space, 50):
        canonical = space.canonical(architecture)
        assert space.canonical(canonical) == canonical


def check_lines(space: SearchSpace) -> None:
    """Check that different architectures are written as different lines."""
    architectures = set(_samples(space, 200))
    lines = {space.format(architecture) for architecture in architectures}
    assert len(lines) == len(architectures)
    assert not any("\n" in line for line in lines)


def check_refusals(space: SearchSpace) -> None:
    """Check that every method refuses, in one line, an architecture outside of the space."""
    good = space.sample(generator=_seeded(1))
    uses: list[Callable[[Any], object]] = [space.canonical, space.format, space.build]
    uses.append(lambda each: space.mutate(each, generator=_seeded()))
    if isinstance(space, Costed):
        uses += [space.parameters, space.macs]
    if isinstance(space, Listable):
        uses.append(space.index)
    if isinstance(space, Readable):
        uses.append(space.to_json)
    if isinstance(space, Crossable):
        uses.append(space.neighbours)
        uses.append(lambda each: space.crossover(each, good, generator=_seeded()))
        uses.append(lambda each: space.crossover(good, each, generator=_seeded()))
    if isinstance(space, Sharable):
        uses.append(space.built)
    for wrong in (good[:-1], (*good, 0), (-1, *good[1:]), (10**6, *good[1:]), ()):
        for use in uses:
            _refuses(use, wrong)


def check_build(space: SearchSpace) -> None:
    """Check that a network follows from the architecture and the global seed.

    A space without networks, such as that of a table, refuses in one line.
    """
    for architecture in _samples(space, 3):
        states = []
        for _ in range(2):
            torch.manual_seed(7)
            try:
                model = space.build(architecture)
            except ValueError as error:
                _is_one_line(error)
                if isinstance(space, NetworkSpace):
                    raise AssertionError(f"a network is not built: {error}") from error
                return
            assert isinstance(model, nn.Module)
            states.append(model.state_dict())
        assert states[0].keys() == states[1].keys()
        assert all(torch.equal(states[0][key], states[1][key]) for key in states[0])


def check_reading(space: SearchSpace) -> None:
    """Check that text is read as it was written, and anything else refused in one line."""
    if not isinstance(space, Readable):
        return
    for architecture in _samples(space, 20):
        assert space.parse(space.format(architecture)) == architecture
        assert space.from_json(space.to_json(architecture)) == architecture
    for text in GARBAGE:
        for read in (space.parse, space.from_json):
            _refuses(read, text)


def check_listing(space: SearchSpace) -> None:
    """Check that all architectures have numbers, in the order in which they are listed."""
    if not isinstance(space, Listable):
        return
    assert type(space.size) is int
    for number in {0, 1 % space.size, space.size // 2, space.size - 1}:
        assert space.index(space.architecture(number)) == number
    for architecture in _samples(space, 20):
        assert space.architecture(space.index(architecture)) == architecture
    most = space.size if space.size <= _SMALL else 50
    first = list(islice(space, most + 1))
    assert len(first) == min(space.size, most + 1)
    assert [space.index(each) for each in first] == list(range(len(first)))
    for wrong in (-1, space.size, True, 0.0):
        _refuses(space.architecture, wrong)


def check_crossing(space: SearchSpace) -> None:
    """Check mixtures and neighbours: of the space, and repeatable; a mutant is a neighbour."""
    if not isinstance(space, Crossable):
        return
    for first, second in zip(_samples(space, 10), _samples(space, 10, seed=2), strict=True):
        child = space.crossover(first, second, generator=_seeded(5))
        assert child == space.crossover(first, second, generator=_seeded(5))
        space.canonical(child)
        assert space.crossover(first, first, generator=_seeded(5)) == first
        around = space.neighbours(first)
        assert around == space.neighbours(first)
        assert len(set(around)) == len(around), "a neighbour is listed twice"
        assert first not in around
        for neighbour in around[:20]:
            space.canonical(neighbour)
        assert space.mutate(first, generator=_seeded(6)) in around


def check_deriving(space: SearchSpace) -> None:
    """Check that the choices with all the weight are chosen, and unfit weights refused."""
    if not isinstance(space, Derivable):
        return
    sizes = [len(choices) for _, choices in space.decisions]
    for architecture in _samples(space, 10):
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
        _refuses(space.derive, wrong)


def check_codes(space: SearchSpace) -> None:
    """Check that different functions are different points, each the same in any company."""
    if not isinstance(space, Coded):
        return
    different = sorted({space.canonical(each) for each in _samples(space, 50)})
    codes = space.codes(different)
    assert codes.dtype == np.float64
    assert codes.ndim == 2
    assert np.isfinite(codes).all()
    assert len(np.unique(codes, axis=0)) == len(different)
    assert (space.codes(different[:1]) == codes[:1]).all()


def check_costs(space: SearchSpace) -> None:
    """Check that costs known without building are those of the built network."""
    if not isinstance(space, Costed):
        return
    for architecture in _samples(space, 5):
        model = space.build(architecture)
        assert space.parameters(architecture) == count_parameters(model)
        assert space.macs(architecture) > 0
        if isinstance(space, NetworkSpace) and _takes_images(model, space.in_channels):
            images = torch.zeros(1, space.in_channels, _SIDE, _SIDE)
            assert space.macs(architecture, side=_SIDE) == count_macs(model, images)


def check_network(space: SearchSpace) -> None:
    """Check that one network asks for every decision, and chosen candidates give the built one."""
    if not isinstance(space, NetworkSpace):
        return
    sizes = {name: len(choices) for name, choices in space.decisions}
    for architecture in _samples(space, 5):
        built = space.built(architecture)
        assert len(built) == len(architecture)
        chosen = dict(zip(sizes, zip(architecture, built, strict=True), strict=True))
        asked: set[str] = set()

        def choose(
            name: str,
            builders: Sequence[Callable[[], nn.Module]],
            chosen: dict[str, tuple[int, bool]] = chosen,
            asked: set[str] = asked,
        ) -> nn.Module:
            asked.add(name)
            assert len(builders) == sizes[name], f"{name} has {len(builders)} builders"
            index, there = chosen[name]
            return builders[index]() if there else Zero()

        try:
            network = space.network(choose)
        except ValueError as error:  # a space that leaves sizes open has no one network
            _is_one_line(error)
            return
        assert asked == set(sizes), f"no place of {sorted(set(sizes) - asked)}"
        own, other = network.state_dict(), space.build(architecture).state_dict()
        assert own.keys() == other.keys()
        assert all(own[name].shape == other[name].shape for name in own)


def check_cells(space: SearchSpace) -> None:
    """Check that the graphs of cells are about decisions, and keep the number of inputs."""
    if not isinstance(space, Cellular):
        return
    for cell in space.cell_graphs:
        assert len(cell.places) == len(cell.edges)
        assert set(cell.places) <= set(range(len(space.decisions)))
        assert all(source < target for source, target in cell.edges)
        assert set(cell.outputs) <= {target for _, target in cell.edges}
        assert sorted(sum(cell.incoming(), ())) == sorted(cell.places)
        for architecture in _samples(space, 20):
            for group in cell.incoming():
                there = [space.decisions[p].choices[architecture[p]] != "none" for p in group]
                assert cell.inputs is None or sum(there) == cell.inputs


def check_restriction(space: SearchSpace) -> None:
    """Check that what is left of a space is a space, whose architectures are those of the whole."""
    if not isinstance(space, Restrictable):
        return
    first, second = _samples(space, 2)
    whole = tuple(tuple(range(len(choices))) for _, choices in space.decisions)
    kept = tuple(
        tuple(sorted({a, b, operations[0]} | set(held) - set(operations)))
        for a, b, held, operations in zip(
            first, second, whole, space.operations(whole), strict=True
        )
    )
    left = space.restricted(kept)
    assert left.choices == kept
    assert left.description != space.description
    for architecture in (first, second):
        assert left.widen(left.narrow(architecture)) == architecture
    for architecture in _samples(left, 20):
        wide = left.widen(architecture)
        space.canonical(wide)
        assert left.narrow(wide) == architecture
        assert left.format(architecture) == space.format(wide)
    gone = [each for each in _samples(space, 50) if not _within(each, kept)]
    if gone:
        _refuses(left.narrow, gone[0])
    for wrong in (kept[:-1], ((), *kept[1:]), ((10**6,), *kept[1:])):
        _refuses(space.restricted, wrong)


def check_pickling(space: SearchSpace) -> None:
    """Check that a space survives the way to another process."""
    copy = sent(space)
    assert copy.description == space.description
    assert copy.decisions == space.decisions
    assert copy.sample(generator=_seeded(1)) == space.sample(generator=_seeded(1))


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


def sent(value: Kind) -> Kind:
    """Return what another process gets; ``AssertionError`` where it gets nothing."""
    try:
        return pickle.loads(pickle.dumps(value))
    except (pickle.PicklingError, AttributeError, TypeError) as error:
        raise AssertionError(f"it cannot be sent to another process: {error}") from error


def _seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def _samples(space: SearchSpace, count: int, *, seed: int = 1) -> Iterator[Architecture]:
    generator = _seeded(seed)
    return iter([space.sample(generator=generator) for _ in range(count)])


def _within(architecture: Architecture, kept: Sequence[Sequence[int]]) -> bool:
    return all(index in held for index, held in zip(architecture, kept, strict=True))


def _takes_images(model: nn.Module, channels: int) -> bool:
    with contextlib.suppress(RuntimeError), torch.no_grad():
        model.eval()(torch.zeros(1, channels, _SIDE, _SIDE))
        return True
    return False


def _refuses(use: Callable[[Any], object], wrong: object) -> None:
    """Assert that a call raises a ``ValueError`` of one line."""
    try:
        result = use(wrong)
    except ValueError as error:
        _is_one_line(error)
    else:
        raise AssertionError(f"{wrong!r:.100} is not refused: {result!r:.100}")


def _is_one_line(error: ValueError) -> None:
    text = str(error)
    assert 0 < len(text) < 1000, f"a message of {len(text)} characters"
    assert "\n" not in text, text
