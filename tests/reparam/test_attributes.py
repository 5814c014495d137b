"""What a folded network keeps: frozen, channels-last, hooks; wrappers, lists, files."""

import copy
import functools
import io
import time

import pytest
import torch
from torch import Tensor, nn

from nascence.reparam import RepVGGBlock, fold, fold_with_report


def body(randomise, ins: int = 3) -> nn.Sequential:
    layers = [nn.Conv2d(ins, 8, 3, padding=1), nn.BatchNorm2d(8), nn.ReLU(), nn.Conv2d(8, 4, 3)]
    return randomise(nn.Sequential(*layers, nn.BatchNorm2d(4)))


def test_what_comes_from_frozen_values_is_frozen(randomise) -> None:
    x = torch.randn(1, 3, 8, 8)
    model = nn.Sequential(body(randomise), RepVGGBlock(4, 4)).eval().requires_grad_(False)
    assert not any(value.requires_grad for value in fold(model, x).parameters())
    model[0][1].requires_grad_(True)  # its values are in the first convolution
    folded = fold(model, x)
    assert {n for n, p in folded.named_parameters() if p.requires_grad} == {
        "0.0.weight",
        "0.0.bias",
    }


def test_channels_last_is_kept(randomise) -> None:
    model = nn.Sequential(body(randomise), RepVGGBlock(4, 4)).eval()
    model = model.to(memory_format=torch.channels_last)
    x = torch.randn(1, 3, 8, 8).to(memory_format=torch.channels_last)
    folded = fold(model, x)
    kernels = [p for p in folded.parameters() if p.dim() == 4]
    assert all(p.is_contiguous(memory_format=torch.channels_last) for p in kernels)
    assert folded(x).is_contiguous(memory_format=torch.channels_last)


def test_hooks_of_a_module_and_of_the_network_stay(randomise, distance) -> None:
    model = nn.Sequential(body(randomise), body(randomise, 4)).eval()
    seen: list[str] = []
    model[0].register_forward_hook(lambda m, a, y: seen.append("part"))
    model.register_forward_hook(lambda m, a, y: seen.append("whole"))
    x = torch.randn(1, 3, 8, 8)
    folded = fold(model, x)
    seen.clear()
    assert distance(folded(x), model(x)) < 1e-5
    assert seen == ["part", "whole"] * 2
    assert not any(isinstance(m, nn.BatchNorm2d) for m in folded.modules())


class Reaching(nn.Module):
    """Reaches its body by the way that is asked for, and is folded part by part."""

    def __init__(self, body: nn.Module, way: str) -> None:
        super().__init__()
        self.body = body
        self.steps = {
            "list": [body],
            "bound": [body.forward],
            "partial": [functools.partial(body)],
            "closure": [lambda x: body(x)],
        }[way]

    def forward(self, x: Tensor) -> Tensor:
        for step in self.steps:
            x = step(x)
        return x * 0 if x.mean() > 1e9 else x


@pytest.mark.parametrize("way", ["list", "bound", "partial"])
def test_what_runs_is_what_was_folded(way, randomise, distance) -> None:
    model = Reaching(body(randomise), way).eval()
    x = torch.randn(2, 3, 8, 8)
    folded, report = fold_with_report(model, x, repeats=0)
    assert distance(folded(x), model(x)) < 1e-5
    assert report.after.batch_norms == 0
    for value in folded.parameters():
        value.data.zero_()
    assert not folded(x).any()


def test_layers_held_by_a_closure_are_refused(randomise) -> None:
    with pytest.raises(ValueError, match="closure or lambda"):
        fold(Reaching(body(randomise), "closure").eval(), torch.randn(2, 3, 8, 8))


def test_compiled_networks_are_folded_without_the_wrapper(randomise, distance) -> None:
    inner = body(randomise)
    x = torch.randn(2, 3, 8, 8)
    for model in (
        torch.compile(inner, backend="eager"),
        nn.Sequential(torch.compile(inner, backend="eager"), nn.ReLU()).eval(),
    ):
        folded, report = fold_with_report(model, x, repeats=0)
        assert not any(isinstance(m, nn.BatchNorm2d) for m in folded.modules())
        assert report.after.batch_norms == 0
        expected = inner(x) if isinstance(folded[0], nn.Conv2d) else inner(x).relu()
        assert distance(folded(x), expected) < 1e-5


class Keywords(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.block = RepVGGBlock(3, 4, stride=2)

    def forward(
        self, x: Tensor, scale: float = 1.0, *, mask=None, features=False, **rest
    ) -> Tensor:
        y = self.block(x) * scale
        y = y if mask is None else y * mask
        return y if features or rest.get("features") else y.flatten(1)


@pytest.mark.parametrize("verify", [True, False])
def test_keyword_only_arguments_take_their_defaults(verify, randomise, distance) -> None:
    model = randomise(Keywords())
    x = torch.randn(1, 3, 8, 8)
    folded = fold(model, x) if verify else fold(model, verify=False)
    assert sum(isinstance(m, nn.Conv2d) for m in folded.modules()) == 1
    assert distance(folded(x), model(x)) < 1e-5
    assert distance(folded(x, mask=None, features=False), model(x)) < 1e-5
    with pytest.raises(ValueError, match="features is not False, the default"):
        folded(x, features=True)


def test_a_folded_network_is_saved_copied_and_folded_again(randomise, distance) -> None:
    x = torch.randn(1, 3, 8, 8)
    for model in (Keywords(), Reaching(body(randomise), "list").eval(), body(randomise)):
        folded, file = fold(randomise(model), x), io.BytesIO()
        torch.save(folded, file)
        file.seek(0)
        loaded = torch.load(file, weights_only=False)
        assert torch.equal(loaded(x), folded(x))
        assert torch.equal(copy.deepcopy(folded)(x), folded(x))
        assert not fold_with_report(loaded, x, repeats=0)[1].folded


def test_scripted_modules_are_refused_by_name(randomise) -> None:
    x = torch.randn(1, 3, 8, 8)
    for model in (torch.export.export(body(randomise), (x,)).module(),):
        with pytest.raises(ValueError, match=r"torch\.export is not read; give the eager"):
            fold(model, x)


@pytest.mark.parametrize(("kind", "pairs"), [("chain", 40), ("parts", 20)])
def test_time_grows_linearly(kind, pairs) -> None:
    class Part(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.body = nn.Sequential(nn.Conv2d(2, 2, 1), nn.BatchNorm2d(2), nn.Tanh())

        def forward(self, x: Tensor) -> Tensor:
            y = self.body(x)
            return y if y.sum() > -1e30 else -y  # cannot be traced

    def seconds(count: int) -> float:
        made = [Part() if kind == "parts" else Part().body for _ in range(count)]
        model, x = nn.Sequential(*made).eval(), torch.randn(1, 2, 2, 2)
        start = time.process_time()
        _, report = fold_with_report(model, x, repeats=0)
        assert report.after.batch_norms == 0
        return time.process_time() - start

    seconds(2)
    few, many = seconds(pairs), seconds(4 * pairs)
    assert many < 10 * few + 1
