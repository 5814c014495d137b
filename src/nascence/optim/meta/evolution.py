"""Evolution strategies over unrolls of an optimizer: full, single, persistent, truncated.

All are antithetic: each pair of networks starts from the same values, sees the same batches, and
is trained by theta + sigma e and theta - sigma e. With e standard normal the estimate is the mean
of ``(L⁺ - L⁻) e / (2 sigma)``, over pairs (Salimans et al. 2017; Metz et al. 2019). An unroll is
cut into windows, and the forms differ in e:

- ``single`` holds one e for a whole unroll (Vicol et al. 2023, ES-Single; Li et al. 2023, NRES);
  with one window for the whole unroll it is the ``full`` form;
- ``persistent`` draws a new e for each window and weighs with the sum of all of an unroll so far
  (Vicol et al. 2021, PES): unbiased;
- ``truncated`` draws a new e for each window and weighs with it alone: blind to what a step does
  beyond its window, hence biased towards short horizons (Wu et al. 2018).
"""

from dataclasses import dataclass, replace
from typing import Literal, NamedTuple, get_args

import torch
from torch import Tensor
from torch.func import grad_and_value, vmap

from nascence.optim.contract import LearnedOptimizer, State, copied, init_stacked, kernel_of
from nascence.optim.theta import unflatten
from nascence.params import Params
from nascence.task import Stack

Method = Literal["single", "persistent", "truncated"]
Objective = Literal["sign", "normalised", "plain"]
# A normalised loss beyond this is a diverged training, however far it went.
WORST = 2.0


@dataclass(frozen=True)
class Unroll:
    """P pairs in mid-training; the first P of the 2P networks are the positive ones.

    Attributes:
        noise: ``(P, D)``, the perturbation of the last window, in units of sigma.
        summed: ``(P, D)``, the sum of all perturbations of this unroll.
        params, state: Of the networks and the optimizer, ``(2P, ...)``.
        first_loss: ``(P,)``, the outer validation loss before the first step.
        step: Steps taken.
        length: Steps of the whole unroll.
    """

    noise: Tensor
    summed: Tensor
    params: Params
    state: State
    first_loss: Tensor
    step: int
    length: int

    @property
    def done(self) -> bool:
        """Whether the unroll has reached its length."""
        return self.step >= self.length


class Estimate(NamedTuple):
    """A gradient of the outer loss, ``(D,)``, and what it came from.

    ``loss`` is the mean outer loss of the window over the first loss, at most `WORST`;
    ``diverged`` the share of networks beyond it; ``particle_steps`` the steps taken, of all.
    """

    gradient: Tensor
    loss: float
    diverged: float
    particle_steps: int


def start(
    optimizer: LearnedOptimizer,
    stack: Stack,
    *,
    length: int,
    generator: torch.Generator,
    known: float = 0.5,
) -> Unroll:
    """New unrolls of ``length`` steps, one pair for each task of the stack.

    ``known`` is the share of pairs whose optimizer is told the length.
    """
    pairs = len(stack)
    params = stack.init(generator=generator)
    with torch.no_grad():
        first = stack.loss(params, stack.batch("outer-valid", generator=generator))
    told = torch.rand(pairs, generator=generator) < known
    steps = torch.where(told, float(length), torch.inf)
    both = {name: torch.cat([value, value]) for name, value in params.items()}
    state = init_stacked(optimizer, both, num_steps=torch.cat([steps, steps]))
    size = sum(value.numel() for value in optimizer.parameters())
    noise = torch.zeros(pairs, size)
    return Unroll(noise, noise, both, state, first, 0, length)


@torch.no_grad()
def advance(
    optimizer: LearnedOptimizer,
    theta: Tensor,
    stack: Stack,
    unroll: Unroll,
    *,
    window: int,
    generator: torch.Generator,
    method: Method = "single",
    objective: Objective = "sign",
    sigma: float = 0.01,
    measure_every: int = 10,
) -> tuple[Unroll, Estimate]:
    """``window`` steps (fewer at the end of an unroll) and the gradient ``(D,)`` that they give.

    The outer loss is the mean over every ``measure_every``-th step, and the last, of the loss on
    an outer-validation batch. ``objective`` "plain" takes it as it is; "normalised" divides by
    the loss before the first step and cuts at `WORST`; "sign" keeps only which of a pair is
    lower (Metz et al. 2022, VeLO), with the estimate in units of sigma.

    Raises ValueError for an unroll that is done, and settings that are not allowed.
    """
    check_form(method, objective)
    _check(unroll, window, sigma)
    pairs = len(stack)
    noise, summed = unroll.noise, unroll.summed
    if unroll.step == 0 or method != "single":
        noise = torch.randn(noise.shape, generator=generator)
        summed = summed + noise
    perturbed = unflatten(optimizer, torch.cat([theta + sigma * noise, theta - sigma * noise]))
    twice = stack.repeated(2)
    gradients = vmap(grad_and_value(stack.problem.loss, argnums=1))
    params = {name: value.clone() for name, value in unroll.params.items()}
    state, losses = copied(unroll.state), []
    kernel = kernel_of(optimizer)
    steps = min(window, unroll.length - unroll.step)
    for step in range(1, steps + 1):
        batch = tuple(torch.cat([x, x]) for x in stack.batch("train", generator=generator))
        grads, loss = gradients(twice.constants, params, batch)
        kernel.step_stacked_(perturbed, grads, state, params, loss=loss)
        if step % measure_every == 0 or step == steps:
            held_out = stack.batch("outer-valid", generator=generator)
            losses.append(twice.loss(params, tuple(torch.cat([x, x]) for x in held_out)))
    outer = torch.stack(losses).mean(0).view(2, pairs)
    normalised = _normalised(outer, unroll.first_loss)
    weights = _weights(outer, normalised, objective, sigma)
    direction = summed if method == "persistent" else noise
    estimate = Estimate(
        weights @ direction / pairs,
        normalised.mean().item(),
        (normalised >= WORST).float().mean().item(),
        2 * pairs * steps,
    )
    moved = replace(
        unroll, noise=noise, summed=summed, params=params, state=state, step=unroll.step + steps
    )
    return moved, estimate


def _normalised(outer: Tensor, first: Tensor) -> Tensor:
    """Losses ``(2, P)`` relative to the first, in [-WORST, WORST]; NaN counts as the worst."""
    ratio = outer / first.abs().clamp(min=1e-30)
    return torch.nan_to_num(ratio, nan=WORST, posinf=WORST).clamp(-WORST, WORST)


def _weights(outer: Tensor, normalised: Tensor, objective: Objective, sigma: float) -> Tensor:
    """The factor ``(P,)`` of each perturbation."""
    if objective == "plain":
        return (outer[0] - outer[1]) / (2 * sigma)
    if objective == "normalised":
        return (normalised[0] - normalised[1]) / (2 * sigma)
    return torch.sign(normalised[0] - normalised[1])


def check_form(method: str, objective: str) -> None:
    """Raises ValueError unless both are allowed."""
    if method not in get_args(Method) or objective not in get_args(Objective):
        raise ValueError(
            f"method={method!r}, objective={objective!r}; allowed are "
            f"{', '.join(get_args(Method))} and {', '.join(get_args(Objective))}"
        )


def _check(unroll: Unroll, window: int, sigma: float) -> None:
    if unroll.done:
        raise ValueError(f"the unroll has taken its {unroll.length} steps; start another")
    if window < 1 or not sigma > 0:
        raise ValueError(f"window={window}, sigma={sigma}; both must be positive")
