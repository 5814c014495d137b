"""Train stacked networks with an optimizer, and measure the results."""

from typing import NamedTuple

import torch
from torch import Tensor
from torch.func import grad_and_value, vmap

from nascence.optim.contract import LearnedOptimizer, init_stacked, kernel_of
from nascence.params import Params
from nascence.task import Draw, Stack, TaskSplit


class Rollout(NamedTuple):
    """Losses ``(settings, tasks)`` before and after, and parameters ``(settings * tasks, ...)``.

    A loss that is not finite is infinite.
    """

    first: Tensor
    final: Tensor
    params: Params


@torch.no_grad()
def rollout(
    optimizer: LearnedOptimizer,
    stack: Stack,
    *,
    steps: int,
    generator: torch.Generator,
    theta: Params | None = None,
    known: bool = True,
    split: TaskSplit = "test",
    batches: int = 5,
) -> Rollout:
    """Train every task of a stack for ``steps`` steps, with one setting or several.

    ``theta`` ``(settings, ...)`` has one theta for each setting; without it there is one, that of
    the optimizer. All settings start from the same values and see the same batches. ``known`` tells
    the optimizer how many steps there will be. The losses are means over ``batches`` batches of
    ``split``.
    """
    if theta is None:
        theta = {name: value[None] for name, value in optimizer.named_parameters()}
    tasks, settings = len(stack), len(next(iter(theta.values())))
    theta = {name: value.repeat_interleave(tasks, 0) for name, value in theta.items()}
    whole = stack.repeated(settings)
    start = stack.init(generator=generator)
    params = {name: torch.cat([value] * settings) for name, value in start.items()}

    def measured() -> Tensor:
        return mean_losses(
            stack, params, settings=settings, split=split, batches=batches, generator=generator
        )

    first = measured()
    length = torch.full((settings * tasks,), float(steps) if known else torch.inf)
    state, kernel = init_stacked(optimizer, params, num_steps=length), kernel_of(optimizer)
    gradients = vmap(grad_and_value(stack.problem.loss, argnums=1))
    for _ in range(steps):
        batch = _repeated_batch(stack, "train", settings, generator)
        grads, loss = gradients(whole.constants, params, batch)
        kernel.step_stacked_(theta, grads, state, params, loss=loss)
    return Rollout(first, measured(), params)


@torch.no_grad()
def mean_losses(
    stack: Stack,
    params: Params,
    *,
    settings: int,
    split: TaskSplit,
    batches: int,
    generator: torch.Generator,
) -> Tensor:
    """Losses ``(settings, tasks)`` of parameters ``(settings * tasks, ...)``, as in `Rollout`."""
    whole = stack.repeated(settings)
    losses = [
        whole.loss(params, _repeated_batch(stack, split, settings, generator))
        for _ in range(batches)
    ]
    mean = torch.stack(losses).mean(0).view(settings, len(stack))
    return torch.nan_to_num(mean, nan=torch.inf, posinf=torch.inf)


def _repeated_batch(stack: Stack, split: TaskSplit, count: int, generator: torch.Generator) -> Draw:
    return tuple(torch.cat([x] * count) for x in stack.batch(split, generator=generator))
