"""Trials: one optimizer with many settings on the same tasks, starts and batches."""

from typing import NamedTuple

import torch
from torch import Tensor

from nascence.optim.compare.rollout import mean_losses, rollout
from nascence.optim.contract import LearnedOptimizer
from nascence.params import Params
from nascence.task import Stack

# Values of one parameter-sized tensor over all networks that run at once: a few MB.
GROUP_VALUES = 2**20
GROUP_NETWORKS = 8192


class Trials(NamedTuple):
    """Losses of every setting on every task; infinite where they are not finite.

    ``first`` ``(tasks,)`` is the test loss before the first step; ``valid`` and ``test``
    ``(settings, tasks)`` are the losses after the last, on inner-validation and test batches.
    """

    first: Tensor
    valid: Tensor
    test: Tensor

    def best_of(self, count: int) -> tuple[Tensor, Tensor]:
        """Tune: of the first ``count`` settings, choose for each task that of the lowest ``valid``.

        Returns validation and test loss ``(tasks,)`` of that setting. Raises ValueError unless
        there are that many.
        """
        if not 1 <= count <= len(self.valid):
            raise ValueError(f"the best of {count} was asked for; there are {len(self.valid)}")
        chosen = self.valid[:count].argmin(0, keepdim=True)
        return self.valid.gather(0, chosen)[0], self.test.gather(0, chosen)[0]


def run_trials(
    optimizer: LearnedOptimizer,
    stack: Stack,
    *,
    steps: int,
    seed: int,
    theta: Params | None = None,
    known: bool = True,
    batches: int = 5,
) -> Trials:
    """Train every task of the stack with every setting, ``theta`` ``(settings, ...)``.

    Without ``theta`` there is one setting, that of the optimizer. Settings run in groups that fit
    the cache; ``seed`` gives all of them, and all optimizers, the same starts and batches.
    """
    if theta is None:
        theta = {name: value.detach()[None] for name, value in optimizer.named_parameters()}
    settings = len(next(iter(theta.values())))
    group = _group(stack, seed)
    found = []
    for start in range(0, settings, group):
        generator = torch.Generator().manual_seed(seed)
        part = {name: value[start : start + group] for name, value in theta.items()}
        result = rollout(
            *(optimizer, stack),
            steps=steps,
            generator=generator,
            theta=part,
            known=known,
            batches=batches,
        )
        valid = mean_losses(
            *(stack, result.params),
            settings=len(result.final),
            split="inner-valid",
            batches=batches,
            generator=generator,
        )
        found.append((result.first[0], valid, result.final))
    firsts, valids, tests = zip(*found, strict=True)
    return Trials(firsts[0], torch.cat(valids), torch.cat(tests))


def _group(stack: Stack, seed: int) -> int:
    """The number of settings that run at once."""
    params = stack.init(generator=torch.Generator().manual_seed(seed))
    values = sum(value.numel() for value in params.values())
    return max(1, min(GROUP_VALUES // values, GROUP_NETWORKS // len(stack)))


def normalise(loss: Tensor, first: Tensor, best: Tensor) -> Tensor:
    """``(loss - best) / (first - best)``, at most 1, which is also what is not finite.

    The published normalisation (Metz et al. 2020, arXiv:2009.11243): 0 is the best that hand-made
    optimizers reached on a task, 1 the loss before the first step or anything worse. All tensors
    broadcast. If nothing improved on the first loss, a loss equal to ``best`` counts as 0.
    """
    span = (first - best).clamp(min=1e-12)
    return torch.nan_to_num((loss - best) / span, nan=1.0, posinf=1.0).clamp(max=1.0)
