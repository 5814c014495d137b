"""Networks of layer lists, with attention by hand."""

import copy
import gc
import pickle

import torch
import torch.nn.functional as F

from nascence.spaces.deepnets import DeepNets
from nascence.spaces.deepnets_network import _attention


def test_copies_run_their_own_modules_and_pickles_load() -> None:
    model = DeepNets(image_size=16, cells=(4, 4), channels=(16,)).network(0).eval()
    x = torch.randn(2, 3, 16, 16)
    expected = model(x)
    twin = copy.deepcopy(model)
    again = pickle.loads(pickle.dumps(model))
    with torch.no_grad():
        for value in model.parameters():
            value.zero_()
    assert torch.equal(twin(x), expected)
    assert torch.equal(again(x), expected)
    assert not torch.equal(model(x), expected)


def test_values_are_let_go_after_their_last_reader() -> None:
    model = DeepNets(image_size=16, cells=(12, 12), channels=(16,)).network(0).eval()
    alive = []

    def count(module: torch.nn.Module, inputs: tuple[torch.Tensor, ...]) -> None:
        maps = [x for x in gc.get_objects() if type(x) is torch.Tensor and x.shape[:1] == (11,)]
        alive.append(len(maps))

    for module in model.modules():
        if isinstance(module, torch.nn.Conv2d):
            module.register_forward_pre_hook(count)
    with torch.no_grad():
        model(torch.randn(11, 3, 16, 16))
    assert len(alive) > 30
    # the outputs of two cells, the values of the current one and those of one layer
    assert max(alive) <= 16


def test_attention_by_hand() -> None:
    x = torch.randn(1, 5, 24)
    q, k, v = x.view(5, 3, 2, 4).permute(1, 2, 0, 3)
    expected = F.softmax(q @ k.transpose(1, 2) / 2, dim=-1) @ v
    expected = expected.permute(1, 0, 2).reshape(1, 5, 8)
    assert torch.allclose(_attention(x, 2), expected, atol=1e-6)
