"""Convolutions by phases against those of the library: the same values and gradients."""

import copy

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from nascence.graph import trace
from nascence.spaces import depthwise
from nascence.spaces.darts_network import operation
from nascence.spaces.depthwise import DilatedSeparable, depthwise_dilated


@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("kernel", [(3, 3), (5, 5), (1, 3)])
def test_sublattices_are_a_dilated_convolution(stride: int, kernel: tuple[int, int]) -> None:
    generator = torch.Generator().manual_seed(0)
    for height, width in ((8, 6), (2, 4), (7, 5), (6, 5), (1, 1)):
        x = torch.randn(3, 4, height, width, generator=generator, dtype=torch.float64)
        weight = torch.randn(4, 1, *kernel, generator=generator, dtype=torch.float64)
        ends = []
        for make in (
            lambda x, w: depthwise_dilated(x, w, stride),
            lambda x, w: F.conv2d(x, w, None, stride, (kernel[0] - 1, kernel[1] - 1), 2, 4),
        ):
            leaves = (x.clone().requires_grad_(), weight.clone().requires_grad_())
            out = make(*leaves)
            factors = torch.linspace(-1, 1, out.numel(), dtype=out.dtype).view(out.shape)
            ends.append((out, *torch.autograd.grad((out * factors).sum(), leaves)))
        for ours, plain in zip(*ends, strict=True):
            assert ours.shape == plain.shape
            assert torch.allclose(ours, plain, atol=1e-12)


@pytest.mark.parametrize("name", ["dil_conv_3x3", "dil_conv_5x5"])
@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("side", [7, 8])
def test_gradients_of_the_operation_are_those_of_its_layers(
    name: str, stride: int, side: int
) -> None:
    torch.manual_seed(1)
    ours = operation(name, 6, stride)
    plain = nn.Sequential(*copy.deepcopy(ours))
    images = torch.randn(4, 6, side, side)
    found = []
    for model in (ours, plain):
        x = images.clone().requires_grad_()
        out = model(x)
        loss = (out * torch.linspace(-1, 1, out.numel()).view_as(out)).sum()
        found.append([out, *torch.autograd.grad(loss, [x, *model.parameters()])])
    assert list(ours.state_dict()) == list(plain.state_dict())
    for value, wanted in zip(*found, strict=True):
        assert (value - wanted).norm() <= 1e-5 * wanted.norm() + 1e-6


def test_phases_serve_only_a_gradient_of_the_layers_as_built(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    calls: list[int] = []

    def counted(x: Tensor, weight: Tensor, stride: int) -> Tensor:
        calls.append(stride)
        return depthwise_dilated(x, weight, stride)

    monkeypatch.setattr(depthwise, "depthwise_dilated", counted)
    block, x = operation("dil_conv_3x3", 4, 1), torch.randn(2, 4, 6, 6)
    assert isinstance(block, DilatedSeparable)
    block(x)
    assert calls == [1]
    assert [node.op for node in trace(block, x).nodes].count("dil_conv") == 1
    block.train()
    handle = block[1].register_forward_hook(lambda *_: None)
    block(x)
    handle.remove()
    with torch.no_grad():
        block(x)
    block.eval()(x)
    block.train()[1] = nn.Conv2d(4, 4, 1)
    block(x)
    assert calls == [1]


@pytest.mark.filterwarnings("ignore:.torch.jit.script:DeprecationWarning")  # torch's own
def test_second_derivatives_maps_and_forward_derivatives() -> None:
    generator = torch.Generator().manual_seed(2)
    x = torch.randn(2, 3, 5, 4, generator=generator, dtype=torch.float64, requires_grad=True)
    weight = torch.randn(3, 1, 3, 3, generator=generator, dtype=torch.float64, requires_grad=True)

    def ours(x: Tensor, weight: Tensor) -> Tensor:
        return depthwise_dilated(x, weight, 1)

    def plain(x: Tensor, weight: Tensor) -> Tensor:
        return F.conv2d(x, weight, None, 1, 2, 2, 3)

    assert torch.autograd.gradcheck(ours, (x, weight), check_forward_ad=True)
    assert torch.autograd.gradgradcheck(ours, (x, weight))
    x, weight = x.detach(), weight.detach()
    weights = torch.stack([weight, -2 * weight, weight.flip(0)])
    found, wanted = (
        torch.func.vmap(torch.func.grad(lambda w, f=f: f(x, w).sin().sum()))(weights)
        for f in (ours, plain)
    )
    assert torch.allclose(found, wanted, atol=1e-12)


def test_autocast_computes_in_its_precision() -> None:
    x = torch.randn(2, 3, 6, 6, requires_grad=True)
    weight = torch.randn(3, 1, 3, 3, requires_grad=True)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        out = depthwise_dilated(x, weight, 1)
    assert out.dtype == torch.bfloat16
    wanted = torch.autograd.grad(F.conv2d(x, weight, None, 1, 2, 2, 3).sum(), (x, weight))
    for value, other in zip(
        torch.autograd.grad(out.float().sum(), (x, weight)), wanted, strict=True
    ):
        assert value.dtype == torch.float32
        assert (value - other).norm() <= 0.02 * other.norm()
