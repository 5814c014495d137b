"""One step of a generator and its discriminator against each other."""

import copy
import math
from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from nascence.training import DivergenceError


class Losses(NamedTuple):
    """The losses of one step; the generator's is None where it rested."""

    discriminator: float
    generator: float | None


class Adversaries:
    """A generator and a discriminator with their optimizers: what a step of both changes.

    The hinge loss (Lim and Ye, "Geometric GAN", 2017; Miyato et al., ICLR 2018, eq. 16 and 17) and
    Adam with beta_1 0 and beta_2 0.9, as AutoGAN (Gong et al., ICCV 2019, section 4.1).

    Images are ``(B, C, H, W)`` in [-1, 1]; ``judge`` scores them, ``(B,)``.

    Args:
        generator, discriminator: copied.
        rates: learning rates of Adam, of the generator and of the discriminator.
        device: where to train.

    Raises:
        ValueError: a rate is not positive.
    """

    def __init__(
        self,
        generator: nn.Module,
        discriminator: nn.Module,
        *,
        rates: tuple[float, float],
        device: torch.device,
    ) -> None:
        if not all(rate > 0 for rate in rates):
            raise ValueError(f"the learning rates are {rates}; give positive numbers")
        self.generator = copy.deepcopy(generator).to(device).train()
        self.discriminator = copy.deepcopy(discriminator).to(device).train()
        self.rates = rates
        self.restart()

    def restart(self) -> None:
        """Make new optimizers."""
        modules = (self.generator, self.discriminator)
        self.optimizers = [
            torch.optim.Adam(module.parameters(), lr=rate, betas=(0.0, 0.9))
            for module, rate in zip(modules, self.rates, strict=True)
        ]

    def discriminate(self, real: Tensor, fake: Tensor, judge: Callable[[Tensor], Tensor]) -> float:
        """Move the discriminator along max(0, 1 - D(real)) + max(0, 1 + D(fake)), both means."""
        loss = functional.relu(1 - judge(real)).mean() + functional.relu(1 + judge(fake)).mean()
        return self._move(1, loss, "discriminator")

    def generate(self, fake: Tensor, judge: Callable[[Tensor], Tensor]) -> float:
        """Move the generator along the mean of -D(fake)."""
        return self._move(0, -judge(fake).mean(), "generator")

    def _move(self, which: int, loss: Tensor, name: str) -> float:
        value = loss.item()
        if not math.isfinite(value):
            raise DivergenceError(
                f"the loss of the {name} became {value}; lower the learning rates"
            )
        optimizer = self.optimizers[which]
        optimizer.zero_grad(set_to_none=True)
        own = [each for group in optimizer.param_groups for each in group["params"]]
        loss.backward(inputs=own)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)  # a path's gradients must not stay for the next
        return value

    def scale_rates(self, factor: float) -> None:
        """Set the learning rates to ``factor`` times their first values."""
        for optimizer, rate in zip(self.optimizers, self.rates, strict=True):
            for group in optimizer.param_groups:
                group["lr"] = rate * factor

    def state(self) -> dict[str, Any]:
        """Everything that the next step depends on."""
        return {
            "generator": self.generator.state_dict(),
            "discriminator": self.discriminator.state_dict(),
            "optimizers": [optimizer.state_dict() for optimizer in self.optimizers],
        }

    def load(self, state: dict[str, Any]) -> None:
        """Take up what :meth:`state` gave."""
        self.generator.load_state_dict(state["generator"])
        self.discriminator.load_state_dict(state["discriminator"])
        for optimizer, saved in zip(self.optimizers, state["optimizers"], strict=True):
            optimizer.load_state_dict(saved)
