"""The state of a training: what a step changes and a checkpoint holds."""

import copy
import math
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from nascence.data import Dataset
from nascence.training.evaluation import evaluate
from nascence.training.precision import Precision, autocast_dtype, unmeasured_precision
from nascence.training.recipe import Objective, OptimizerFactory, parameter_groups


class DivergenceError(ArithmeticError):
    """The loss became infinite or not a number."""


class Measurement(NamedTuple):
    """One point of a learning curve.

    Attributes:
        step: Steps that were taken.
        seconds: Wall time that they took.
        train_loss: Mean since the point before.
        accuracy: On the validation images, in [0, 1].
        mean_recall: Of their classes, in [0, 1]; nan in files of earlier versions.
    """

    step: int
    seconds: float
    train_loss: float
    accuracy: float
    mean_recall: float = math.nan


class Run:
    """Model, optimizer, average and counters of a training."""

    def __init__(
        self,
        model: nn.Module,
        data: Dataset,
        optimizer: OptimizerFactory,
        average_decay: float | None,
        device: torch.device,
        precision: Precision,
    ) -> None:
        self.device = device
        self.automatic = precision == "auto"
        self.use(precision)
        self.model = copy.deepcopy(model).to(device).train()
        self.average = copy.deepcopy(self.model).eval() if average_decay is not None else None
        self.average_decay = average_decay or 0.0
        self.parameters = list(self.model.parameters())  # to walk a supernet is a tenth of a step
        self.optimizer = optimizer(parameter_groups(self.model))
        for group in self.optimizer.param_groups:
            group["initial_lr"] = group["lr"]
        self.step = 0
        self.seconds = 0.0
        self.loss_sum = torch.zeros((), device=device)
        self.loss_count = 0
        self.last_loss = math.nan
        self.curve: list[Measurement] = []

    def use(self, precision: Precision) -> None:
        """Take up a precision, before the first step: that asked for, or what "auto" is."""
        self.precision, self.dtype = precision, autocast_dtype(precision, self.device)
        half = self.dtype == torch.float16
        self.scaler = torch.amp.GradScaler(self.device.type, enabled=half)

    def advance(
        self,
        images: Tensor,
        labels: Tensor,
        *,
        factor: float,
        objective: Objective,
        clip: float | None,
    ) -> None:
        """One step of the optimizer at ``factor`` times the learning rate.

        ``images`` are normalised, ``(B, C, H, W)``, and ``labels`` ``(B,)``, both on the device.
        """
        for group in self.optimizer.param_groups:
            group["lr"] = group["initial_lr"] * factor
        enabled = self.dtype is not None
        with torch.autocast(self.device.type, dtype=self.dtype, enabled=enabled):
            loss = objective(self.model, images, labels)
        self.scaler.scale(loss).backward()
        if clip is not None:
            self.scaler.unscale_(self.optimizer)
            nn.utils.clip_grad_norm_(self.parameters, clip)
        if hasattr(self.optimizer, "loss"):  # a learned optimizer reads it
            self.optimizer.loss = loss.detach()
        self.scaler.step(self.optimizer)
        self.scaler.update()
        self.optimizer.zero_grad(set_to_none=True)
        self.step += 1
        self.loss_sum += loss.detach()
        self.loss_count += 1
        # Reading the loss stops a GPU until it has caught up, so it is read seldom there.
        if self.device.type == "cpu" or self.step % 25 == 0:
            self._check_loss(factor)
        if self.average is not None:
            decay = min(self.average_decay, (1 + self.step) / (10 + self.step))
            average_into(self.average, self.model, decay)

    def _check_loss(self, factor: float) -> None:
        total = self.loss_sum.item()
        if not math.isfinite(total):
            rate = self.optimizer.param_groups[0]["initial_lr"] * factor
            raise DivergenceError(
                f"the loss became {total} by step {self.step} at learning rate {rate:.3g}; "
                f"the mean before was {self.last_loss:.3g}; lower the learning rate or set clip"
            )
        self.last_loss = total / max(self.loss_count, 1)

    def measure(self, data: Dataset) -> Measurement:
        """Add a point to the curve."""
        model = self.average if self.average is not None else self.model
        result = evaluate(model, data.validation, data.normalise, device=self.device)
        loss = self.loss_sum.item() / max(self.loss_count, 1)
        self.curve.append(
            Measurement(self.step, self.seconds, loss, result.accuracy, result.mean_recall)
        )
        self.loss_sum, self.loss_count = torch.zeros_like(self.loss_sum), 0
        return self.curve[-1]

    def result(self) -> nn.Module:
        """The model that was trained, or its average, in evaluation mode."""
        final = self.average if self.average is not None else self.model
        return final.eval()

    def state(self) -> dict[str, Any]:
        """Everything that the next step depends on."""
        return {
            "model": self.model.state_dict(),
            "average": self.average.state_dict() if self.average is not None else {},
            "optimizer": self.optimizer.state_dict(),
            "scaler": self.scaler.state_dict(),
            "precision": self.precision,
            "step": self.step,
            "seconds": self.seconds,
            "loss_sum": self.loss_sum,
            "loss_count": self.loss_count,
            "curve": [tuple(point) for point in self.curve],
        }

    def take(self, saved: dict[str, Any]) -> None:
        """Go on from what `state` gave.

        Raises:
            ValueError: A step or time below zero.
        """
        self.model.load_state_dict(saved["model"])
        if self.average is not None:
            self.average.load_state_dict(saved["average"])
        self.optimizer.load_state_dict(saved["optimizer"])
        if self.automatic:  # files of earlier versions name none: it was float32 on every CPU
            self.use(saved.get("precision", unmeasured_precision(self.device)))
        self.scaler.load_state_dict(saved["scaler"])
        self.step, self.seconds = int(saved["step"]), float(saved["seconds"])
        if min(self.step, self.seconds) < 0:
            raise ValueError(f"step {self.step} after {self.seconds} seconds")
        self.loss_sum = saved["loss_sum"].to(self.loss_sum).reshape(())
        self.loss_count = int(saved["loss_count"])
        self.curve = [
            Measurement(int(step), *(float(value) for value in figures))
            for step, *figures in saved["curve"]
        ]


@torch.no_grad()
def average_into(average: nn.Module, model: nn.Module, decay: float) -> None:
    """Move every value of ``average`` to ``decay`` times it plus ``1 - decay`` times the model's.

    Integer buffers, which count, are copied.
    """
    own, new = average.state_dict(), model.state_dict()
    floating = [name for name, value in own.items() if value.is_floating_point()]
    torch._foreach_lerp_([own[n] for n in floating], [new[n] for n in floating], 1 - decay)
    for name, value in own.items():
        if not value.is_floating_point():
            value.copy_(new[name])
