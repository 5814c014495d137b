"""The search of one supernet of generators, step by step, and what a checkpoint of it holds."""

import math
import time
from collections.abc import Callable
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from nascence.controllers.controller import Beam, Controller
from nascence.controllers.rewarded import RewardedController
from nascence.core.randomness import derived_seed, seeded, stream
from nascence.core.resumable import Budget, Checkpoint
from nascence.data import Dataset
from nascence.gan.generator_training import generate
from nascence.gan.history import GanRound, Growth, Stop, growth_from, round_from
from nascence.gan.settings import GanSettings
from nascence.gan.shared import SharedGan
from nascence.spaces import Architecture, Growing, name_of
from nascence.supernets import SuperNet
from nascence.supernets.training import fingerprint
from nascence.training import DivergenceError

Score = Callable[[Tensor], float]
"""Score of images (N, C, H, W) in [-1, 1], of any side; higher is better."""
Progress = Callable[[float, GanRound | None], None]


class GanSupernetSearch:
    """The search of one supernet: what a checkpoint holds and a step changes."""

    def __init__(
        self,
        supernet: SuperNet,
        data: Dataset,
        score: Score,
        settings: GanSettings,
        *,
        number: int,
        seed: int,
        device: torch.device,
        path: Path | None,
    ) -> None:
        assert isinstance(supernet.space, Growing)
        self.space, self.data, self.score, self.settings = supernet.space, data, score, settings
        self.number, self.seed, self.device, self.path = number, seed, device, path
        self.gan = SharedGan(supernet, data, settings, seed=seed, device=device)
        self.identity = settings.described() | {
            "seed": seed,
            "data": data.fingerprint,
            "space": supernet.space.description,
            "choices": str(supernet.choices),
            "initial weights": fingerprint(supernet),
            "score": getattr(score, "description", name_of(score)),
        }
        self.seconds = 0.0
        self.rounds: list[GanRound] = []
        self.growths: list[Growth] = []
        self._begin(None)

    def search(self, *, steps: int | None, seconds: float | None, progress: Progress) -> Stop:
        """Search to the end."""
        kept = Checkpoint(self.path, {**self.identity, "steps": steps}, of="search")
        kept.resume(self._take)
        budget = Budget(steps=steps, seconds=seconds, step=self.gan.step, elapsed=self.seconds)
        with kept.kept(self._state) as stepped:
            while budget.left():
                while self.gan.stage < self._stage_at(budget.fraction):
                    self._grow()
                self.gan.advance(self._path)
                budget.count()
                ended = None
                grows = self._stage_at(budget.fraction) > self.gan.stage
                if not budget.left() or grows or self.gan.step % self.settings.round_steps == 0:
                    rewards, entropies = self._learn()
                    budget.read_clock()
                    self.seconds = budget.elapsed
                    ended = self._end_round(rewards, entropies)
                self.seconds = budget.elapsed
                report = partial(progress, budget.fraction, ended)
                stepped(ended=not budget.left(), report=report)
        while len(self.growths) < self.space.stages:
            self._grow()
        kept.save(self._state())
        return budget.stopped_by

    def _stage_at(self, done: float) -> int:
        return 1 + sum(done >= part for part in self.settings.grow)

    def _begin(self, beam: Beam | None) -> None:
        """Begin the stage that the shared weights have come to, with a controller of its own."""
        self.beam, stage = beam, self.gan.stage
        before = len(self.space.grown(stage - 1).decisions) if stage > 1 else 0
        with seeded(derived_seed(self.seed, 1, stage, derivation="search")):
            controller = Controller(
                self.gan.view, hidden=self.settings.hidden, scale=None, first=before
            )
        self.policy = RewardedController(
            controller.to(self.device),
            rate=self.settings.controller_rate,
            samples=self.settings.samples,
            entropy=self.settings.entropy,
            baseline_decay=self.settings.baseline_decay,
            betas=(0.0, 0.9),
        )

    def _path(self) -> Architecture:
        """The path of the next step, which the controller draws."""
        with torch.no_grad():
            return self.policy.controller.draw(
                1,
                generator=stream(self.seed, 4, self.gan.step, derivation="search"),
                beam=self.beam,
            ).architectures[0]

    def _learn(self) -> tuple[list[tuple[float, Architecture]], list[float]]:
        """Steps of the controller, each rewarded with the score of what it draws.

        Returns the scores with what they are of, and the entropies along the draws.
        """
        own = list(self.policy.controller.parameters())
        rewarded: list[tuple[float, Architecture]] = []
        entropies: list[float] = []
        for number in range(self.settings.controller_steps):
            vectors = self.gan.latents(self.settings.images, 8, self.gan.step, number)
            gradients, drawn, rewards = self.policy.estimate(
                partial(self._reward, vectors),
                generator=stream(self.seed, 9, self.gan.step, number, derivation="search"),
                beam=self.beam,
            )
            for parameter, gradient in zip(own, gradients, strict=True):
                parameter.grad = gradient
            self.policy.optimizer.step()
            self.policy.optimizer.zero_grad(set_to_none=True)
            rewarded += zip(rewards, drawn.architectures, strict=True)
            entropies += drawn.entropies.tolist()
        return rewarded, entropies

    def _reward(self, vectors: Tensor, architecture: Architecture) -> float:
        return self._scored(architecture, vectors)[0]

    @torch.no_grad()
    def _scored(self, architecture: Architecture, vectors: Tensor) -> tuple[float, bool]:
        """The score of a path, and whether its images differ by more than a level of grey."""
        images = generate(lambda part: self.gan.view(part, architecture), vectors).cpu()
        name = self.gan.view.space.format(architecture)
        if not images.isfinite().all():
            raise DivergenceError(f"images of {name} are not finite; lower the learning rates")
        try:
            value = self.score(images)
        except ValueError as error:  # as a classifier whose answers overflow
            raise DivergenceError(f"{name} has no score: {error}") from error
        if not math.isfinite(value):
            raise DivergenceError(f"the score of {name} is {value}; it must be finite")
        return value, bool((images.amax(0) - images.amin(0)).max() > 2 / 255)

    def _end_round(
        self, rewarded: list[tuple[float, Architecture]], entropies: list[float]
    ) -> GanRound:
        discriminator_loss, generator_loss = self.gan.means()
        found = [reward for reward, _ in rewarded]
        self.rounds.append(
            GanRound(
                self.number,
                self.gan.stage,
                self.gan.step,
                discriminator_loss,
                generator_loss,
                sum(found) / len(found) if found else None,
                sum(entropies) / len(found) if found else None,
                max(rewarded)[1] if found else None,
                self.gan.resets,
                self.seconds,
            )
        )
        return self.rounds[-1]

    def _grow(self) -> None:
        """End a stage: keep the best of what its controller draws, and begin the next."""
        started = time.perf_counter()
        settings, stage = self.settings, self.gan.stage
        with torch.no_grad():
            drawn = self.policy.controller.draw(
                settings.candidates,
                generator=stream(self.seed, 10, stage, derivation="search"),
                beam=self.beam,
            )
        states = dict(zip(drawn.architectures, drawn.states, strict=True))
        vectors = self.gan.latents(settings.images, 11, stage)
        scored = {each: self._scored(each, vectors) for each in states}
        if not any(differ for _, differ in scored.values()):
            raise DivergenceError(
                f"every candidate of stage {stage} makes the same image from any input: the "
                "generator collapsed; lower the learning rates or use another seed"
            )
        ranked = sorted(scored, key=lambda each: -scored[each][0])
        kept = ranked[: settings.kept]
        self.growths.append(
            Growth(
                self.number,
                stage,
                tuple(ranked),
                tuple(scored[each][0] for each in ranked),
                len(kept),
                time.perf_counter() - started,
            )
        )
        if stage < self.space.stages:
            self.gan.enter(stage + 1)
            self._begin(Beam(kept, torch.stack([states[each] for each in kept])))

    def _state(self) -> dict[str, Any]:
        """Everything that the next step depends on."""
        beam = None
        if self.beam is not None:
            beam = {"architectures": self.beam.architectures, "states": self.beam.states.cpu()}
        return {
            "gan": self.gan.state(),
            "beam": beam,
            "controller": self.policy.controller.state_dict(),
            "controller optimizer": self.policy.optimizer.state_dict(),
            "seconds": self.seconds,
            "rounds": [asdict(each) for each in self.rounds],
            "growths": [asdict(each) for each in self.growths],
        }

    def _take(self, state: dict[str, Any]) -> None:
        """Continue from what `_state` returned."""
        beam = state["beam"]
        if beam is not None:
            beam = Beam([tuple(each) for each in beam["architectures"]], beam["states"])
        self.gan.load(state["gan"])
        self._begin(beam)
        self.policy.controller.load_state_dict(state["controller"])
        self.policy.optimizer.load_state_dict(state["controller optimizer"])
        self.seconds = state["seconds"]
        self.rounds = [round_from(row) for row in state["rounds"]]
        self.growths = [growth_from(row) for row in state["growths"]]
