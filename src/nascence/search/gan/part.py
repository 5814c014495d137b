"""The search of one supernet of generators, step by step, and what a checkpoint of it holds."""

import math
import time
from collections import deque
from collections.abc import Callable
from dataclasses import asdict
from functools import partial
from pathlib import Path

import torch
from torch import Tensor

from nascence.data import Dataset
from nascence.params import CheckpointError, load_checkpoint, save_checkpoint
from nascence.search.evaluator import derived_seed
from nascence.search.gan.adversaries import Adversaries
from nascence.search.gan.discriminator import Discriminator
from nascence.search.gan.generator_training import generate
from nascence.search.gan.history import Growth, Round, Stop, growth_from, round_from
from nascence.search.gan.images import RealImages, latents
from nascence.search.gan.settings import Settings
from nascence.search.gradient.batches import stream
from nascence.search.gradient.controller import Beam, Controller
from nascence.search.gradient.reinforce import Reinforce
from nascence.search.supernet_training import fingerprint
from nascence.spaces import Architecture, SuperNet, name_of
from nascence.spaces.gan import GeneratorSpace, first_stages
from nascence.spaces.gan_cell import BOTTOM
from nascence.training import DivergenceError

Score = Callable[[Tensor], float]
"""Of images (N, C, H, W) in [-1, 1], of any side; higher is better."""
Progress = Callable[[float, Round | None], None]


class PartSearch:
    """The search of one supernet: what a checkpoint holds and a step changes."""

    def __init__(
        self,
        supernet: SuperNet,
        data: Dataset,
        score: Score,
        settings: Settings,
        *,
        number: int,
        seed: int,
        device: torch.device,
        path: Path | None,
    ) -> None:
        assert isinstance(supernet.space, GeneratorSpace)
        self.space, self.data, self.score, self.settings = supernet.space, data, score, settings
        self.number, self.seed, self.device, self.path = number, seed, device, path
        self.pair = Adversaries(
            supernet, self._discriminator(0), rates=settings.rates, device=device
        )
        self.identity = settings.described() | {
            "seed": seed,
            "data": data.fingerprint,
            "space": supernet.space.description,
            "choices": str(supernet.choices),
            "initial weights": fingerprint(supernet),
            "score": getattr(score, "description", name_of(score)),
        }
        self.windows = [deque[float](maxlen=settings.reset_window) for _ in range(2)]
        self.sums = [0.0, 0.0]
        self.counts = [0, 0]
        self.step, self.resets, self.seconds = 0, 0, 0.0
        self.rounds: list[Round] = []
        self.growths: list[Growth] = []
        self._enter(1, None)

    @property
    def supernet(self) -> SuperNet:
        """The whole supernet, whose cells of later stages rest until these begin."""
        assert isinstance(self.pair.generator, SuperNet)
        return self.pair.generator

    def search(self, *, steps: int | None, seconds: float | None, progress: Progress) -> Stop:
        """Search to the end."""
        if self.path is not None and self.path.exists():
            self._restore(self.path, steps)
        started = time.perf_counter() - self.seconds
        saved = time.perf_counter()

        def fraction() -> float:
            by_steps = self.step / steps if steps else 0.0
            return max(by_steps, self.seconds / seconds if seconds else 0.0)

        while (before := fraction()) < 1:
            while self.stage < self._stage_at(before):
                self._grow()
            self._advance()
            self.seconds = time.perf_counter() - started
            after, ended = fraction(), None
            grows = self._stage_at(after) > self.stage
            if after >= 1 or grows or self.step % self.settings.round_steps == 0:
                self._learn()
                self.seconds = time.perf_counter() - started
                ended = self._end_round()
            if after >= 1 or time.perf_counter() - saved > 20:
                self._save(steps)
                saved = time.perf_counter()
            try:
                progress(min(after, 1.0), ended)
            except KeyboardInterrupt:
                self._save(steps)
                raise
        while len(self.growths) < self.space.stages:
            self._grow()
        self._save(steps)
        return "steps" if self.step == steps else "seconds"

    def _stage_at(self, done: float) -> int:
        return 1 + sum(done >= part for part in self.settings.grow)

    def _enter(self, stage: int, beam: Beam | None) -> None:
        """Begin a stage with a new controller of its decisions."""
        self.stage, self.beam = stage, beam
        self.view = first_stages(self.supernet, stage)
        before = len(self.space.grown(stage - 1).decisions) if stage > 1 else 0
        with torch.random.fork_rng([]):
            torch.default_generator.manual_seed(derived_seed(self.seed, (1, stage)))
            controller = Controller(
                self.view, hidden=self.settings.hidden, scale=None, first=before
            )
        self.policy = Reinforce(
            controller.to(self.device),
            rate=self.settings.controller_rate,
            samples=self.settings.samples,
            entropy=self.settings.entropy,
            baseline_decay=self.settings.baseline_decay,
            betas=(0.0, 0.9),
        )
        self.real = RealImages(
            self.data,
            side=BOTTOM * 2**stage,
            seed=derived_seed(self.seed, (2,)),
            batch_size=self.settings.batch_size,
            device=self.device,
        )

    def _discriminator(self, number: int) -> Discriminator:
        with torch.random.fork_rng([]):
            torch.default_generator.manual_seed(derived_seed(self.seed, (3, number)))
            return Discriminator(
                stages=self.space.stages,
                width=self.settings.discriminator_width,
                in_channels=self.space.in_channels,
            )

    def _advance(self) -> None:
        """One step of the shared weights on a path that the controller draws."""
        with torch.no_grad():
            paths = stream(self.seed, 4, self.step)
            path = self.policy.controller.draw(1, generator=paths, beam=self.beam).architectures[0]
        real = self.real.batch(self.step)
        with torch.no_grad():
            fake = self.view(self._latents(len(real), 5, self.step), path)
        losses = [self.pair.discriminate(real, fake, self._judge)]
        self.step += 1
        if self.step % self.settings.critic_steps == 0:
            fake = self.view(self._latents(self.settings.generated, 6, self.step), path)
            losses.append(self.pair.generate(fake, self._judge))
        for which, loss in enumerate(losses):
            self.windows[which].append(loss)
            self.sums[which] += loss
            self.counts[which] += 1
        if any(self._still(window) for window in self.windows):
            self._reset()

    def _judge(self, images: Tensor) -> Tensor:
        return self.pair.discriminator(images, self.stage)

    def _latents(self, count: int, *numbers: int) -> Tensor:
        return latents(self.space, count, generator=stream(self.seed, *numbers)).to(self.device)

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
        with torch.random.fork_rng([]):
            torch.default_generator.manual_seed(derived_seed(self.seed, (7, self.resets)))
            fresh = SuperNet(
                self.space, affine=self.supernet.affine, statistics=self.supernet.statistics
            )
        self.supernet.load_state_dict(fresh.restrict(self.supernet.choices).state_dict())
        judge = self._discriminator(self.resets)
        self.pair.discriminator.load_state_dict(judge.state_dict())
        self.pair.restart()
        for window in self.windows:
            window.clear()

    def _learn(self) -> None:
        """Steps of the controller, each rewarded with the score of what it draws."""
        own = list(self.policy.controller.parameters())
        self.rewards: list[tuple[float, Architecture]] = []
        self.entropies: list[float] = []
        for number in range(self.settings.controller_steps):
            vectors = self._latents(self.settings.images, 8, self.step, number)
            gradients, drawn, rewards = self.policy.estimate(
                partial(self._reward, vectors),
                generator=stream(self.seed, 9, self.step, number),
                beam=self.beam,
            )
            for parameter, gradient in zip(own, gradients, strict=True):
                parameter.grad = gradient
            self.policy.optimizer.step()
            self.policy.optimizer.zero_grad(set_to_none=True)
            self.rewards += zip(rewards, drawn.architectures, strict=True)
            self.entropies += drawn.entropies.tolist()

    def _reward(self, vectors: Tensor, architecture: Architecture) -> float:
        return self._scored(architecture, vectors)[0]

    @torch.no_grad()
    def _scored(self, architecture: Architecture, vectors: Tensor) -> tuple[float, bool]:
        """The score of a path, and whether its images differ by more than a level of grey."""
        images = generate(lambda part: self.view(part, architecture), vectors).cpu()
        name = self.view.space.format(architecture)
        if not images.isfinite().all():
            raise DivergenceError(f"images of {name} are not finite; lower the learning rates")
        value = self.score(images)
        if not math.isfinite(value):
            raise DivergenceError(f"the score of {name} is {value}; it must be finite")
        return value, bool((images.amax(0) - images.amin(0)).max() > 2 / 255)

    def _end_round(self) -> Round:
        means = [
            total / count if count else None
            for total, count in zip(self.sums, self.counts, strict=True)
        ]
        assert means[0] is not None
        found = [reward for reward, _ in self.rewards]
        self.rounds.append(
            Round(
                self.number,
                self.stage,
                self.step,
                means[0],
                means[1],
                sum(found) / len(found) if found else None,
                sum(self.entropies) / len(found) if found else None,
                max(self.rewards)[1] if found else None,
                self.resets,
                self.seconds,
            )
        )
        self.sums, self.counts = [0.0, 0.0], [0, 0]
        return self.rounds[-1]

    def _grow(self) -> None:
        """End a stage: keep the best of what its controller draws, and begin the next."""
        started = time.perf_counter()
        settings, last = self.settings, self.stage == self.space.stages
        with torch.no_grad():
            drawn = self.policy.controller.draw(
                settings.candidates, generator=stream(self.seed, 10, self.stage), beam=self.beam
            )
        states = dict(zip(drawn.architectures, drawn.states, strict=True))
        vectors = self._latents(settings.images, 11, self.stage)
        scored = {each: self._scored(each, vectors) for each in states}
        if not any(differ for _, differ in scored.values()):
            raise DivergenceError(
                f"every candidate of stage {self.stage} makes one image whatever it is given: the "
                "generator collapsed; lower the learning rates or take another seed"
            )
        ranked = sorted(scored, key=lambda each: -scored[each][0])
        kept = ranked[: settings.kept]
        self.growths.append(
            Growth(
                self.number,
                self.stage,
                tuple(ranked),
                tuple(scored[each][0] for each in ranked),
                len(kept),
                time.perf_counter() - started,
            )
        )
        if not last:
            self._enter(self.stage + 1, Beam(kept, torch.stack([states[each] for each in kept])))

    def _save(self, steps: int | None) -> None:
        if self.path is None:
            return
        beam = None
        if self.beam is not None:
            beam = {"architectures": self.beam.architectures, "states": self.beam.states.cpu()}
        state = self.pair.state() | {
            "stage": self.stage,
            "beam": beam,
            "controller": self.policy.controller.state_dict(),
            "controller optimizer": self.policy.optimizer.state_dict(),
            "windows": [list(window) for window in self.windows],
            "sums": (self.sums, self.counts),
            "progress": (self.step, self.resets, self.seconds),
            "rounds": [asdict(each) for each in self.rounds],
            "growths": [asdict(each) for each in self.growths],
        }
        save_checkpoint(self.path, {**self.identity, "steps": steps, "run": state})

    def _restore(self, path: Path, steps: int | None) -> None:
        content = load_checkpoint(path)
        for key, value in {**self.identity, "steps": steps}.items():
            if content.get(key) != value:
                raise CheckpointError(
                    f"{path} is of another search: its {key} is {content.get(key)!r}, not "
                    f"{value!r}; choose another folder or delete it"
                )
        state = content["run"]
        beam = state["beam"]
        if beam is not None:
            beam = Beam([tuple(each) for each in beam["architectures"]], beam["states"])
        self.pair.load(state)
        self._enter(state["stage"], beam)
        self.policy.controller.load_state_dict(state["controller"])
        self.policy.optimizer.load_state_dict(state["controller optimizer"])
        for window, values in zip(self.windows, state["windows"], strict=True):
            window.extend(values)
        self.sums, self.counts = (list(each) for each in state["sums"])
        self.step, self.resets, self.seconds = state["progress"]
        self.rounds = [round_from(row) for row in state["rounds"]]
        self.growths = [growth_from(row) for row in state["growths"]]
