"""The function against the module: the same logits and the same gradient."""

import pickle

import pytest
import torch
import torch.nn.functional as F
from torch.func import functional_call

from nascence.spaces.deepnets import DeepNets
from nascence.spaces.deepnets_function import LayerFunction, depthwise_dilated


@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("kernel", [(3, 3), (5, 5), (1, 3)])
def test_sublattices_are_a_dilated_convolution(stride: int, kernel: tuple[int, int]) -> None:
    generator = torch.Generator().manual_seed(0)
    for height, width in ((8, 6), (2, 4), (7, 5)):
        if stride == 1 and height % 2:
            continue
        x = torch.randn(3, 4, height, width, generator=generator, dtype=torch.float64)
        weight = torch.randn(4, 1, *kernel, generator=generator, dtype=torch.float64)
        ends = []
        for make in (
            lambda x, w: depthwise_dilated(x, w, (stride, stride)),
            lambda x, w: F.conv2d(x, w, None, stride, (kernel[0] - 1, kernel[1] - 1), 2, 4),
        ):
            leaves = (x.clone().requires_grad_(), weight.clone().requires_grad_())
            out = make(*leaves)
            factors = torch.linspace(-1, 1, out.numel(), dtype=out.dtype).view(out.shape)
            ends.append((out, *torch.autograd.grad((out * factors).sum(), leaves)))
        for ours, plain in zip(*ends, strict=True):
            assert torch.allclose(ours, plain, atol=1e-12)


@pytest.mark.parametrize("split", ["train", "bn-free", "predefined"])
def test_logits_and_gradient_of_the_module(split: str) -> None:
    small = {} if split == "predefined" else {"cells": (4, 5), "channels": (16,)}
    networks = DeepNets(split, image_size=16, **small)
    images = torch.randn(4, 3, 16, 16, generator=torch.Generator().manual_seed(1))
    for index in range(2 if split == "predefined" else 8):
        layers = networks.layers(index)
        module = networks.network(index, generator=torch.Generator().manual_seed(2)).double()
        params = dict(module.named_parameters())
        found = []
        for function in (
            pickle.loads(pickle.dumps(LayerFunction(layers))),
            lambda values, x, module=module: functional_call(module.train(), values, (x,)),
        ):
            logits = function(params, images.double())
            loss = F.cross_entropy(logits, torch.arange(4))
            gradients = torch.autograd.grad(loss, list(params.values()), allow_unused=True)
            found.append((logits, *(0 * loss if g is None else g for g in gradients)))
        for ours, plain in zip(*found, strict=True):
            assert torch.allclose(ours, plain, rtol=1e-7, atol=1e-9), index
