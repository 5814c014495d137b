"""The NAS-Bench-201 space against its published table and its own networks."""

import json
from functools import partial

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from nascence.graph import count_macs, count_parameters
from nascence.spaces import NB201
from nascence.spaces.cell import convolution

PUBLISHED = NB201(prune=False)
SPACE = NB201(width=(4, 6), cells=(1, 2))
indices = st.integers(0, SPACE.size - 1)

# Number in the NATS-Bench table, cell, parameters, and MFLOPs on CIFAR-10, which count one
# addition per class more than the multiply-adds.
TABLE = [
    (
        0,
        "|avg_pool_3x3~0|+|nor_conv_1x1~0|skip_connect~1|"
        "+|nor_conv_1x1~0|skip_connect~1|skip_connect~2|",
        129306,
        15.64737,
    ),
    (
        3,
        "|avg_pool_3x3~0|+|skip_connect~0|none~1|+|none~0|none~1|skip_connect~2|",
        73306,
        7.78305,
    ),
    (
        5,
        "|nor_conv_1x1~0|+|skip_connect~0|nor_conv_1x1~1|+|nor_conv_3x3~0|none~1|avg_pool_3x3~2|",
        372346,
        51.03681,
    ),
    (
        11,
        "|nor_conv_3x3~0|+|nor_conv_3x3~0|avg_pool_3x3~1|+|none~0|nor_conv_3x3~1|avg_pool_3x3~2|",
        802426,
        113.95137,
    ),
    (
        284,
        "|skip_connect~0|+|skip_connect~0|skip_connect~1|+|none~0|nor_conv_1x1~1|none~2|",
        101306,
        11.71521,
    ),
    (
        1000,
        "|skip_connect~0|+|nor_conv_3x3~0|nor_conv_1x1~1|+|none~0|skip_connect~1|nor_conv_3x3~2|",
        587386,
        82.49409,
    ),
    (
        15624,
        "|nor_conv_1x1~0|+|none~0|nor_conv_1x1~1|+|none~0|nor_conv_1x1~1|nor_conv_1x1~2|",
        185306,
        23.51169,
    ),
]


@pytest.mark.parametrize(("number", "cell", "parameters", "mflops"), TABLE)
def test_costs_of_the_published_table(
    number: int, cell: str, parameters: int, mflops: float
) -> None:
    architecture = PUBLISHED.parse(cell)
    assert PUBLISHED.format(architecture) == cell
    assert PUBLISHED.parameters(architecture) == parameters
    assert PUBLISHED.macs(architecture) + 10 == round(mflops * 1e6)


@pytest.mark.parametrize("conv", [None, partial(convolution)])
@pytest.mark.parametrize("prune", [True, False])
def test_costs_are_those_of_the_built_network(
    conv: object, prune: bool, generator: torch.Generator
) -> None:
    space = NB201(width=(4, 6), cells=(1, 2), classes=7, in_channels=1, conv=conv, prune=prune)
    for _ in range(10):
        architecture = space.sample(generator=generator)
        model = space.build(architecture)
        assert space.parameters(architecture) == count_parameters(model)
        assert space.macs(architecture, side=16) == count_macs(model, torch.zeros(1, 1, 16, 16))


def test_size_of_the_published_space() -> None:
    assert NB201().size == 15625
    assert SPACE.size == 15625 * 4


def test_isomorphism_classes_number_as_published() -> None:
    """Dong and Yang, ICLR 2020: 6,466 unique cells among 15,625."""
    classes = {PUBLISHED.canonical(architecture) for architecture in PUBLISHED}
    assert len(classes) == 6466
    assert all(PUBLISHED.canonical(architecture) == architecture for architecture in classes)


def same_weights(source: nn.Module, target: nn.Module) -> None:
    """Give both networks the same weights, block by block, in the order of the edges' strings."""
    torch.manual_seed(0)
    for model in (source, target):
        generator = torch.Generator().manual_seed(5)
        for parameter in model.parameters():
            with torch.no_grad():
                parameter.copy_(torch.randn(parameter.shape, generator=generator))


def test_canonical_cell_computes_the_same_function(generator: torch.Generator) -> None:
    # Without two convolutions, no weights can be exchanged between the edges.
    space = NB201(width=4, cells=2)
    images = torch.randn(2, 3, 16, 16, generator=generator)
    seen = 0
    while seen < 12:
        architecture = space.sample(generator=generator)
        canonical = space.canonical(architecture)
        text = space.format(architecture)
        if canonical == architecture or text.count("conv") > 1:
            continue
        first, second = space.build(architecture).eval(), space.build(canonical).eval()
        same_weights(first, second)
        # the order of sums differs, and with it the last digits on some machines
        torch.testing.assert_close(first(images), second(images), rtol=1e-5, atol=1e-5)
        seen += 1


@given(index=indices)
def test_index_string_and_json_round_trip(index: int) -> None:
    architecture = SPACE.architecture(index)
    assert SPACE.index(architecture) == index
    assert SPACE.parse(SPACE.format(architecture)) == architecture
    assert SPACE.from_json(SPACE.to_json(architecture)) == architecture
    code = torch.from_numpy(SPACE.codes([architecture])[0])
    assert code.shape == (34,)
    assert code.sum() == 8


def test_order_of_iteration_is_that_of_the_index() -> None:
    space = NB201()
    assert list(space)[:700:100] == [space.architecture(index) for index in range(0, 700, 100)]


@given(index=indices)
def test_neighbours_differ_in_one_decision(index: int) -> None:
    architecture = SPACE.architecture(index)
    neighbours = SPACE.neighbours(architecture)
    assert len(set(neighbours)) == 6 * 4 + 2
    for neighbour in neighbours:
        differing = sum(a != b for a, b in zip(architecture, neighbour, strict=True))
        assert differing == 1


@given(text=st.text(alphabet="|+~012;=abcnoe_ 3x", max_size=60))
def test_any_other_text_is_refused(text: str) -> None:
    for read in (SPACE.parse, SPACE.from_json):
        with pytest.raises(ValueError, match=r"cannot read|use one of|should end"):
            read(text)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (TABLE[0][1].replace("avg_pool_3x3", "conv7"), "edge_0_1 is 'conv7'; use one of none,"),
        (TABLE[0][1].replace("~2|", "~1|"), "should end with ~2"),
        (TABLE[0][1] + ";width=16", "cannot read"),
        (TABLE[0][1][1:], "cannot read"),
        ("", "cannot read"),
    ],
)
def test_unreadable_strings_say_why(text: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        PUBLISHED.parse(text)


def test_unreadable_json_says_why() -> None:
    values = json.loads(SPACE.to_json(SPACE.architecture(0)))
    for change in ({"width": 5}, {"width": 4.0}, {"width": None}, {"edge_0_1": ["none"]}):
        with pytest.raises(ValueError, match="use one of"):
            SPACE.from_json(json.dumps({**values, **change}))
    for text in ("[" * 100_000, "{}", "null", '{"width": 4}', "not json"):
        with pytest.raises(ValueError, match="cannot read"):
            SPACE.from_json(text)


@pytest.mark.parametrize(
    "settings",
    [{"classes": 0}, {"in_channels": 2.0}, {"width": 0}, {"width": ()}, {"cells": (2, 2)}],
)
def test_impossible_settings_are_refused(settings: dict) -> None:
    with pytest.raises(ValueError, match=next(iter(settings))):
        NB201(**settings)


def test_sides_that_the_network_cannot_take_are_refused() -> None:
    for side in (0, 2, 30, -4):
        with pytest.raises(ValueError, match=f"side is {side}; "):
            NB201().macs((0,) * 6, side=side)


@pytest.mark.parametrize("prune", [True, False])
def test_networks_trace_export_and_train(prune: bool, generator: torch.Generator) -> None:
    space = NB201(width=4, cells=1, prune=prune)
    images = torch.randn(2, 3, 16, 16, generator=generator)
    architectures = [space.sample(generator=generator) for _ in range(3)]
    for architecture in [(0,) * 6, *architectures]:
        model = space.build(architecture).eval()
        expected = model(images)
        assert expected.shape == (2, 10)
        torch.testing.assert_close(torch.fx.symbolic_trace(model)(images), expected)
        exported = torch.export.export(model, (images,)).module()
        torch.testing.assert_close(exported(images), expected)
        model.train()(images).sum().backward()


def test_pruned_network_builds_no_operation_without_effect(generator: torch.Generator) -> None:
    space = NB201(width=4, cells=1)
    images = torch.randn(2, 3, 16, 16, generator=generator)
    for _ in range(20):
        architecture = space.sample(generator=generator)
        if space.canonical(architecture) == space.canonical((0,) * 6):
            continue
        model = space.build(architecture).train()
        (model(images) * torch.randn(2, 10, generator=generator)).sum().backward()
        for name, parameter in model.named_parameters():
            if "cells" in name:
                assert parameter.grad is not None, (space.format(architecture), name)


def test_unpruned_and_pruned_networks_agree(generator: torch.Generator) -> None:
    """Pruning keeps the function while BatchNorm's shifts are zero, as they are initially."""
    images = torch.randn(2, 3, 16, 16, generator=generator)
    pruned, full = NB201(width=4, cells=2), NB201(width=4, cells=2, prune=False)
    for _ in range(20):
        architecture = full.sample(generator=generator)
        first, second = full.build(architecture), pruned.build(architecture)
        missing, unexpected = second.load_state_dict(first.state_dict(), strict=False)
        assert not missing
        torch.testing.assert_close(first(images), second(images))
        assert full.parameters(architecture) - pruned.parameters(architecture) == sum(
            first.get_parameter(name).numel()
            for name in unexpected
            if name.endswith(("weight", "bias"))
        )


def test_a_block_is_called_as_documented_and_follows_relu() -> None:
    calls = []

    class Block(nn.Conv2d):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            assert x.min() >= 0
            return super().forward(x)

    def conv(*arguments: int, **keywords: int) -> nn.Module:
        calls.append((arguments, keywords))
        return Block(*arguments, **keywords)

    space = NB201(width=4, cells=1, conv=conv)
    space.build((2, 3, 0, 1, 1, 1))(torch.randn(2, 3, 8, 8))
    expected = [
        ((channels, channels), {"kernel_size": size, "stride": 1, "padding": size // 2})
        for channels in (4, 8, 16)
        for size in (1, 3)
    ]
    assert calls == expected


def test_description_tells_spaces_apart() -> None:
    spaces = [
        NB201(),
        NB201(classes=5),
        NB201(width=(16, 32)),
        NB201(cells=3),
        NB201(conv=convolution),
        NB201(conv=partial(convolution, padding=2)),
        NB201(prune=False),
    ]
    assert len({space.description for space in spaces}) == len(spaces)
    assert NB201().description == NB201().description
    assert " at 0x" not in "".join(space.description for space in spaces)
