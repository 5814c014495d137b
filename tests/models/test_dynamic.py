"""Dynamic convolutions against a loop over images."""

import math

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from nascence import models
from nascence.graph import count_macs, count_parameters
from nascence.models import DynamicConv2d


def one_image_at_a_time(layer: DynamicConv2d, x: Tensor) -> Tensor:
    """Equations 2 to 4 of the paper, as written."""
    first, second = layer.attention[2], layer.attention[4]
    outputs = []
    for image in x:
        hidden = F.relu(first.weight @ image.mean((1, 2)) + first.bias)
        scores = (second.weight @ hidden + second.bias) / layer.temperature
        attention = scores.exp() / scores.exp().sum()
        weight = sum(share * kernel for share, kernel in zip(attention, layer.weight, strict=True))
        bias = None
        if layer.bias is not None:
            bias = sum(share * b for share, b in zip(attention, layer.bias, strict=True))
        outputs.append(
            F.conv2d(image[None], weight, bias, layer.stride, layer.padding, 1, layer.groups)
        )
    return torch.cat(outputs)


@settings(max_examples=30, deadline=None)
@given(
    groups=st.sampled_from([1, 2, 6]),
    kernel_size=st.sampled_from([1, 3]),
    stride=st.sampled_from([1, 2]),
    bias=st.booleans(),
    kernels=st.integers(1, 4),
    batch=st.integers(1, 3),
)
def test_grouped_convolution_equals_the_loop(
    groups: int, kernel_size: int, stride: int, bias: bool, kernels: int, batch: int
) -> None:
    torch.manual_seed(0)
    layer = DynamicConv2d(
        6,
        12,
        kernel_size,
        stride=stride,
        padding=kernel_size // 2,
        groups=groups,
        bias=bias,
        kernels=kernels,
        temperature=0.3,
    ).double()
    if layer.bias is not None:
        torch.nn.init.normal_(layer.bias)
    x = torch.randn(batch, 6, 5, 4, dtype=torch.double)
    got, want = layer(x), one_image_at_a_time(layer, x)
    torch.testing.assert_close(got, want)
    parameters = list(layer.parameters())
    probe = torch.randn_like(got)
    for ours, theirs in zip(
        torch.autograd.grad((got * probe).sum(), parameters),
        torch.autograd.grad((want * probe).sum(), parameters),
        strict=True,
    ):
        torch.testing.assert_close(ours, theirs)


def test_high_temperature_averages_and_low_selects(generator: torch.Generator) -> None:
    layer = DynamicConv2d(4, 5, 3, padding=1, bias=False)
    x = torch.randn(2, 4, 6, 6, generator=generator)
    layer.temperature = 1e9
    torch.testing.assert_close(layer(x), F.conv2d(x, layer.weight.mean(0), padding=1))
    layer.temperature = 1e-9
    chosen = layer.attention(x).argmax(1)
    for image, kernel, got in zip(x, chosen, layer(x), strict=True):
        want = F.conv2d(image[None], layer.weight[kernel], padding=1)[0]
        torch.testing.assert_close(got, want)


def test_mixes_the_kernels_of_each_image_by_itself(generator: torch.Generator) -> None:
    layer = DynamicConv2d(4, 5, 3, temperature=0.1)
    x = torch.randn(3, 4, 6, 6, generator=generator)
    torch.testing.assert_close(layer(x)[1:2], layer(x[1:2]))


def test_each_kernel_has_he_deviation() -> None:
    layer = DynamicConv2d(64, 128, 3)
    for kernel in layer.weight:
        assert kernel.std().item() == pytest.approx(math.sqrt(2 / (128 * 9)), rel=0.03)


def test_networks_have_the_published_size() -> None:
    x = torch.zeros(1, 3, 224, 224, device="meta")
    with torch.device("meta"):
        mobile, residual = models.dynamic_mobilenet_v2(), models.dynamic_resnet18()
    # Chen et al., table 5: 11.1 M (classifier apart) and 312.9 M multiply-adds.
    before_head = count_parameters(mobile) - count_parameters(mobile.head)
    assert round(before_head / 1e6, 1) == 11.1
    assert count_macs(mobile, x) == pytest.approx(312.9e6, rel=0.005)
    assert count_macs(residual, x) == pytest.approx(1.85e9, rel=0.01)
    # Four kernels in all convolutions but the first.
    attention = sum(
        count_parameters(module.attention)
        for module in residual.modules()
        if isinstance(module, DynamicConv2d)
    )
    kernels = 11_689_512 - (64 * 147) - 513_000 - 9_600
    assert count_parameters(residual) == 11_689_512 + 3 * kernels + attention


def test_errors_name_the_remedy() -> None:
    with pytest.raises(ValueError, match="temperature 0"):
        DynamicConv2d(4, 4, 3, temperature=0)
    with pytest.raises(ValueError, match="groups is 3; it must divide 4 and 6"):
        DynamicConv2d(4, 6, 3, groups=3)
