"""Evolution strategies against the analytic gradient of a learnable SGD on a quadratic."""

from dataclasses import dataclass

import pytest
import torch
from torch import Tensor

from nascence.optim import SGD
from nascence.optim.meta.evolution import Method, advance, start
from nascence.optim.theta import flatten
from nascence.params import Params
from nascence.task import Draw, Problem, Stack, Task, TaskSplit

CURVATURES = torch.tensor([1.0, 0.1])
PAIRS, LENGTH, WINDOW = 4000, 12, 3


@dataclass(frozen=True)
class Bowl(Problem):
    """``½ Σ h x²`` from x = 1, without any noise."""

    def init(self, constants: Params, *, generator: torch.Generator) -> Params:
        return {"x": torch.ones(2)}

    def draw(self, count: int, split: TaskSplit, *, generator: torch.Generator) -> Draw:
        return (torch.zeros(count),)

    def loss(self, constants: Params, params: Params, draw: Draw) -> Tensor:
        return 0.5 * (constants["h"] * params["x"] ** 2).sum()


def analytic(optimizer: SGD, *, cut: bool) -> Tensor:
    """Gradient of the mean loss of a window, summed over windows; ``cut`` at their borders."""
    theta = [value.detach().clone().requires_grad_() for value in optimizer.parameters()]
    rate, momentum = theta
    x, m = torch.ones(2), torch.zeros(2)
    total = torch.zeros(())
    for step in range(LENGTH):
        if cut and step % WINDOW == 0:
            x, m = x.detach(), m.detach()
        m = momentum * m + CURVATURES * x
        x = x - rate.exp() * m
        total = total + 0.5 * (CURVATURES * x**2).sum() / WINDOW
    return torch.stack(torch.autograd.grad(total, theta))


def estimates(optimizer: SGD, method: Method, *, window: int = WINDOW) -> tuple[Tensor, Tensor]:
    """Mean and standard error ``(D,)`` of the summed estimates, over 20 runs."""
    task = Task("bowl", Bowl(), {"h": CURVATURES})
    stack, found = Stack.of([task] * (PAIRS // 20)), []
    for seed in range(20):
        generator = torch.Generator().manual_seed(seed)
        unroll = start(optimizer, stack, length=LENGTH, generator=generator)
        total = torch.zeros(2)
        while not unroll.done:
            unroll, estimate = advance(
                *(optimizer, flatten(optimizer), stack, unroll),
                window=window,
                generator=generator,
                method=method,
                objective="plain",
                sigma=0.003,
                measure_every=1,
            )
            total += estimate.gradient * (window / WINDOW)
        found.append(total)
    stacked = torch.stack(found)
    return stacked.mean(0), stacked.std(0) / 20**0.5


@pytest.fixture
def optimizer() -> SGD:
    return SGD(0.3, momentum=0.2)


@pytest.mark.parametrize(
    ("method", "window"), [("single", LENGTH), ("single", WINDOW), ("persistent", WINDOW)]
)
def test_unbiased_forms_match_the_gradient(optimizer: SGD, method: Method, window: int) -> None:
    mean, error = estimates(optimizer, method, window=window)
    known = analytic(optimizer, cut=False)
    assert ((mean - known).abs() < 4 * error + 0.01 * known.abs()).all(), (mean, known, error)
    assert (error < 0.2 * known.abs()).all()


def test_truncation_is_biased_as_theory_has_it(optimizer: SGD) -> None:
    mean, error = estimates(optimizer, "truncated")
    cut, known = analytic(optimizer, cut=True), analytic(optimizer, cut=False)
    assert ((mean - cut).abs() < 4 * error + 0.01 * cut.abs()).all(), (mean, cut, error)
    assert ((mean - known).abs() > 6 * error).all()


def test_a_last_window_is_short_and_the_next_unroll_starts_anew(optimizer: SGD) -> None:
    stack = Stack.of([Task("bowl", Bowl(), {"h": CURVATURES})])
    generator = torch.Generator().manual_seed(0)
    unroll = start(optimizer, stack, length=7, generator=generator)
    theta = flatten(optimizer)
    for steps in (5, 2):
        unroll, estimate = advance(
            optimizer, theta, stack, unroll, window=5, generator=generator, method="persistent"
        )
        assert estimate.particle_steps == 2 * steps
    assert unroll.done
    assert not torch.equal(unroll.summed, unroll.noise)
    with pytest.raises(ValueError, match="taken its 7 steps"):
        advance(optimizer, theta, stack, unroll, window=5, generator=generator)
    fresh = start(optimizer, stack, length=7, generator=generator)
    fresh, _ = advance(
        optimizer, theta, stack, fresh, window=5, generator=generator, method="persistent"
    )
    assert torch.equal(fresh.summed, fresh.noise)


def test_a_pair_differs_in_the_sign_of_its_noise_alone(optimizer: SGD) -> None:
    stack = Stack.of([Task("bowl", Bowl(), {"h": CURVATURES})] * 3)
    generator = torch.Generator().manual_seed(0)
    unroll = start(optimizer, stack, length=4, generator=generator)
    tiny, _ = advance(
        *(optimizer, flatten(optimizer), stack, unroll),
        window=4,
        generator=generator,
        sigma=1e-9,
    )
    x = tiny.params["x"]
    torch.testing.assert_close(x[:3], x[3:])


def test_divergence_is_counted_and_gives_a_finite_gradient() -> None:
    optimizer = SGD(1e30, momentum=0.0)
    stack = Stack.of([Task("bowl", Bowl(), {"h": CURVATURES})] * 4)
    for objective in ("sign", "normalised"):
        generator = torch.Generator().manual_seed(0)
        unroll = start(optimizer, stack, length=20, generator=generator)
        _, estimate = advance(
            *(optimizer, flatten(optimizer), stack, unroll),
            window=20,
            generator=generator,
            objective=objective,  # type: ignore[arg-type]
        )
        assert estimate.diverged == 1
        assert torch.isfinite(estimate.gradient).all()


def test_unknown_forms_are_refused(optimizer: SGD) -> None:
    stack = Stack.of([Task("bowl", Bowl(), {"h": CURVATURES})])
    generator = torch.Generator().manual_seed(0)
    unroll = start(optimizer, stack, length=4, generator=generator)
    with pytest.raises(ValueError, match="single, persistent, truncated"):
        advance(
            *(optimizer, flatten(optimizer), stack, unroll),
            window=2,
            generator=generator,
            method="both",  # type: ignore[arg-type]
        )
