"""The search of one supernet, step by step, with what a checkpoint of it holds."""

import math
from collections.abc import Callable
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from nascence.core.modes import evaluation_mode
from nascence.core.randomness import derived_seed, reseed, seeded, stream
from nascence.core.resumable import Budget, Checkpoint
from nascence.data import Dataset
from nascence.gradient.batches import Halves
from nascence.gradient.derivation import entropy, skips
from nascence.gradient.relaxation import Method, cross_entropy
from nascence.gradient.trajectory import Epoch, Stop, epoch_from
from nascence.spaces import Architecture
from nascence.supernets import SuperNet
from nascence.supernets.training import fingerprint
from nascence.training import DivergenceError, parameter_groups, sgd

Prepare = Callable[[SuperNet, torch.Generator], tuple[SuperNet, Method]]
"""From a copy of a supernet to what is searched and how; may use PyTorch's global generator."""
Progress = Callable[[float, Epoch | None], None]
MEASURED = 250
"""Images of one forward pass, over which BatchNorm normalises, when a network is measured."""


class SupernetSearch:
    """The search of one supernet: what a checkpoint holds and a step changes."""

    def __init__(
        self,
        supernet: SuperNet,
        data: Dataset,
        prepare: Prepare,
        *,
        number: int,
        seed: int,
        settings: dict[str, Any],
        batch_size: int,
        rates: tuple[float, float, float],
        crop: int,
        flip: bool,
        device: torch.device,
        path: Path | None,
    ) -> None:
        self.data, self.number, self.seed, self.rates = data, number, seed, rates
        self.device, self.path = device, path
        with seeded(derived_seed(seed, 0, derivation="search"), device):
            copied = supernet.restrict(supernet.choices).to(device)
            self.supernet, self.method = prepare(copied, stream(seed, 1, derivation="search"))
        self.supernet.train()
        self.optimizer = sgd(rates[0], weight_decay=rates[2])(parameter_groups(self.supernet))
        self.halves = Halves(
            data,
            seed=seed,
            batch_size=batch_size,
            crop=crop,
            flip=flip,
            device=device,
            whole=self.method.joint,
        )
        self.identity = settings | {
            "seed": seed,
            "batch": batch_size,
            "data": data.fingerprint,
            "choices": str(supernet.choices),
            "space": supernet.space.description,
            "initial weights": fingerprint(supernet),
            "method": self.method.description,
        }
        self.step, self.seconds, self.loss_sum, self.loss_count = 0, 0.0, 0.0, 0
        self.epochs: list[Epoch] = []
        self.stopped = False

    def search(
        self,
        *,
        steps: int | None,
        seconds: float | None,
        epochs: int,
        warmup: float,
        clip: float,
        stop_at_skips: int | None,
        validation_images: int,
        checkpoint_seconds: float,
        progress: Progress,
        every: int = 1,
    ) -> Stop:
        """Search to the end."""
        kept = Checkpoint(self.path, self.identity, of="search")
        kept.resume(self._take)
        budget = Budget(steps=steps, seconds=seconds, step=self.step, elapsed=self.seconds)
        with (
            seeded(None, self.device),
            kept.kept(self._state, seconds=checkpoint_seconds) as stepped,
        ):
            while not self.stopped and budget.left():
                before = budget.fraction
                learn = before >= warmup and (self.step + 1) % every == 0
                self._advance(before, learn=learn, clip=clip)
                budget.count()
                self.seconds = budget.elapsed
                epoch = None
                if budget.passed(epochs):
                    epoch = self._measured(validation_images)
                    budget.read_clock()
                    self.seconds = budget.elapsed
                    found = skips(self.supernet, epoch.architecture)
                    self.stopped = stop_at_skips is not None and found >= stop_at_skips
                done = 1.0 if self.stopped else budget.fraction
                stepped(ended=done >= 1, report=partial(progress, done, epoch))
        return "skips" if self.stopped else budget.stopped_by

    def _advance(self, done: float, *, learn: bool, clip: float) -> None:
        """One step of the weights and, if it is to learn, of the architecture."""
        drop_path = derived_seed(self.seed, 2, self.step, derivation="search")
        reseed(drop_path, self.device)
        first, last, _ = self.rates
        rate = last + (first - last) * 0.5 * (1 + math.cos(math.pi * min(done, 1.0)))
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        train = self.halves.weights(self.step)
        if learn and not self.method.joint:
            gradients = self.method.gradients(
                self.supernet,
                train,
                self.halves.architecture(self.step),
                done=done,
                rate=rate,
                generator=stream(self.seed, 3, self.step, derivation="search"),
            )
            self._learn(gradients)
        gates = stream(self.seed, 4, self.step, derivation="search")
        choice = self.method.choice(done, gates)
        own = list(self.method.policy.parameters()) if learn and self.method.joint else []
        if not own:
            choice = [each.detach() if isinstance(each, Tensor) else each for each in choice]  # type: ignore[misc]
        loss = cross_entropy(self.supernet, train, choice)
        self._check_loss(loss.item())
        weights = list(self.supernet.parameters())
        loss.backward(inputs=[*weights, *own])
        nn.utils.clip_grad_norm_(weights, clip)
        self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)
        if own:
            self._learn([_gradient(each) for each in own])
        self.step += 1

    def _learn(self, gradients: list[Tensor]) -> None:
        """Move the architecture's parameters."""
        named = list(self.method.policy.named_parameters())
        for (name, parameter), gradient in zip(named, gradients, strict=True):
            self._check_finite(name, gradient)
            parameter.grad = gradient
        self.method.optimizer.step()
        self.method.optimizer.zero_grad(set_to_none=True)
        for name, parameter in named:
            self._check_finite(name, parameter)

    def _check_finite(self, name: str, values: Tensor) -> None:
        if not values.isfinite().all():
            raise DivergenceError(
                f"the architecture parameters {name} are not finite at step {self.step + 1}; "
                "lower the architecture rate or the learning rate"
            )

    def _check_loss(self, loss: float) -> None:
        if not math.isfinite(loss):
            raise DivergenceError(
                f"the loss became {loss} at step {self.step + 1}; lower the learning rate"
            )
        self.loss_sum += loss
        self.loss_count += 1

    def _measured(self, images: int) -> Epoch:
        """Derive a network, measure it, and add it to the epochs."""
        generator = stream(self.seed, 5, self.step, derivation="search")
        architecture = self.method.derive(
            self.supernet, self.halves.architecture(self.step), generator
        )
        probabilities = self.method.probabilities(generator)
        accuracy, loss = self._quality(architecture, images)
        latency = objective = None
        if (term := self.method.latency) is not None:
            latency = term.table.of(architecture)
            objective = term.of(loss, latency) if term.weight else None
        self.epochs.append(
            Epoch(
                self.number,
                architecture,
                accuracy,
                entropy(probabilities),
                tuple(tuple(vector.tolist()) for vector in probabilities),
                self.loss_sum / max(self.loss_count, 1),
                self.step,
                self.seconds,
                latency,
                objective,
            )
        )
        self.loss_sum, self.loss_count = 0.0, 0
        return self.epochs[-1]

    def _quality(self, architecture: Architecture, images: int) -> tuple[float, float]:
        """Accuracy in [0, 1] and cross-entropy of a network on the first validation images."""
        validation = self.data.validation
        count = min(images, len(validation))
        choice = self.method.measured(self.supernet, architecture)
        right, loss = 0, 0.0
        with evaluation_mode(self.supernet):
            for start in range(0, count, MEASURED):
                place = slice(start, min(start + MEASURED, count))
                pixels = self.data.normalise(validation.images[place].to(self.device))
                answers = self.supernet(pixels, choice).cpu()
                labels = validation.labels[place]
                right += int((answers.argmax(1) == labels).sum())
                loss += functional.cross_entropy(answers, labels, reduction="sum").item()
        return right / count, loss / count

    def _state(self) -> dict[str, Any]:
        """Everything that the next step depends on."""
        return {
            "supernet": self.supernet.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "policy": self.method.policy.state_dict(),
            "policy optimizer": self.method.optimizer.state_dict(),
            "step": self.step,
            "seconds": self.seconds,
            "loss": (self.loss_sum, self.loss_count),
            "epochs": [asdict(epoch) for epoch in self.epochs],
            "stopped": self.stopped,
        }

    def _take(self, state: dict[str, Any]) -> None:
        """Continue from what `_state` returned."""
        self.supernet.load_state_dict(state["supernet"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.method.policy.load_state_dict(state["policy"])
        self.method.optimizer.load_state_dict(state["policy optimizer"])
        self.step, self.seconds = state["step"], state["seconds"]
        self.loss_sum, self.loss_count = state["loss"]
        self.epochs = [epoch_from(row) for row in state["epochs"]]
        self.stopped = state["stopped"]


def _gradient(parameter: Tensor) -> Tensor:
    return torch.zeros_like(parameter) if parameter.grad is None else parameter.grad.detach()
