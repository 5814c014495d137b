"""The weights that all generators of a search share, and their discriminator."""

from collections import deque
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from nascence.core.randomness import derived_seed, seeded, stream
from nascence.data import Dataset
from nascence.gan.adversaries import Adversaries
from nascence.gan.discriminator import Discriminator
from nascence.gan.images import RealImages, latents
from nascence.gan.settings import GanSettings
from nascence.gan.stages import first_stages
from nascence.spaces import Architecture, Growing
from nascence.spaces.gan_cell import BOTTOM
from nascence.supernets import SuperNet


class SharedGan:
    """A supernet of generators against one discriminator, as far as both have grown.

    Args:
        supernet: a supernet of a :class:`Growing` space; copied.
        data: images of its side.
        settings: settings of the search.
        seed: seed of all random choices.
        device: where to train.

    Attributes:
        stage: how many cells there are.
        view: the supernet of these cells, which shares its storage with the whole.
        step, resets: how many steps were taken, and how often the weights were drawn anew.
    """

    def __init__(
        self,
        supernet: SuperNet,
        data: Dataset,
        settings: GanSettings,
        *,
        seed: int,
        device: torch.device,
    ) -> None:
        assert isinstance(supernet.space, Growing)
        self.space, self.data, self.settings = supernet.space, data, settings
        self.seed, self.device = seed, device
        self.pair = Adversaries(
            supernet, self._discriminator(0), rates=settings.rates, device=device
        )
        self.windows = [deque[float](maxlen=settings.reset_window) for _ in range(2)]
        self.sums, self.counts = [0.0, 0.0], [0, 0]
        self.step, self.resets = 0, 0
        self.enter(1)

    @property
    def supernet(self) -> SuperNet:
        """The whole supernet, whose later cells rest until their stage begins."""
        assert isinstance(self.pair.generator, SuperNet)
        return self.pair.generator

    def enter(self, stage: int) -> None:
        """Begin a stage: with one cell more, and images of twice the side."""
        self.stage = stage
        self.view = first_stages(self.supernet, stage)
        self.real = RealImages(
            self.data,
            side=BOTTOM * 2**stage,
            seed=derived_seed(self.seed, 2, derivation="search"),
            batch_size=self.settings.batch_size,
            device=self.device,
        )

    def advance(self, draw: Callable[[], Architecture]) -> None:
        """One step of the shared weights on a path that is drawn for it."""
        path, real = draw(), self.real.batch(self.step)
        with torch.no_grad():
            fake = self.view(self.latents(len(real), 5, self.step), path)
        losses = [self.pair.discriminate(real, fake, self._judge)]
        self.step += 1
        if self.step % self.settings.critic_steps == 0:
            fake = self.view(self.latents(self.settings.generated, 6, self.step), path)
            losses.append(self.pair.generate(fake, self._judge))
        for which, loss in enumerate(losses):
            self.windows[which].append(loss)
            self.sums[which] += loss
            self.counts[which] += 1
        if any(self._still(window) for window in self.windows):
            self._reset()

    def latents(self, count: int, *numbers: int) -> Tensor:
        """Draw latent vectors ``(count, latent)`` that depend on the seed and the numbers alone."""
        return latents(
            self.space, count, generator=stream(self.seed, *numbers, derivation="search")
        ).to(self.device)

    def means(self) -> tuple[float, float | None]:
        """Mean losses since the last call, of discriminator and generator."""
        sums, counts = self.sums, self.counts
        self.sums, self.counts = [0.0, 0.0], [0, 0]
        return sums[0] / counts[0], sums[1] / counts[1] if counts[1] else None

    def state(self) -> dict[str, Any]:
        """Everything that the next step depends on."""
        return self.pair.state() | {
            "stage": self.stage,
            "windows": [list(window) for window in self.windows],
            "losses": (self.sums, self.counts),
            "steps": (self.step, self.resets),
        }

    def load(self, state: dict[str, Any]) -> None:
        """Take up what :meth:`state` gave."""
        self.pair.load(state)
        self.enter(state["stage"])
        for window, values in zip(self.windows, state["windows"], strict=True):
            window.extend(values)
        self.sums, self.counts = (list(each) for each in state["losses"])
        self.step, self.resets = state["steps"]

    def _judge(self, images: Tensor) -> Tensor:
        return self.pair.discriminator(images, self.stage)

    def _discriminator(self, number: int) -> Discriminator:
        with seeded(derived_seed(self.seed, 3, number, derivation="search")):
            return Discriminator(
                stages=self.space.stages,
                width=self.settings.discriminator_width,
                in_channels=self.space.in_channels,
            )

    def _still(self, window: deque[float]) -> bool:
        """Whether a loss has hardly varied over a whole window."""
        if len(window) < self.settings.reset_window:
            return False
        mean = sum(window) / len(window)
        variance = sum((loss - mean) ** 2 for loss in window) / len(window)
        return variance < self.settings.reset_variance

    def _reset(self) -> None:
        """Draw all shared weights anew: "dynamic-resetting" of the paper, section 3.3."""
        self.resets += 1
        with seeded(derived_seed(self.seed, 7, self.resets, derivation="search")):
            fresh = SuperNet(
                self.space, affine=self.supernet.affine, statistics=self.supernet.statistics
            )
        self.supernet.load_state_dict(fresh.restrict(self.supernet.choices).state_dict())
        judge = self._discriminator(self.resets)
        self.pair.discriminator.load_state_dict(judge.state_dict())
        self.pair.restart()
        for window in self.windows:
            window.clear()
