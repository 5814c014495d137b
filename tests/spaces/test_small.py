"""The small space against networks that are built and counted."""

from collections import Counter

import pytest
import torch

from nascence.graph import count_macs, count_parameters
from nascence.spaces import SmallSpace
from nascence.spaces.small import OPERATIONS

SPACE = SmallSpace(width=4)
IMAGES = torch.randn(2, 3, 8, 8, generator=torch.Generator().manual_seed(1))


def test_there_are_1296_networks_with_253_functions() -> None:
    """A live branch is one of 21 sequences without skips, a cell a pair of 22 branches."""
    assert SPACE.size == len(list(SPACE)) == 1296
    classes = Counter(SPACE.canonical(architecture) for architecture in SPACE)
    assert len(classes) == 22 * 23 // 2
    assert classes[SPACE.canonical((0, 0, 0, 0))] == 11 * 11
    assert all(SPACE.canonical(architecture) == architecture for architecture in classes)


@pytest.mark.parametrize("prune", [True, False])
def test_costs_are_those_of_the_built_network(prune: bool, generator: torch.Generator) -> None:
    space = SmallSpace(classes=7, in_channels=1, width=6, cells=2, prune=prune)
    for _ in range(25):
        architecture = space.sample(generator=generator)
        model = space.build(architecture)
        assert space.parameters(architecture) == count_parameters(model)
        assert space.macs(architecture, side=8) == count_macs(model, torch.zeros(1, 1, 8, 8))


def test_canonical_form_costs_no_more_and_computes_the_same(generator: torch.Generator) -> None:
    """One convolution at most, so that equal weights can be given in the order of parameters."""
    seen = 0
    while seen < 15:
        architecture = SPACE.sample(generator=generator)
        canonical = SPACE.canonical(architecture)
        assert SPACE.macs(canonical) <= SmallSpace(width=4, prune=False).macs(architecture)
        if canonical == architecture or SPACE.format(architecture).count("conv") > 1:
            continue
        models = [SPACE.build(each).train() for each in (architecture, canonical)]
        for model in models:
            weights = torch.Generator().manual_seed(5)
            with torch.no_grad():
                for parameter in model.parameters():
                    parameter.copy_(torch.randn(parameter.shape, generator=weights))
        torch.testing.assert_close(models[0](IMAGES), models[1](IMAGES))
        seen += 1


def test_built_edges_are_those_whose_operation_changes_the_output(
    generator: torch.Generator,
) -> None:
    for _ in range(10):
        architecture = SPACE.sample(generator=generator)
        for place, live in enumerate(SPACE.built(architecture)):
            changed = {
                SPACE.canonical((*architecture[:place], index, *architecture[place + 1 :]))
                for index in range(1, len(OPERATIONS))
            }
            partner = architecture[(place + 2) % 4]
            assert (len(changed) > 1) == (partner != 0)
            assert live == (partner != 0 and architecture[place] != 0)


def test_strings_round_trip_and_others_are_refused(generator: torch.Generator) -> None:
    for _ in range(20):
        architecture = SPACE.sample(generator=generator)
        assert SPACE.parse(SPACE.format(architecture)) == architecture
    with pytest.raises(ValueError, match="four operations with commas"):
        SPACE.parse("none,none")
    with pytest.raises(ValueError, match="edge_1_3 is 'conv7'; use one of none, "):
        SPACE.parse("none,none,conv7,none")


def test_impossible_settings_are_refused() -> None:
    for name in ("classes", "in_channels", "width", "cells"):
        with pytest.raises(ValueError, match=f"{name} is 0; "):
            SmallSpace(**{name: 0})
    with pytest.raises(ValueError, match="side is 7; "):
        SPACE.macs((0, 0, 0, 0), side=7)
