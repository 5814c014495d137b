"""Which arithmetic trains a network faster on this machine."""

import copy
import time

import torch
from torch import nn
from torch.nn import functional

from nascence.data import Dataset
from nascence.training import Precision

GAIN = 0.9
"""bfloat16 is taken where a step takes at most this share of its time in float32."""


def faster_precision(
    model: nn.Module,
    data: Dataset,
    *,
    device: torch.device,
    batch_size: int = 128,
    steps: int = 4,
) -> Precision:
    """Time training steps in float32 and under bfloat16 autocast, and name the faster one.

    A processor without instructions for bfloat16 emulates it many times more slowly, one with
    them is up to twice as fast; no property of the processor that torch tells says which. The
    model is left as it is.

    Args:
        model: The network to train.
        data: Its images; a batch of the training images is used.
        device: Where it is trained. A GPU is not measured: "auto" knows what it has.
        batch_size: Images in a step.
        steps: Steps that are timed in each precision; the fastest counts.

    Returns:
        "auto" on a GPU, else "float32" or "bfloat16".
    """
    if device.type != "cpu":
        return "auto"
    images = data.normalise(data.train.images[:batch_size])
    labels = data.train.labels[:batch_size]
    trained = copy.deepcopy(model).train()

    def seconds(enabled: bool) -> float:
        started = time.perf_counter()
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=enabled):
            outputs = trained(images)
        functional.cross_entropy(outputs.float(), labels).backward()
        return time.perf_counter() - started

    # The first step of each kind chooses kernels; the next ones alternate, so that a busy
    # machine slows both down.
    seconds(False)
    if seconds(True) > 4 * seconds(False):
        return "float32"
    pairs = [(seconds(False), seconds(True)) for _ in range(steps)]
    plain, half = (min(times) for times in zip(*pairs, strict=True))
    return "bfloat16" if half <= GAIN * plain else "float32"
