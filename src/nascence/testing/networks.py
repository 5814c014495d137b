"""What the networks of every search space must do; :mod:`nascence.testing.spaces` runs these."""

import contextlib
from collections.abc import Callable, Sequence

import torch
from torch import nn

from nascence.graph import count_macs, count_parameters
from nascence.spaces import (
    Cellular,
    Costed,
    NetworkSpace,
    Restrictable,
    SearchSpace,
    Zero,
)
from nascence.testing.evidence import is_one_line, refuses, samples, within

_SIDE = 32


def check_build(space: SearchSpace) -> None:
    """Check that a network follows from the architecture and the global seed.

    A space without networks, such as that of a table, refuses in one line.
    """
    for architecture in samples(space, 3):
        states = []
        for _ in range(2):
            torch.manual_seed(7)
            try:
                model = space.build(architecture)
            except ValueError as error:
                is_one_line(error)
                if isinstance(space, NetworkSpace):
                    raise AssertionError(f"a network is not built: {error}") from error
                return
            assert isinstance(model, nn.Module)
            states.append(model.state_dict())
        assert states[0].keys() == states[1].keys()
        assert all(torch.equal(states[0][key], states[1][key]) for key in states[0])


def check_costs(space: SearchSpace) -> None:
    """Check that costs known without building are those of the built network."""
    if not isinstance(space, Costed):
        return
    for architecture in samples(space, 5):
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
    for architecture in samples(space, 5):
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
            is_one_line(error)
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
        for architecture in samples(space, 20):
            for group in cell.incoming():
                there = [space.decisions[p].choices[architecture[p]] != "none" for p in group]
                assert cell.inputs is None or sum(there) == cell.inputs


def check_restriction(space: SearchSpace) -> None:
    """Check that what is left of a space is a space, whose architectures are those of the whole."""
    if not isinstance(space, Restrictable):
        return
    first, second = samples(space, 2)
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
    for architecture in samples(left, 20):
        wide = left.widen(architecture)
        space.canonical(wide)
        assert left.narrow(wide) == architecture
        assert left.format(architecture) == space.format(wide)
    gone = [each for each in samples(space, 50) if not within(each, kept)]
    if gone:
        refuses(left.narrow, gone[0])
    for wrong in (kept[:-1], ((), *kept[1:]), ((10**6,), *kept[1:])):
        refuses(space.restricted, wrong)


def _takes_images(model: nn.Module, channels: int) -> bool:
    with contextlib.suppress(RuntimeError), torch.no_grad():
        model.eval()(torch.zeros(1, channels, _SIDE, _SIDE))
        return True
    return False
