"""One step of a generator and its discriminator."""

import math

import pytest
import torch
from torch import Tensor, nn

from nascence.gan.adversaries import Adversaries
from nascence.training import DivergenceError


class Judge(nn.Module):
    """D(x) = w x, of single numbers."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.tensor(1.0))

    def forward(self, x: Tensor) -> Tensor:
        return self.weight * x


def pair(rates: tuple[float, float] = (0.01, 0.02)) -> Adversaries:
    torch.manual_seed(0)
    return Adversaries(nn.Linear(1, 1), Judge(), rates=rates, device=torch.device("cpu"))


def state_of(module: nn.Module) -> Tensor:
    return torch.cat([each.detach().flatten() for each in module.parameters()])


def test_the_hinge_loss_by_hand() -> None:
    """max(0, 1 - 0.5) and max(0, 1 - 3) of the real, max(0, 1 - 0.5), max(0, 1 - 2) of the fake."""
    made = pair()
    real, fake = torch.tensor([0.5, 3.0]), torch.tensor([-0.5, -2.0])
    assert made.discriminate(real, fake, made.discriminator) == pytest.approx(0.25 + 0.25)
    # the gradient is -(0.5 + 0) / 2 - (0.5 + 0) / 2, and Adam's first step is the rate
    assert float(made.discriminator.weight.detach()) == pytest.approx(1.02)


def test_beyond_the_margin_the_discriminator_rests() -> None:
    made = pair()
    assert made.discriminate(torch.tensor([2.0]), torch.tensor([-2.0]), made.discriminator) == 0
    assert float(made.discriminator.weight.detach()) == 1


def test_the_generator_climbs_what_the_discriminator_says() -> None:
    made = pair()
    before, judge = state_of(made.generator), state_of(made.discriminator)
    fake = made.generator(torch.ones(4, 1))
    value = made.generate(fake, made.discriminator)
    assert value == pytest.approx(-float(fake.detach().mean()))
    torch.testing.assert_close(state_of(made.generator), before + 0.01)
    assert torch.equal(state_of(made.discriminator), judge)
    assert all(each.grad is None for each in made.discriminator.parameters())


def test_the_momentum_of_gradients_is_off() -> None:
    """With beta_1 = 0 a zero gradient after others does not move a weight."""
    made = pair()
    made.discriminate(torch.tensor([0.5]), torch.tensor([-0.5]), made.discriminator)
    after = float(made.discriminator.weight.detach())
    made.discriminate(torch.tensor([5.0]), torch.tensor([-5.0]), made.discriminator)
    assert float(made.discriminator.weight.detach()) == after


def test_rates_are_scaled_and_state_goes_over() -> None:
    made, other = pair(), pair()
    made.scale_rates(0.5)
    real, fake = torch.tensor([0.5]), torch.tensor([-0.5])
    made.discriminate(real, fake, made.discriminator)
    assert float(made.discriminator.weight.detach()) == pytest.approx(1.01)
    other.load(made.state())
    for each in (made, other):
        each.scale_rates(1)
        each.discriminate(real, fake, each.discriminator)
        each.generate(each.generator(torch.ones(2, 1)), each.discriminator)
    assert torch.equal(state_of(made.discriminator), state_of(other.discriminator))
    assert torch.equal(state_of(made.generator), state_of(other.generator))


def test_losses_that_are_not_finite_are_told() -> None:
    made = pair()
    broken = torch.tensor([math.nan])
    with pytest.raises(DivergenceError, match="the loss of the discriminator became nan"):
        made.discriminate(broken, broken, made.discriminator)
    with pytest.raises(DivergenceError, match="the loss of the generator became nan"):
        made.generate(made.generator(broken[None]), made.discriminator)
    with pytest.raises(ValueError, match="give positive numbers"):
        pair((0.0, 1.0))
