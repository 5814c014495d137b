"""The search of one supernet, step by step, with what a checkpoint of it holds."""

import math
import time
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from nascence.data import Dataset
from nascence.gradient.batches import Halves, stream
from nascence.gradient.derivation import entropy, skips
from nascence.gradient.relaxation import Method, cross_entropy
from nascence.gradient.trajectory import Epoch, Stop, epoch_from
from nascence.graph.cost import evaluation_mode
from nascence.params import CheckpointError, load_checkpoint, save_checkpoint
from nascence.search.evaluator import derived_seed
from nascence.spaces import Architecture
from nascence.supernets import SuperNet
from nascence.supernets.training import fingerprint
from nascence.training import DivergenceError, parameter_groups, sgd

Prepare = Callable[[SuperNet, torch.Generator], tuple[SuperNet, Method]]
"""From a copy of a supernet to what is searched and how; may use PyTorch's global generator."""
Progress = Callable[[float, Epoch | None], None]
MEASURED = 250
"""Images of one forward pass, over which BatchNorm normalises, when a network is measured."""


class LeafSearch:
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
        with torch.random.fork_rng(_indices(device)):
            torch.manual_seed(derived_seed(seed, (0,)))
            copied = supernet.restrict(supernet.choices).to(device)
            self.supernet, self.method = prepare(copied, stream(seed, 1))
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
        if self.path is not None and self.path.exists():
            self._restore(self.path)
        started = time.perf_counter() - self.seconds
        saved = time.perf_counter()

        def fraction() -> float:
            by_steps = self.step / steps if steps else 0.0
            return max(by_steps, self.seconds / seconds if seconds else 0.0)

        with torch.random.fork_rng(_indices(self.device)):
            while not self.stopped and (before := fraction()) < 1:
                learn = before >= warmup and (self.step + 1) % every == 0
                self._advance(before, learn=learn, clip=clip)
                self.seconds = time.perf_counter() - started
                after = fraction()
                epoch = None
                if after >= 1 or int(after * epochs) > int(before * epochs):
                    epoch = self._measured(validation_images)
                    self.seconds = time.perf_counter() - started
                    found = skips(self.supernet, epoch.architecture)
                    self.stopped = stop_at_skips is not None and found >= stop_at_skips
                after = 1.0 if self.stopped else after
                if after >= 1 or time.perf_counter() - saved > checkpoint_seconds:
                    self._save()
                    saved = time.perf_counter()
                try:
                    progress(min(after, 1.0), epoch)
                except KeyboardInterrupt:
                    self._save()
                    raise
        if self.stopped:
            return "skips"
        return "steps" if self.step == steps else "seconds"

    def _advance(self, done: float, *, learn: bool, clip: float) -> None:
        """One step of the weights and, if it is to learn, of the architecture."""
        torch.manual_seed(derived_seed(self.seed, (2, self.step)))  # of drop path
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
                generator=stream(self.seed, 3, self.step),
            )
            self._learn(gradients)
        gates = stream(self.seed, 4, self.step)
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
        generator = stream(self.seed, 5, self.step)
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

    def _save(self) -> None:
        if self.path is None:
            return
        state = {
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
        save_checkpoint(self.path, {**self.identity, "run": state})

    def _restore(self, path: Path) -> None:
        content = load_checkpoint(path)
        for key, value in self.identity.items():
            if content.get(key) != value:
                raise CheckpointError(
                    f"{path} is of another search: its {key} is {content.get(key)!r}, not "
                    f"{value!r}; choose another folder or delete it"
                )
        state = content["run"]
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


def _indices(device: torch.device) -> list[int]:
    return [device.index or 0] if device.type == "cuda" else []
