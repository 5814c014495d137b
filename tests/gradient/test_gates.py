"""Gates against what is known of them: probabilities of Gumbel-max, and integrals over the noise.

Of two choices the difference of the noises is logistic, so the expected value of any function of
the gate, and its derivative, is an integral in one variable.
"""

import math
from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from nascence.gradient.gates import (
    concrete,
    concrete_gate,
    softmax_gate,
    straight_through,
    straight_through_gate,
)

LOGITS = torch.tensor([0.8, -0.4], dtype=torch.float64)
DRAWS = 4_000


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def soft_expectation(difference: Tensor, temperature: float, f: Callable) -> Tensor:
    """Of f of the first of two concrete gates, whose logits differ so much: trapezes in u."""
    u = (torch.arange(200_000, dtype=torch.float64) + 0.5) / 200_000
    noise = torch.log(u) - torch.log1p(-u)
    return f(((difference + noise) / temperature).sigmoid()).mean()


def exact_gradient(temperature: float, f: Callable) -> Tensor:
    """Of the expected f of soft gates by both logits."""
    logits = LOGITS.clone().requires_grad_()
    value = soft_expectation(logits[0] - logits[1], temperature, f)
    return torch.autograd.grad(value, logits)[0]


def estimates(gate: Callable, temperature: float, f: Callable) -> Tensor:
    """(draws, 2) single estimates of the gradient of f of the first gate."""
    generator, found = seeded(), []
    for _ in range(DRAWS):
        logits = LOGITS.clone().requires_grad_()
        first = gate(logits, temperature=temperature, generator=generator)[0]
        found.append(torch.autograd.grad(f(first), logits)[0])
    return torch.stack(found)


def errors_away(samples: Tensor, expected: Tensor) -> float:
    """The largest distance of the means from what is expected, in standard errors."""
    error = samples.std(0) / math.sqrt(len(samples))
    return float(((samples.mean(0) - expected).abs() / error).max())


def test_hard_gates_are_drawn_with_the_softmax_probability_at_any_temperature() -> None:
    logits = torch.tensor([1.0, 0.0, -1.0, 0.5])
    for temperature in (10.0, 0.1):
        generator = seeded()
        drawn = torch.stack(
            [
                straight_through(logits, temperature=temperature, generator=generator)
                for _ in range(DRAWS)
            ]
        )
        assert errors_away(drawn, logits.softmax(0)) < 4
        assert set(drawn.unique().tolist()) == {0.0, 1.0}
        assert drawn.sum(1).eq(1).all()


@pytest.mark.parametrize("temperature", [2.0, 0.5])
def test_the_concrete_gradient_is_that_of_the_expected_loss_of_soft_gates(
    temperature: float,
) -> None:
    def f(gate: Tensor) -> Tensor:
        return (gate - 0.3) ** 2

    expected = exact_gradient(temperature, f)
    assert errors_away(estimates(concrete, temperature, f), expected) < 4


@pytest.mark.parametrize("temperature", [2.0, 0.5])
def test_the_straight_through_gradient_of_a_linear_loss_is_that_of_soft_gates(
    temperature: float,
) -> None:
    def f(gate: Tensor) -> Tensor:
        return 3 * gate

    expected = exact_gradient(temperature, f)
    assert errors_away(estimates(straight_through, temperature, f), expected) < 4


def test_the_straight_through_gradient_is_biased_elsewhere() -> None:
    """Of a loss that is 0 for both hard gates: no hard gradient, but a straight-through one."""

    def f(gate: Tensor) -> Tensor:
        return gate * (1 - gate) ** 2

    hard = torch.zeros(2, dtype=torch.float64)  # of the expected loss of hard gates: 0
    found = estimates(straight_through, 1.0, f)
    assert errors_away(found, hard) > 4
    assert errors_away(found, exact_gradient(1.0, f)) > 4  # nor is it that of soft gates


def test_at_a_low_temperature_soft_gates_are_hard() -> None:
    for seed in range(20):
        soft = concrete(LOGITS, temperature=1e-4, generator=seeded(seed))
        hard = straight_through(LOGITS, temperature=5.0, generator=seeded(seed))
        torch.testing.assert_close(soft, hard, atol=1e-3, rtol=0)


def test_temperatures_fall_linearly() -> None:
    for schedule, gate in ((concrete_gate, concrete), (straight_through_gate, straight_through)):
        made = schedule(10.0, 0.1)
        for done, temperature in ((0.0, 10.0), (0.5, 5.05), (1.0, 0.1), (1.5, 0.1)):
            ours = LOGITS.clone().requires_grad_()
            theirs = LOGITS.clone().requires_grad_()
            found = made(ours, done, seeded())
            expected = gate(theirs, temperature=temperature, generator=seeded())
            torch.testing.assert_close(found, expected)
            torch.testing.assert_close(
                torch.autograd.grad(found[0], ours), torch.autograd.grad(expected[0], theirs)
            )


def test_noise_of_the_largest_and_least_uniform_numbers_is_finite(monkeypatch) -> None:
    for value in (0.0, 1.0):
        monkeypatch.setattr(torch, "rand", lambda shape, value=value, **_: torch.full(shape, value))
        assert concrete(torch.zeros(3), temperature=1.0, generator=seeded()).isfinite().all()


def test_softmax_gate() -> None:
    torch.testing.assert_close(softmax_gate(LOGITS, 0.5, seeded()), LOGITS.softmax(0))


@pytest.mark.parametrize("temperatures", [(0.1, 1.0), (1.0, 0.0), (float("nan"), 1.0)])
def test_impossible_temperatures(temperatures: tuple[float, float]) -> None:
    for schedule in (concrete_gate, straight_through_gate):
        with pytest.raises(ValueError, match="temperatures go from"):
            schedule(*temperatures)
