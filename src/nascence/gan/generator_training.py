"""Training one generator alone against a discriminator of its own."""

import copy
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from nascence.core.randomness import derived_seed, drawn_seed, seeded, stream
from nascence.core.resumable import Budget, Checkpoint
from nascence.data import Dataset
from nascence.gan.adversaries import Adversaries, Losses
from nascence.gan.classifier import pieces
from nascence.gan.discriminator import Discriminator
from nascence.gan.images import RealImages, check_images, latents
from nascence.spaces import Architecture, Growing
from nascence.training import average_into


class TrainedGenerator(NamedTuple):
    """What a training gave.

    Attributes:
        generator: the moving average of its weights, in evaluation mode.
        discriminator: its adversary.
        losses: losses of every step.
        seconds: wall time.
    """

    generator: nn.Module
    discriminator: nn.Module
    losses: tuple[Losses, ...]
    seconds: float


def train_generator(
    space: Growing,
    architecture: Architecture,
    data: Dataset,
    *,
    generator: torch.Generator,
    steps: int | None = None,
    seconds: float | None = None,
    batch_size: int = 64,
    generated: int = 128,
    critic_steps: int = 5,
    rates: tuple[float, float] = (2e-4, 2e-4),
    average_decay: float = 0.999,
    discriminator_width: int = 128,
    device: torch.device | str = "cpu",
    checkpoint: Path | None = None,
    checkpoint_seconds: float = 20.0,
    progress: Callable[[float], None] | None = None,
) -> TrainedGenerator:
    """Build the generator of an architecture and train it from scratch.

    Gong et al., "AutoGAN", ICCV 2019, section 4.1, whose settings are the defaults (50,000
    generator steps there, at constant rates). Every step moves the discriminator, every
    ``critic_steps``-th the generator as well; both rates fall linearly to zero. With ``steps``
    alone nothing depends on the clock, and a training resumed from its checkpoint is bit-equal to
    an undisturbed one on a CPU.

    Args:
        space: a space of generators.
        architecture: which of them is built.
        data: images of the space's side.
        generator: gives the one seed of all randomness.
        steps: steps of the discriminator; None for no limit.
        seconds: wall time; whichever of the two ends first. Give one or both.
        batch_size: real images of a step, and as many generated ones.
        generated: images of a step of the generator.
        critic_steps: steps of the discriminator for one of the generator.
        rates: learning rates of Adam, of generator and discriminator.
        average_decay: of the moving average of the generator's weights, by its steps, warmed up
            as (1 + k) / (10 + k).
        discriminator_width: its channels.
        device: where to train.
        checkpoint: file from which the same call goes on.
        checkpoint_seconds: between two checkpoints.
        progress: called with the fraction done; a KeyboardInterrupt raised in it ends the
            training after a checkpoint.

    Raises:
        CheckpointError: the checkpoint of another training, or one that cannot be written.
        DivergenceError: a loss is not finite.
        ValueError: impossible settings, or images of another shape.
    """
    _check(space, data, steps, seconds, batch_size, generated, critic_steps)
    seed = drawn_seed(generator)
    run = _Run(space, architecture, data, seed, discriminator_width, rates, batch_size, device)
    identity = {
        "seed": seed, "steps": steps, "batches": (batch_size, generated), "data": data.fingerprint,
        "space": space.description, "architecture": tuple(architecture), "critic": critic_steps,
        "rates": rates, "average": average_decay, "discriminator": discriminator_width,
    }  # fmt: skip
    kept = Checkpoint(checkpoint, identity)
    kept.resume(run.take)
    budget = Budget(steps=steps, seconds=seconds, step=len(run.losses), elapsed=run.seconds)
    with kept.kept(run.state, seconds=checkpoint_seconds) as stepped:
        while budget.left():
            run.advance(1 - budget.fraction, generated, critic_steps, average_decay)
            budget.count()
            run.seconds = budget.elapsed
            report = None if progress is None else partial(progress, budget.fraction)
            stepped(ended=not budget.left(), report=report)
    return TrainedGenerator(
        run.average.eval(), run.pair.discriminator.eval(), tuple(run.losses), run.seconds
    )


@torch.no_grad()
def generate(network: Callable[[Tensor], Tensor], vectors: Tensor) -> Tensor:
    """Return the images that a generator makes of latent vectors, in pieces of 250.

    ``(N, latent)`` to ``(N, C, H, W)``. A generator whose BatchNorm takes its statistics from the
    batch, as a supernet's, takes them from each piece.
    """
    parts = vectors.split(list(pieces(len(vectors))))
    return torch.cat([network(part) for part in parts])


class _Run:
    """The state of a training: what a checkpoint holds and a step changes."""

    def __init__(
        self,
        space: Growing,
        architecture: Architecture,
        data: Dataset,
        seed: int,
        width: int,
        rates: tuple[float, float],
        batch_size: int,
        device: torch.device | str,
    ) -> None:
        self.space, self.seed, self.device = space, seed, torch.device(device)
        with seeded(derived_seed(seed, 0, derivation="search")):
            network = space.build(architecture)
            judge = Discriminator(stages=space.stages, width=width, in_channels=space.in_channels)
        self.pair = Adversaries(network, judge, rates=rates, device=self.device)
        self.average = copy.deepcopy(self.pair.generator)
        self.real = RealImages(
            data,
            side=space.side,
            seed=derived_seed(seed, 1, derivation="search"),
            batch_size=batch_size,
            device=self.device,
        )
        self.losses: list[Losses] = []
        self.seconds = 0.0

    def advance(
        self, factor: float, generated: int, critic_steps: int, average_decay: float
    ) -> None:
        """One step at ``factor`` times the rates."""
        step, pair = len(self.losses), self.pair
        pair.scale_rates(factor)
        real = self.real.batch(step)
        with torch.no_grad():
            fake = pair.generator(self._latents(len(real), 2, step))
        critic = pair.discriminate(real, fake, pair.discriminator)
        own = None
        if (step + 1) % critic_steps == 0:
            fake = pair.generator(self._latents(generated, 3, step))
            own = pair.generate(fake, pair.discriminator)
            count = (step + 1) // critic_steps
            decay = min(average_decay, (1 + count) / (10 + count))
            average_into(self.average, pair.generator, decay)
        self.losses.append(Losses(critic, own))

    def _latents(self, count: int, *numbers: int) -> Tensor:
        return latents(
            self.space, count, generator=stream(self.seed, *numbers, derivation="search")
        ).to(self.device)

    def state(self) -> dict[str, Any]:
        """Everything that the next step depends on."""
        return self.pair.state() | {
            "average": self.average.state_dict(),
            "losses": [tuple(each) for each in self.losses],
            "seconds": self.seconds,
        }

    def take(self, state: dict[str, Any]) -> None:
        """Go on from what `state` gave."""
        self.pair.load(state)
        self.average.load_state_dict(state["average"])
        self.losses = [Losses(*each) for each in state["losses"]]
        self.seconds = state["seconds"]


def _check(
    space: Growing,
    data: Dataset,
    steps: int | None,
    seconds: float | None,
    batch_size: int,
    generated: int,
    critic_steps: int,
) -> None:
    check_images(space, data)
    if steps is None and seconds is None:
        raise ValueError("neither steps nor seconds is given; give one or both")
    if (steps is not None and steps < 1) or (seconds is not None and not seconds > 0):
        raise ValueError(f"steps={steps}, seconds={seconds}; what is given must be positive")
    if min(batch_size, generated) < 2 or critic_steps < 1:
        raise ValueError(
            f"batch_size {batch_size}, generated {generated}, critic_steps {critic_steps}; give "
            "2 or more, 2 or more, 1 or more"
        )
