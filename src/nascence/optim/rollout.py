"""Train stacked networks with an optimizer and measure what comes out."""

from typing import NamedTuple

import torch
from torch import Tensor
from torch.func import grad_and_value, vmap

from nascence.optim.contract import LearnedOptimizer
from nascence.params import Params
from nascence.task import Stack, TaskSplit


class Rollout(NamedTuple):
    """Losses ``(tasks,)`` before and after, and final parameters ``(tasks, ...)``.

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
    """Train every task of a stack for ``steps`` steps.

    ``theta`` has its own parameters ``(tasks, ...)`` for each task; without it those of the
    optimizer serve all. ``known`` tells the optimizer how many steps there will be. The losses
    are means over ``batches`` batches of ``split``. With the same generator, stacks of equal
    length of one problem start alike and see the same batches.
    """
    count = len(stack)
    if theta is None:
        theta = {n: v.detach().expand(count, *v.shape) for n, v in optimizer.named_parameters()}
    params = stack.init(generator=generator)
    first = _measured(stack, params, split, batches, generator)
    length = torch.full((count,), float(steps) if known else torch.inf)
    state = optimizer.init_stacked(params, num_steps=length)
    gradients = vmap(grad_and_value(stack.problem.loss, argnums=1))
    for _ in range(steps):
        batch = stack.batch("train", generator=generator)
        grads, loss = gradients(stack.constants, params, batch)
        updates, state = optimizer.update_stacked(theta, grads, state, params, loss=loss)
        params = {name: value + updates[name] for name, value in params.items()}
    return Rollout(first, _measured(stack, params, split, batches, generator), params)


def _measured(
    stack: Stack, params: Params, split: TaskSplit, batches: int, generator: torch.Generator
) -> Tensor:
    losses = [stack.loss(params, stack.batch(split, generator=generator)) for _ in range(batches)]
    return torch.nan_to_num(torch.stack(losses).mean(0), nan=torch.inf, posinf=torch.inf)
