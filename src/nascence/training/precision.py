"""In which arithmetic a network trains: as asked for, or as is faster on this machine."""

import copy
import time
from typing import Literal

import torch
from torch import nn

from nascence.data import Dataset
from nascence.training.recipe import Objective, cross_entropy

Precision = Literal["auto", "float32", "bfloat16", "float16"]

GAIN = 0.9
"""bfloat16 is taken where a step takes at most this share of its time in float32."""
WORTH = 200
"""Steps from which on it pays to spend about ten on measuring."""


def faster_precision(
    model: nn.Module,
    data: Dataset,
    *,
    device: torch.device,
    batch_size: int = 128,
    objective: Objective = cross_entropy,
    steps: int = 4,
    seconds: float | None = None,
) -> Precision:
    """Time training steps in float32 and under bfloat16 autocast, and name the faster one.

    A processor without instructions for bfloat16 emulates it many times more slowly, one with
    them is up to twice as fast; no property of the processor that torch tells says which. The
    model is left as it is; PyTorch's global generator is drawn from by what is random in it.

    Args:
        model: The network to train.
        data: Its images; a batch of the training images is used.
        device: Where it is trained. A GPU is not measured: "auto" knows what it has.
        batch_size: Images in a step.
        objective: The loss that the steps are of.
        steps: Steps that are timed in each precision; the fastest counts.
        seconds: Time after which no further step is timed.

    Returns:
        "auto" on a GPU, else "float32" or "bfloat16".
    """
    if device.type != "cpu":
        return "auto"
    images = data.normalise(data.train.images[:batch_size])
    labels = data.train.labels[:batch_size]
    trained = copy.deepcopy(model).train()

    def taken(enabled: bool) -> float:
        started = time.perf_counter()
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=enabled):
            loss = objective(trained, images, labels)
        loss.backward()
        return time.perf_counter() - started

    begun = time.perf_counter()
    # The first step of each kind chooses kernels; the next ones alternate, so that a busy
    # machine slows both down.
    taken(False)
    if taken(True) > 4 * taken(False):
        return "float32"
    pairs = []
    for _ in range(steps):
        pairs.append((taken(False), taken(True)))
        if seconds is not None and time.perf_counter() - begun > seconds:
            break
    plain, half = (min(times) for times in zip(*pairs, strict=True))
    return "bfloat16" if half <= GAIN * plain else "float32"


def unmeasured_precision(device: torch.device | str) -> Precision:
    """What "auto" was before it measured, for trainings that are to be repeated bit by bit."""
    return "float32" if torch.device(device).type == "cpu" else "auto"


def autocast_dtype(precision: Precision, device: torch.device) -> torch.dtype | None:
    """The dtype of autocast; None for none. "auto" is bfloat16 on a GPU that has it."""
    if precision == "auto":
        native = device.type == "cuda" and torch.cuda.is_bf16_supported()
        return torch.bfloat16 if native else None
    return {"float32": None, "bfloat16": torch.bfloat16, "float16": torch.float16}[precision]
