import copy

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from torch import nn

from nascence.reparam import (
    AsymmetricBlock,
    DiverseBranchBlock,
    LargeKernelBlock,
    MobileOneBlock,
    QARepVGGBlock,
    RepVGGBlock,
    fold,
    fold_with_report,
)
from nascence.reparam.branch_layers import PaddedNorm

BLOCKS = [
    AsymmetricBlock,
    DiverseBranchBlock,
    LargeKernelBlock,
    MobileOneBlock,
    QARepVGGBlock,
    RepVGGBlock,
]
BOUNDS = {torch.float64: 1e-12, torch.float32: 1e-5, torch.bfloat16: 3e-2}
PER_TEST = [HealthCheck.function_scoped_fixture, HealthCheck.too_slow]


@settings(max_examples=120, deadline=None, derandomize=True, suppress_health_check=PER_TEST)
@given(
    block=st.sampled_from(BLOCKS),
    kernel=st.tuples(st.integers(1, 7), st.integers(1, 7)),
    stride=st.sampled_from([1, 1, 2, 3]),
    dilation=st.integers(1, 3),
    groups=st.sampled_from([1, 2, 4]),
    padding=st.one_of(st.none(), st.integers(0, 7)),
    out_channels=st.sampled_from([4, 8]),
    dtype=st.sampled_from(list(BOUNDS)),
)
def test_a_folded_block_is_one_convolution_with_the_same_function(
    block, kernel, stride, dilation, groups, padding, out_channels, dtype, randomise, distance
) -> None:
    model = block(
        4,
        out_channels,
        kernel,
        stride=stride,
        padding=padding,
        dilation=dilation,
        groups=groups,
    )
    model = randomise(model).to(dtype)
    size = [dilation * (k - 1) + 5 for k in kernel]
    x = torch.randn(2, 4, *size, generator=torch.Generator().manual_seed(0)).to(dtype)
    folded = fold(model, x)
    truth = copy.deepcopy(model).double()(x.double())
    assert distance(folded(x), truth) < BOUNDS[dtype]
    layers = [layer for layer in folded.modules() if not list(layer.children())]
    assert [type(layer) for layer in layers] in ([nn.Conv2d], [nn.Conv2d, nn.Identity])
    assert {value.dtype for value in folded.state_dict().values()} == {dtype}


@pytest.mark.parametrize("block", BLOCKS)
def test_shape_is_that_of_the_plain_convolution(block) -> None:
    for kernel, padding, dilation in ((3, None, 1), (4, 1, 2), (5, 0, 1), (2, 3, 3)):
        plain = nn.Conv2d(
            4, 8, kernel, 2, dilation * (kernel - 1) // 2 if padding is None else padding, dilation
        )
        x = torch.zeros(2, 4, 13, 12)
        mine = block(4, 8, kernel, stride=2, padding=padding, dilation=dilation)
        assert mine(x).shape == plain(x).shape


@pytest.mark.parametrize("block", BLOCKS)
def test_folding_twice_changes_nothing_and_the_state_survives(block, randomise) -> None:
    model = nn.Sequential(randomise(block(4, 4)), nn.ReLU(), randomise(block(4, 8))).eval()
    x = torch.randn(1, 4, 8, 8)
    folded = fold(model, x)
    again, report = fold_with_report(folded, x, repeats=0)
    assert not report.folded
    assert "nothing to fold" in report.notes
    assert torch.equal(again(x), folded(x))
    fresh = copy.deepcopy(folded)
    for value in fresh.parameters():
        value.data.zero_()
    fresh.load_state_dict(folded.state_dict())
    assert torch.equal(fresh(x), folded(x))


@pytest.mark.parametrize("block", BLOCKS)
def test_every_branch_trains(block) -> None:
    model = block(4, 4).train()
    model(torch.randn(4, 4, 8, 8)).square().sum().backward()
    assert all(value.grad is not None for value in model.parameters())


def test_the_border_of_a_padded_norm_is_what_it_makes_of_zero(randomise) -> None:
    norm = randomise(PaddedNorm(3, (2, 1)))
    x = torch.randn(1, 3, 4, 5)
    padded = norm(x)
    assert padded.shape == (1, 3, 8, 7)
    torch.testing.assert_close(padded[..., 2:-2, 1:-1], norm.norm(x))
    border = norm.norm(torch.zeros(1, 3, 1, 1))
    torch.testing.assert_close(padded[..., :2, :], border.expand(1, 3, 2, 7))
    torch.testing.assert_close(padded[..., -1:], border.expand(1, 3, 8, 1))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"groups": 3}, "groups is 3"),
        ({"padding": -1}, "padding is -1"),
        ({"stride": 0}, "at least 1"),
        ({"kernel_size": (1, 2, 3)}, "one number or two"),
    ],
)
def test_impossible_geometry_is_named(arguments, message) -> None:
    with pytest.raises(ValueError, match=message):
        RepVGGBlock(4, 4, **arguments)


def test_copies_must_be_positive() -> None:
    with pytest.raises(ValueError, match="copies is 0"):
        MobileOneBlock(4, 4, copies=0)
