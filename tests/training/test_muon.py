"""Muon for kernels: orthogonal steps, SGD for the rest, and a state that goes on exactly."""

import copy

import torch
from torch import nn

from nascence.training import KernelMuon, parameter_groups
from nascence.training.muon import is_hidden_kernel


def network() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(3, 16, 3),
        nn.Conv2d(16, 16, 3),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(16, 4),
    )


def stepped(model: nn.Module, optimizer: KernelMuon, *, seed: int) -> None:
    images = torch.randn(4, 3, 8, 8, generator=torch.Generator().manual_seed(seed))
    model(images).square().mean().backward()
    optimizer.step()
    optimizer.zero_grad()


def test_a_step_of_a_kernel_is_nearly_orthogonal() -> None:
    """The iteration brings singular values to about 0.7 to 1.2, whatever the gradient's are."""
    model = network()
    before = model[1].weight.detach().clone()
    optimizer = KernelMuon(parameter_groups(model), lr=0.1)
    scales = torch.logspace(-1, 1, 16).view(-1, 1, 1, 1)
    gradient = torch.randn(16, 16, 3, 3, generator=torch.Generator().manual_seed(1))
    model[1].weight.grad = scales * gradient
    optimizer.step()
    moved = (before - model[1].weight.detach()).flatten(1) / 0.1
    values = torch.linalg.svdvals(moved)
    assert values.max() < 1.3
    assert values.median() > 0.6


def test_the_rest_is_trained_as_sgd_trains_it() -> None:
    model = network()
    reference = copy.deepcopy(model)
    matrices = [reference[0].weight, reference[4].weight]
    vectors = [reference[number].bias for number in (0, 1, 4)]
    sgd = torch.optim.SGD(
        [{"params": matrices, "weight_decay": 5e-4}, {"params": vectors, "weight_decay": 0.0}],
        lr=0.1,
        momentum=0.9,
        nesterov=True,
    )
    images = torch.randn(4, 3, 8, 8, generator=torch.Generator().manual_seed(1))
    reference(images).square().mean().backward()
    sgd.step()
    stepped(model, KernelMuon(parameter_groups(model), sgd_lr=0.1), seed=1)
    for name in ("0.weight", "0.bias", "1.bias", "4.weight", "4.bias"):
        torch.testing.assert_close(model.get_parameter(name), reference.get_parameter(name))


def test_first_and_depthwise_kernels_and_matrices_are_not_hidden_kernels() -> None:
    depthwise = nn.Conv2d(32, 32, 3, groups=32)
    assert not is_hidden_kernel(depthwise.weight)
    assert not is_hidden_kernel(nn.Conv2d(3, 32, 3).weight)
    assert not is_hidden_kernel(nn.Linear(32, 32).weight)
    assert is_hidden_kernel(nn.Conv2d(32, 32, 1).weight)


def test_rates_are_those_of_the_groups() -> None:
    model = network()
    before = copy.deepcopy(model.state_dict())
    optimizer = KernelMuon(parameter_groups(model))
    for group in optimizer.param_groups:
        group["lr"] = 0.0
    stepped(model, optimizer, seed=1)
    torch.testing.assert_close(model.state_dict(), before)


def test_a_state_goes_on_exactly() -> None:
    whole = network()
    optimizer = KernelMuon(parameter_groups(whole))
    stepped(whole, optimizer, seed=1)
    model = copy.deepcopy(whole)
    resumed = KernelMuon(parameter_groups(model))
    resumed.load_state_dict(copy.deepcopy(optimizer.state_dict()))
    for each, its in ((whole, optimizer), (model, resumed)):
        stepped(each, its, seed=2)
    torch.testing.assert_close(model.state_dict(), whole.state_dict(), rtol=0, atol=0)
