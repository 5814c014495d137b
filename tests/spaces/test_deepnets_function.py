"""The function against the module: the same logits and the same gradient."""

import pickle

import pytest
import torch
import torch.nn.functional as F
from torch.func import functional_call

from nascence.spaces.deepnets import DeepNets
from nascence.spaces.deepnets_function import LayerFunction


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
