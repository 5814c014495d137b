"""A network predicted in one call, and noise that breaks symmetry."""

import copy

import pytest
import torch
from torch import nn
from torch.func import functional_call

from nascence.hypernet import GHN, accuracy, break_symmetry, predict, state_of, transfer


def test_the_whole_job_in_one_call() -> None:
    torch.manual_seed(0)
    ghn = GHN(width=8, max_shape=(8, 8, 3, 3))
    model = nn.Sequential(
        nn.Conv2d(3, 16, 3), nn.BatchNorm2d(16), nn.ReLU(), nn.Flatten(), nn.Linear(16 * 36, 4)
    )
    before = {name: value.clone() for name, value in model.state_dict().items()}
    labels = torch.randint(4, (128,))
    images = torch.randn(128, 3, 8, 8) + labels[:, None, None, None]
    values = predict(model, images, ghn=ghn, labels=labels)
    assert values.keys() == model.state_dict().keys()
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    assert accuracy(model, values, images, labels) > 0.5
    model.load_state_dict(values)
    assert model[1].running_mean.abs().sum() > 0


class Tied(nn.Module):
    """Two names for one weight, and a buffer that is not saved."""

    def __init__(self) -> None:
        super().__init__()
        self.body, self.again, self.head = nn.Linear(4, 4), nn.Linear(4, 4), nn.Linear(4, 3)
        self.again.weight = self.body.weight
        self.register_buffer("scale", torch.ones(4), persistent=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head(self.again(torch.relu(self.body(x * self.scale))))


def test_values_load_where_weights_are_shared_and_buffers_are_not_saved() -> None:
    model = Tied()
    values = predict(model, torch.randn(8, 4), ghn=GHN(width=8, max_shape=(8, 8, 3, 3)))
    model.load_state_dict(values)
    assert values["again.weight"] is values["body.weight"]
    assert "scale" not in values
    own = {name: value.detach() for name, value in model.named_parameters()}
    state = state_of(model, {**own, "scale": model.scale})
    assert state.keys() == model.state_dict().keys()


def test_noise_parts_tiled_filters() -> None:
    params = {"w": torch.ones(4, 3), "zero": torch.zeros(2)}
    generator = torch.Generator().manual_seed(0)
    noisy = break_symmetry(params, generator=generator, scale=0.01)
    assert len(noisy["w"].unique()) == 12
    assert (noisy["w"] - 1).square().mean().sqrt() == pytest.approx(0.01, rel=0.5)
    assert torch.equal(noisy["zero"], params["zero"])
    assert torch.equal(params["w"], torch.ones(4, 3))
    buffers = {"n.running_var": torch.full((3,), 1e-9), "n.num_batches_tracked": torch.tensor(2)}
    for name, value in break_symmetry(buffers, generator=generator).items():
        assert torch.equal(value, buffers[name])
    with pytest.raises(ValueError, match="must not be negative"):
        break_symmetry(params, generator=generator, scale=-1.0)


def test_broken_symmetry_is_what_lets_training_part_equal_filters() -> None:
    """Two equal filters have equal gradients; with noise their gradients differ."""
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(3, 4), nn.ReLU(), nn.Linear(4, 2))
    tiled = {
        "0.weight": torch.randn(2, 3).repeat(2, 1),
        "0.bias": torch.zeros(4),
        "2.weight": torch.randn(2, 2).repeat(1, 2),
        "2.bias": torch.zeros(2),
    }
    x, labels = torch.randn(16, 3), torch.arange(16) % 2
    noisy = break_symmetry(tiled, generator=torch.Generator().manual_seed(0))
    for values, same in ((tiled, True), (noisy, False)):
        leaves = {name: value.clone().requires_grad_() for name, value in values.items()}
        loss = nn.functional.cross_entropy(functional_call(model, leaves, (x,)), labels)
        gradient = torch.autograd.grad(loss, leaves["0.weight"])[0]
        assert torch.allclose(gradient[:2], gradient[2:], atol=1e-7) == same


def test_transfer_makes_the_class_layers_anew() -> None:
    torch.manual_seed(0)
    ghn = GHN(width=8, max_shape=(8, 8, 3, 3))
    model = nn.Sequential(
        nn.Conv2d(3, 16, 3), nn.BatchNorm2d(16), nn.ReLU(), nn.Flatten(), nn.Linear(16 * 36, 4)
    )
    labels = torch.arange(60) % 4
    images = torch.randn(60, 3, 8, 8) + 2 * labels[:, None, None, None]
    plain = predict(model, images, ghn=ghn)

    def transferred(seed: int, **settings: object) -> dict[str, torch.Tensor]:
        generator = torch.Generator().manual_seed(seed)
        return transfer(model, images, ghn=ghn, generator=generator, **settings)

    first, again, other = transferred(1), transferred(1), transferred(2)
    assert all(torch.equal(value, again[name]) for name, value in first.items())
    assert not torch.equal(first["4.weight"], other["4.weight"])
    assert first["4.weight"].abs().max() <= (16 * 36) ** -0.5
    assert not first["4.bias"].any()
    assert torch.allclose(first["0.weight"], plain["0.weight"], atol=0.1)
    assert not torch.equal(first["0.weight"], plain["0.weight"])
    still = transferred(1, scale=0.0, labels=labels)
    assert torch.equal(still["0.weight"], plain["0.weight"])
    assert accuracy(model, still, images, labels) > 0.8


@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16])
def test_a_model_of_another_precision_gets_the_rounded_values(dtype: torch.dtype) -> None:
    model = nn.Sequential(
        nn.Conv2d(3, 8, 3, padding=1), nn.BatchNorm2d(8), nn.ReLU(), nn.AdaptiveAvgPool2d(1),
        nn.Flatten(), nn.Linear(8, 10),
    )  # fmt: skip
    images = torch.randn(6, 3, 8, 8, generator=torch.Generator().manual_seed(0))
    labels = torch.arange(6)
    wanted = predict(model, images, labels=labels)
    other = copy.deepcopy(model).to(dtype)
    before = copy.deepcopy(other.state_dict())
    found = predict(other, images.to(dtype).float(), labels=labels)
    if dtype == torch.float64:
        assert all(found[name].float().equal(value) for name, value in wanted.items())
    assert all(found[name].dtype == value.dtype for name, value in before.items())
    assert all(other.state_dict()[name].equal(value) for name, value in before.items())
    other.load_state_dict(found)
    assert other(images.to(dtype)).dtype == dtype
    generator = torch.Generator().manual_seed(0)
    moved = transfer(other, images.to(dtype), generator=generator, labels=labels)
    assert moved["0.weight"].dtype == dtype
