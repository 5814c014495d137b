"""Named sizes of equilibrium models give the networks they say."""

import torch

from nascence.design.families.mdeq_sizes import Size, build, deployed
from nascence.graph import count_parameters


def test_sizes_are_built_as_named() -> None:
    tiny, large = Size(2, 24), Size(3, 32)
    assert (tiny.channels, large.channels) == ((24, 24), (32, 64, 128))
    model = build(tiny, classes=10, in_channels=3, seed=0)
    assert count_parameters(model) == 159_322  # the published tiny network


def test_weights_depend_on_the_seed_alone() -> None:
    first, second, other = (
        build(Size(2, 8), classes=2, in_channels=1, seed=seed).state_dict() for seed in (0, 0, 1)
    )
    assert all(torch.equal(first[name], second[name]) for name in first)
    assert any(not torch.equal(first[name], other[name]) for name in first)


def test_a_deployed_network_is_in_evaluation_mode() -> None:
    assert not deployed(build(Size(2, 8), classes=2, in_channels=1, seed=0)).training
