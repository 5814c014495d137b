"""The one training loop: any torch optimizer, a step or a time budget, exact resume."""

import copy
import math
import time
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any, Literal, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from nascence.data import Batch, Dataset, Split, augment
from nascence.params import CheckpointError, load_checkpoint, save_checkpoint

Precision = Literal["auto", "float32", "bfloat16", "float16"]
OptimizerFactory = Callable[[list[dict[str, Any]]], torch.optim.Optimizer]
Objective = Callable[[nn.Module, Tensor, Tensor], Tensor]
"""The loss of a model on a batch of normalised images and labels."""


class DivergenceError(ArithmeticError):
    """The loss became infinite or not a number."""


class Measurement(NamedTuple):
    """One point of a learning curve; ``accuracy`` on the validation images is in [0, 1]."""

    step: int
    seconds: float
    train_loss: float
    accuracy: float


class Evaluation(NamedTuple):
    """A whole split: ``logits`` (N, classes), mean cross-entropy, top-1 accuracy in [0, 1]."""

    logits: Tensor
    loss: float
    accuracy: float


class Training(NamedTuple):
    """What a training gave: a trained copy of the model and how it came about."""

    model: nn.Module
    curve: tuple[Measurement, ...]
    steps: int
    seconds: float
    stopped_by: Literal["steps", "seconds"]


def sgd(learning_rate: float = 0.1, *, weight_decay: float = 5e-4) -> OptimizerFactory:
    """SGD with Nesterov momentum 0.9."""
    return partial(
        torch.optim.SGD, lr=learning_rate, momentum=0.9, nesterov=True, weight_decay=weight_decay
    )


def adamw(learning_rate: float = 1e-3, *, weight_decay: float = 0.05) -> OptimizerFactory:
    """AdamW (Loshchilov & Hutter 2019)."""
    return partial(torch.optim.AdamW, lr=learning_rate, weight_decay=weight_decay)


def parameter_groups(model: nn.Module) -> list[dict[str, Any]]:
    """Two groups: kernels and matrices, which decay, and vectors and scalars, which do not."""
    learnable = [parameter for parameter in model.parameters() if parameter.requires_grad]
    groups: list[dict[str, Any]] = [
        {"params": [p for p in learnable if p.ndim > 1]},
        {"params": [p for p in learnable if p.ndim <= 1], "weight_decay": 0.0},
    ]
    return [group for group in groups if group["params"]]


def cosine(fraction: float, *, warmup: float = 0.05) -> float:
    """Learning-rate factor in [0, 1]: linear warm-up, then half a cosine.

    ``fraction`` is the part of the training that is done, in [0, 1]. Loshchilov & Hutter
    2017, eq. 5 with one cycle.
    """
    if fraction < warmup:
        return fraction / warmup
    done = (fraction - warmup) / (1 - warmup)
    return 0.5 * (1 + math.cos(math.pi * min(done, 1.0)))


def evaluate(
    model: nn.Module,
    split: Split,
    normalise: Callable[[Tensor], Tensor],
    *,
    batch_size: int = 256,
    device: torch.device | str = "cpu",
) -> Evaluation:
    """Run a model, which is on ``device``, over uint8 images (N, C, H, W) in evaluation mode."""
    training = model.training
    model.eval()
    pieces = []
    with torch.no_grad():
        for start in range(0, len(split), batch_size):
            images = split.images[start : start + batch_size].to(device)
            pieces.append(model(normalise(images)).float().cpu())
    model.train(training)
    logits = torch.cat(pieces)
    loss = functional.cross_entropy(logits, split.labels).item()
    accuracy = (logits.argmax(1) == split.labels).float().mean().item()
    return Evaluation(logits, loss, accuracy)


def train(
    model: nn.Module,
    data: Dataset,
    *,
    optimizer: OptimizerFactory,
    generator: torch.Generator,
    steps: int | None = None,
    seconds: float | None = None,
    batch_size: int = 128,
    schedule: Callable[[float], float] = cosine,
    label_smoothing: float = 0.0,
    average_decay: float | None = None,
    crop: int = 4,
    flip: bool = True,
    cutout: int = 0,
    sides: Callable[[float], int] | None = None,
    clip: float | None = None,
    objective: Objective | None = None,
    measurements: int = 20,
    device: torch.device | str = "cpu",
    precision: Precision = "auto",
    checkpoint: Path | None = None,
    checkpoint_seconds: float = 20.0,
    facts: Mapping[str, str | int | float] | None = None,
    progress: Callable[[float, Measurement | None], None] | None = None,
) -> Training:
    """Train a copy of ``model`` on ``data.train`` with cross-entropy; the model is untouched.

    The training ends after ``steps`` or after ``seconds`` (measuring included), whichever comes
    first, and the schedule follows the larger of the two fractions, so the learning rate comes
    to its end either way. With steps alone nothing depends on the clock.

    Every random choice of step k is drawn from (seed, k), with one seed from ``generator``:
    a training resumed from ``checkpoint`` is bit-equal to an undisturbed one on a CPU. The
    checkpoint is written every ``checkpoint_seconds`` and at the end, whole or not at all; a
    finished one is returned without another step.

    ``average_decay`` keeps an exponential moving average of weights and buffers, which is then
    what is measured and returned (Polyak & Juditsky 1992), warmed up as (1 + k) / (10 + k).
    ``sides`` gives the side in pixels to which images are scaled at a fraction of the training.
    ``clip`` is the largest gradient norm. ``objective(model, images, labels)`` takes the place of
    cross-entropy; what it draws from PyTorch's global generator is drawn from (seed, k) as well.
    ``measurements`` points of the curve are taken, none at all with 0. ``facts`` are further
    settings that a checkpoint must have been made with. An optimizer that has an attribute
    ``loss``, as :class:`nascence.optim.Learned` does, finds the loss of the step there.
    ``precision`` "auto" is bfloat16 on a GPU that has it and float32 elsewhere.
    ``progress(fraction, measurement or None)`` is called after every step; a KeyboardInterrupt
    raised in it ends the training after a checkpoint.

    Raises DivergenceError when the loss is not finite, ValueError for impossible settings and
    CheckpointError for the checkpoint of another training or one that cannot be written.
    """
    _check_settings(data, steps, seconds, batch_size, measurements)
    run = _Run(model, data, optimizer, average_decay, torch.device(device), precision)
    seed = int(torch.randint(2**62, (), generator=generator))
    identity: dict[str, Any] = {
        "seed": seed,
        "steps": steps,
        "batch": batch_size,
        "data": data.fingerprint,
    }
    identity.update(facts or {})
    objective = objective or partial(_classification_loss, label_smoothing=label_smoothing)
    if checkpoint is not None and checkpoint.exists():
        run.restore(checkpoint, identity)
    started = time.perf_counter() - run.seconds
    saved = time.perf_counter()
    device_index = [run.device.index or 0] if run.device.type == "cuda" else []
    with torch.random.fork_rng(device_index):
        while (before := _done(run, steps, seconds)) < 1:
            images, labels = _batch_of(data, run.step, batch_size, seed)
            images = augment(
                images, flip=flip, crop=crop, cutout=cutout, generator=_stream(seed, run.step, 1)
            )
            torch.manual_seed(_mixed(seed, run.step, 2))
            run.advance(
                _scaled(data.normalise(images.to(run.device)), sides, before),
                labels.to(run.device),
                factor=schedule(before),
                objective=objective,
                clip=clip,
            )
            run.seconds = time.perf_counter() - started
            after = _done(run, steps, seconds)
            measured = None
            if measurements and (
                after >= 1 or int(after * measurements) > int(before * measurements)
            ):
                measured = run.measure(data)
                run.seconds = time.perf_counter() - started
            if after >= 1 or time.perf_counter() - saved > checkpoint_seconds:
                run.save(checkpoint, identity)
                saved = time.perf_counter()
            if progress is not None:
                try:
                    progress(min(after, 1.0), measured)
                except KeyboardInterrupt:
                    run.save(checkpoint, identity)
                    raise
    stopped_by: Literal["steps", "seconds"] = "steps" if run.step == steps else "seconds"
    return Training(run.result(), tuple(run.curve), run.step, run.seconds, stopped_by)


class _Run:
    """The state of a training: what a checkpoint holds and a step changes."""

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
        self.dtype = _autocast_dtype(precision, device)
        self.model = copy.deepcopy(model).to(device).train()
        self.average = copy.deepcopy(self.model).eval() if average_decay is not None else None
        self.average_decay = average_decay or 0.0
        self.parameters = list(self.model.parameters())  # to walk a supernet is a tenth of a step
        self.optimizer = optimizer(parameter_groups(self.model))
        for group in self.optimizer.param_groups:
            group["initial_lr"] = group["lr"]
        self.scaler = torch.amp.GradScaler(device.type, enabled=self.dtype == torch.float16)
        self.step = 0
        self.seconds = 0.0
        self.loss_sum = torch.zeros((), device=device)
        self.loss_count = 0
        self.last_loss = math.nan
        self.curve: list[Measurement] = []

    def advance(
        self,
        images: Tensor,
        labels: Tensor,
        *,
        factor: float,
        objective: Objective,
        clip: float | None,
    ) -> None:
        """One step of the optimizer at ``factor`` times the learning rate."""
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
        self.curve.append(Measurement(self.step, self.seconds, loss, result.accuracy))
        self.loss_sum, self.loss_count = torch.zeros_like(self.loss_sum), 0
        return self.curve[-1]

    def result(self) -> nn.Module:
        final = self.average if self.average is not None else self.model
        return final.eval()

    def save(self, path: Path | None, identity: dict[str, Any]) -> None:
        """Write everything that the next step depends on."""
        if path is not None:
            save_checkpoint(path, {**identity, "run": self._as_dict()})

    def _as_dict(self) -> dict[str, Any]:
        return {
            "model": self.model.state_dict(),
            "average": self.average.state_dict() if self.average is not None else {},
            "optimizer": self.optimizer.state_dict(),
            "scaler": self.scaler.state_dict(),
            "step": self.step,
            "seconds": self.seconds,
            "loss_sum": self.loss_sum,
            "loss_count": self.loss_count,
            "curve": [tuple(point) for point in self.curve],
        }

    def restore(self, path: Path, identity: dict[str, Any]) -> None:
        """Take up the state in a checkpoint of the same training."""
        content = load_checkpoint(path)
        for key, value in identity.items():
            if content.get(key) != value:
                raise CheckpointError(
                    f"{path} is of another training: its {key} is {content.get(key)!r}, "
                    f"not {value!r}; choose another folder or delete it"
                )
        saved = content["run"]
        self.model.load_state_dict(saved["model"])
        if self.average is not None:
            self.average.load_state_dict(saved["average"])
        self.optimizer.load_state_dict(saved["optimizer"])
        self.scaler.load_state_dict(saved["scaler"])
        self.step, self.seconds = saved["step"], saved["seconds"]
        self.loss_sum = saved["loss_sum"].to(self.device)
        self.loss_count = saved["loss_count"]
        self.curve = [Measurement(*point) for point in saved["curve"]]


def _classification_loss(
    model: nn.Module, images: Tensor, labels: Tensor, *, label_smoothing: float
) -> Tensor:
    outputs = model(images).float()
    return functional.cross_entropy(outputs, labels, label_smoothing=label_smoothing)


def _check_settings(
    data: Dataset, steps: int | None, seconds: float | None, batch_size: int, measurements: int
) -> None:
    if steps is None and seconds is None:
        raise ValueError("neither steps nor seconds is given; give one or both")
    if (steps is not None and steps < 1) or (seconds is not None and seconds <= 0):
        raise ValueError(f"steps={steps}, seconds={seconds}; what is given must be positive")
    if batch_size < 2 or measurements < 0:
        raise ValueError(
            f"batch_size={batch_size}, measurements={measurements}; at least 2 and 0 are needed"
        )
    if len(data.train) < 2:
        raise ValueError(f"{len(data.train)} training images; at least 2 are needed")


def _autocast_dtype(precision: Precision, device: torch.device) -> torch.dtype | None:
    if precision == "auto":
        native = device.type == "cuda" and torch.cuda.is_bf16_supported()
        return torch.bfloat16 if native else None
    return {"float32": None, "bfloat16": torch.bfloat16, "float16": torch.float16}[precision]


def _done(run: _Run, steps: int | None, seconds: float | None) -> float:
    by_steps = run.step / steps if steps else 0.0
    by_clock = run.seconds / seconds if seconds else 0.0
    return max(by_steps, by_clock)


def _mixed(seed: int, index: int, stream: int) -> int:
    """A 63-bit seed for (seed, index, stream): splitmix64, since neighbours must differ widely."""
    mask = 2**64 - 1
    value = (seed + (3 * index + stream) * 0x9E3779B97F4A7C15) & mask
    value = ((value ^ (value >> 30)) * 0xBF58476D1CE4E5B9) & mask
    value = ((value ^ (value >> 27)) * 0x94D049BB133111EB) & mask
    return (value ^ (value >> 31)) >> 1


def _stream(seed: int, index: int, stream: int) -> torch.Generator:
    return torch.Generator().manual_seed(_mixed(seed, index, stream))


def _batch_of(data: Dataset, step: int, batch_size: int, seed: int) -> Batch:
    """Batch number ``step`` of the endless sequence of shuffled epochs."""
    size = min(batch_size, len(data.train))
    per_epoch = len(data.train) // size
    epoch, position = divmod(step, per_epoch)
    order = torch.randperm(len(data.train), generator=_stream(seed, epoch, 0))
    chosen = order[position * size : (position + 1) * size]
    return data.train.images[chosen], data.train.labels[chosen]


def _scaled(images: Tensor, sides: Callable[[float], int] | None, fraction: float) -> Tensor:
    """Images (N, C, H, W) at the side that ``sides`` asks for, the aspect ratio kept."""
    if sides is None:
        return images
    height, width = images.shape[-2:]
    factor = sides(fraction) / max(height, width)
    if factor == 1:
        return images
    target = (max(round(height * factor), 1), max(round(width * factor), 1))
    return functional.interpolate(images, target, mode="bilinear", antialias=True)


@torch.no_grad()
def average_into(average: nn.Module, model: nn.Module, decay: float) -> None:
    """average <- decay * average + (1 - decay) * model; counters are copied."""
    own, new = average.state_dict(), model.state_dict()
    floating = [name for name, value in own.items() if value.is_floating_point()]
    torch._foreach_lerp_([own[n] for n in floating], [new[n] for n in floating], 1 - decay)
    for name, value in own.items():
        if not value.is_floating_point():
            value.copy_(new[name])
