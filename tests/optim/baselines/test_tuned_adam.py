"""Tuned forms of Adam against torch's and against loops by hand."""

import itertools
import math

import pytest
import torch

from benchmarks.optim.make_opt_list import sample_nadamw
from nascence.optim import Adam, AdamW, LearnedOptimizer, NAdamW
from nascence.optim.baselines.tuned_adam import (
    LEARNING_RATES,
    Adam8p,
    NAdamWCosine,
    learning_rates,
    sample_adam8p,
)
from nascence.optim.contract import init_stacked, kernel_of
from nascence.params import Params

STEPS = 40


@pytest.fixture
def problem(generator: torch.Generator) -> tuple[list[Params], Params]:
    shapes = {"a": (3, 4), "b": ()}

    def new() -> Params:
        return {name: torch.randn(shape, generator=generator) for name, shape in shapes.items()}

    return [new() for _ in range(STEPS)], new()


def trajectory(
    optimizer: LearnedOptimizer, grads: list[Params], params: Params, length: float | None
) -> Params:
    state = optimizer.init(params, num_steps=length)
    for grad in grads:
        updates, state = optimizer.update(grad, state, params)
        params = {name: value + updates[name] for name, value in params.items()}
    return params


def test_adam8p_without_penalty_and_decay_is_adam_of_torch(
    problem: tuple[list[Params], Params],
) -> None:
    grads, params = problem
    ours = Adam8p(0.02, betas=(0.8, 0.99), epsilon=1e-6)
    theirs = {name: value.clone().requires_grad_() for name, value in params.items()}
    optimizer = torch.optim.Adam(list(theirs.values()), lr=0.02, betas=(0.8, 0.99), eps=1e-6)
    for grad in grads:
        for name, value in theirs.items():
            value.grad = grad[name]
        optimizer.step()
    found = trajectory(ours, grads, params, STEPS)
    for name, value in theirs.items():
        torch.testing.assert_close(found[name], value.detach(), rtol=2e-5, atol=1e-6)


@pytest.mark.parametrize("length", [40, 400, None])
def test_adam8p_is_a_loop_written_by_hand(
    problem: tuple[list[Params], Params], length: int | None
) -> None:
    grads, params = problem
    rate, beta1, beta2, epsilon = 0.03, 0.7, 0.95, 1e-3
    l1, l2, linear, exponential = 0.2, 0.05, 9e-5, 4e-4
    ours = Adam8p(
        rate,
        betas=(beta1, beta2),
        epsilon=epsilon,
        l1=l1,
        l2=l2,
        linear=linear,
        exponential=exponential,
    )
    found = trajectory(ours, grads, params, length)
    for name in params:
        value, first, second = params[name].double(), 0.0, 0.0
        for step, grad in enumerate(grads):
            # the gradient of l1 |w| + l2 w² by autograd, not by our formula
            leaf = value.clone().requires_grad_()
            (l1 * leaf.abs().sum() + l2 * (leaf**2).sum()).backward()
            g = grad[name].double() + leaf.grad
            first = beta1 * first + (1 - beta1) * g
            second = beta2 * second + (1 - beta2) * g**2
            direction = first / (1 - beta1 ** (step + 1))
            direction = direction / ((second / (1 - beta2 ** (step + 1))).sqrt() + epsilon)
            time = step * 10_000 / (length or 10_000)
            slowed = rate * max(1 - linear * time, 0) * math.exp(-exponential * time)
            value = value - slowed * direction
        torch.testing.assert_close(found[name], value.float(), rtol=2e-5, atol=1e-6)


def test_nadamw_cosine_with_no_schedule_is_nadamw_and_adamw(
    problem: tuple[list[Params], Params],
) -> None:
    grads, params = problem
    for nesterov, plain in ((1.0, NAdamW), (0.0, AdamW)):
        ours = NAdamWCosine(0.02, weight_decay=0.1, nesterov=nesterov)
        found = trajectory(ours, grads, params, STEPS)
        expected = trajectory(plain(0.02, weight_decay=0.1), grads, params, STEPS)
        for name, value in expected.items():
            torch.testing.assert_close(found[name], value, rtol=1e-6, atol=1e-7)


def test_weight_decay_may_be_zero_and_is_then_none(problem: tuple[list[Params], Params]) -> None:
    grads, params = problem
    found = trajectory(AdamW(0.02, weight_decay=0), grads, params, None)
    expected = trajectory(Adam(0.02), grads, params, None)
    for name, value in expected.items():
        assert torch.equal(found[name], value)


def test_the_penalty_of_nadamw_shrinks() -> None:
    """The published code subtracts the penalty; here it pulls towards zero."""
    params = {"x": torch.tensor([2.0, -3.0])}
    none = {"x": torch.zeros(2)}
    moved = trajectory(NAdamWCosine(0.1, l2=0.1), [none], params, 10)["x"]
    assert (moved.abs() < params["x"].abs()).all()
    assert torch.equal(moved.sign(), params["x"].sign())


def rate_after(optimizer: NAdamWCosine, taken: int, length: int) -> float:
    theta = dict(optimizer.named_parameters())
    return optimizer.factor(theta, torch.tensor(float(taken)), torch.tensor(float(length))).item()


def test_the_schedule_at_hand_worked_points() -> None:
    optimizer = NAdamWCosine(warmup=0.1, constant=0.5, floor=0.2)
    assert rate_after(optimizer, 0, 1000) == 0
    assert rate_after(optimizer, 50, 1000) == pytest.approx(0.5)
    assert rate_after(optimizer, 100, 1000) == pytest.approx(1)
    assert rate_after(optimizer, 500, 1000) == pytest.approx(1)
    assert rate_after(optimizer, 750, 1000) == pytest.approx(0.6)  # half way: (1 + 0.2) / 2
    assert rate_after(optimizer, 1000, 1000) == pytest.approx(0.2)
    assert rate_after(optimizer, 5000, 1000) == pytest.approx(0.2)


def test_warm_up_ends_where_the_decay_begins() -> None:
    """The smaller of both shares counts, as in the paper; the port to torch takes the larger."""
    early = NAdamWCosine(warmup=0.4, constant=0.1, floor=0.0)
    assert rate_after(early, 50, 1000) == pytest.approx(0.5)
    assert rate_after(early, 100, 1000) == pytest.approx(1)
    late = NAdamWCosine(warmup=0.1, constant=0.8, floor=0.0)
    assert rate_after(late, 400, 1000) == pytest.approx(1)


def test_a_constant_rate_stays() -> None:
    optimizer = NAdamWCosine(constant=1.0, floor=0.0)
    assert [rate_after(optimizer, taken, 100) for taken in (0, 50, 100, 200)] == [1, 1, 1, 1]


def test_first_entry_of_the_published_list_can_be_set() -> None:
    optimizer = NAdamWCosine(
        0.00119,
        betas=(0.936, 0.99895),
        epsilon=5.9e-6,
        weight_decay=0.0101,
        constant=0.747,
        floor=0.0,
    )
    assert rate_after(optimizer, 747, 1000) == pytest.approx(1)
    assert rate_after(optimizer, 1000, 1000) == pytest.approx(0, abs=1e-6)


@pytest.mark.parametrize("optimizer", [Adam8p(), NAdamWCosine()], ids=["adam8p", "nadamw"])
@torch.no_grad()
def test_many_settings_in_one_vmap_equal_one_after_the_other(
    optimizer: LearnedOptimizer, problem: tuple[list[Params], Params], generator: torch.Generator
) -> None:
    sample = sample_adam8p if isinstance(optimizer, Adam8p) else sample_nadamw
    theta = sample(5, generator=generator)
    grads, start = problem
    params = {name: torch.stack([value] * 5) for name, value in start.items()}
    state = init_stacked(optimizer, params, num_steps=torch.full((5,), float(STEPS)))
    for grad in grads[:10]:
        stacked = {name: torch.stack([value] * 5) for name, value in grad.items()}
        kernel_of(optimizer).step_stacked_(theta, stacked, state, params, loss=torch.zeros(5))
    for setting in range(5):
        with torch.no_grad():
            for name, value in optimizer.named_parameters():
                value.copy_(theta[name][setting])
        alone = trajectory(optimizer, grads[:10], start, STEPS)
        for name, value in alone.items():
            torch.testing.assert_close(params[name][setting], value, rtol=1e-4, atol=1e-6)


def test_fourteen_half_decades() -> None:
    assert len(LEARNING_RATES) == 14
    assert LEARNING_RATES[0] == 3e-7
    assert LEARNING_RATES[-1] == 1.0
    for low, high in itertools.pairwise(LEARNING_RATES):
        assert 2.999 < high / low < 3.334
    theta = learning_rates()
    torch.testing.assert_close(theta["log_rate"].exp(), torch.tensor(LEARNING_RATES))
    assert {value.shape for value in theta.values()} == {(14,)}


def test_settings_are_drawn_from_the_published_ranges(generator: torch.Generator) -> None:
    theta = sample_adam8p(4000, generator=generator)
    ranges = {
        "log_rate": (1e-8, 10),
        "log_decay1": (1e-4, 1),
        "log_decay2": (1e-6, 1),
        "log_epsilon": (1e-10, 1e3),
        "log_l1": (1e-8, 10),
        "log_l2": (1e-8, 10),
        "log_linear": (1e-7, 1e-4),
        "log_exponential": (1e-6, 1e-3),
    }
    assert theta.keys() == dict(Adam8p().named_parameters()).keys() == ranges.keys()
    for name, (low, high) in ranges.items():
        span = (theta[name] - math.log(low)) / math.log(high / low)
        assert 0 <= span.min() < 0.01
        assert 0.99 < span.max() <= 1
        assert abs(span.mean() - 0.5) < 0.03


def test_impossible_settings_are_refused() -> None:
    with pytest.raises(ValueError, match="floor is 2"):
        NAdamWCosine(floor=2)
    with pytest.raises(ValueError, match="l1 is -1; it must be positive or 0"):
        Adam8p(l1=-1)
