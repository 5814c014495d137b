"""Running a network leaves it as it was."""

import pytest
import torch
from torch import Tensor, nn

from nascence.metrics.passes import batch_statistics, cross_entropy, free_parameters, gradients, run


def test_batch_normalisation_uses_the_batch_and_keeps_its_buffers(network: nn.Module) -> None:
    network.eval()
    state = {name: value.clone() for name, value in network.state_dict().items()}
    images = torch.randn(5, 3, 8, 8) * 3 + 1
    found = run(network, images)
    assert all(torch.equal(value, state[name]) for name, value in network.state_dict().items())
    assert not any(module.training for module in network.modules())
    torch.testing.assert_close(found, network.train()(images))


def test_what_any_module_writes_into_its_buffers_is_not_kept() -> None:
    class Counting(nn.BatchNorm2d):
        def forward(self, x: Tensor) -> Tensor:
            self.running_mean += 1
            return super().forward(x)

    class Recurrent(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.register_buffer("seen", torch.zeros(1))

        def forward(self, x: Tensor) -> Tensor:
            self.seen += 1
            return x * self.seen

    model = nn.Sequential(Counting(2), Recurrent(), nn.BatchNorm2d(2), nn.BatchNorm2d(2).eval())
    model.append(nn.BatchNorm2d(2, track_running_stats=False))
    state = {name: value.clone() for name, value in model.state_dict().items()}
    tensors = {name: id(value) for name, value in model.named_buffers()}
    run(model, torch.randn(4, 2, 3, 3))
    with pytest.raises(ValueError, match="expected 4D"):
        run(model, torch.randn(4, 2))
    assert {name: id(value) for name, value in model.named_buffers()} == tensors
    assert all(torch.equal(value, state[name]) for name, value in model.state_dict().items())
    tracks = [m.track_running_stats for m in model if isinstance(m, nn.BatchNorm2d)]
    assert tracks == [True, True, True, False]


def test_dropout_is_off_and_random_numbers_are_put_back() -> None:
    class Noisy(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return x + torch.rand(())

    before = torch.get_rng_state()
    x = torch.randn(3, 4)
    random_state = torch.get_rng_state()
    torch.testing.assert_close(run(nn.Dropout(0.9), x), x)
    run(Noisy(), x)
    assert torch.equal(torch.get_rng_state(), random_state)
    assert not torch.equal(before, random_state)


def test_modes_are_restored_after_an_error() -> None:
    model = nn.Sequential(nn.BatchNorm1d(3).eval(), nn.Dropout())
    with batch_statistics(model):
        assert [module.training for module in model] == [True, False]
    with pytest.raises(ValueError, match=r"images of shape \(2, 4\): .*should contain 4 elements"):
        run(model, torch.zeros(2, 4))
    assert [module.training for module in model] == [False, True]


def test_parameters_are_leaves_that_share_memory(network: nn.Module) -> None:
    leaves = free_parameters(network.requires_grad_(False))
    for name, value in network.named_parameters():
        assert leaves[name].data_ptr() == value.data_ptr()
        assert leaves[name].requires_grad
        assert not value.requires_grad


def test_tied_parameters_are_replaced_together() -> None:
    first, last = nn.Linear(3, 3, bias=False), nn.Linear(3, 3, bias=False)
    last.weight = first.weight
    model = nn.Sequential(first, last)
    found = run(model, torch.ones(1, 3), {"0.weight": torch.eye(3) * 2})
    torch.testing.assert_close(found, torch.full((1, 3), 4.0))


def test_gradients_of_what_is_not_used_are_zero() -> None:
    x, unused = torch.ones(3, requires_grad=True), torch.ones(2, requires_grad=True)
    slopes = gradients((2 * x).sum(), {"x": x, "unused": unused})
    assert slopes[0].tolist() == [2, 2, 2]
    assert slopes[1].tolist() == [0, 0]
    assert gradients(torch.ones(()), {"x": x})[0].tolist() == [0, 0, 0]


def test_labels_must_fit() -> None:
    for labels in (torch.tensor([0, 3]), torch.tensor([-1, 0])):
        with pytest.raises(ValueError, match="from 0 to 2"):
            cross_entropy(torch.zeros(2, 3), labels)
    with pytest.raises(ValueError, match=r"labels \(3,\)"):
        cross_entropy(torch.zeros(2, 3), torch.zeros(3, dtype=torch.long))


def test_one_value_per_channel_is_normalised_to_zero() -> None:
    """What is left is the shift, as in a batch of the same value twice."""
    torch.manual_seed(0)
    model = nn.Sequential(nn.Conv2d(3, 4, 2), nn.BatchNorm2d(4))
    nn.init.normal_(model[1].bias)
    output = run(model, torch.randn(1, 3, 2, 2))
    assert torch.allclose(output.flatten(), model[1].bias, atol=1e-4)
    assert torch.equal(model[1].running_mean, torch.zeros(4))
