"""What a network costs: parameters, multiply-adds, latency."""

import statistics
import time
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from nascence.core.modes import evaluation_mode


class Latency(NamedTuple):
    """Seconds of one forward pass."""

    median: float
    minimum: float


def count_parameters(model: nn.Module) -> int:
    """Count the learnable values, those of a shared tensor once."""
    return sum(parameter.numel() for parameter in model.parameters())


def count_macs(model: nn.Module, *inputs: Tensor) -> int:
    """Count the multiply-adds of one forward pass: convolutions and matrix products.

    BatchNorm, pooling, activations and sums are not counted, which is the convention of the
    published tables. The model is left as it was found.

    Args:
        model: The network.
        inputs: What its forward pass takes; divide by the batch size for the cost of one sample.
    """
    # fused attention, of modules or of functions, is one operation that the counter does not know
    fused = torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(False)
    try:
        with (
            evaluation_mode(model),
            sdpa_kernel(SDPBackend.MATH),
            FlopCounterMode(display=False) as counter,
        ):
            model(*inputs)
    finally:
        torch.backends.mha.set_fastpath_enabled(fused)
    return counter.get_total_flops() // 2


def measure_latency(
    model: nn.Module, *inputs: Tensor, repeats: int = 30, warmup: int = 5
) -> Latency:
    """Time a forward pass in evaluation mode.

    Args:
        model: The network, on the device of the inputs.
        inputs: What its forward pass takes.
        repeats: Passes that are timed.
        warmup: Passes before them.

    Returns:
        Seconds.

    Raises:
        ValueError: ``repeats`` is below 1.
    """
    if repeats < 1:
        raise ValueError(f"repeats is {repeats}; it must be at least 1")
    synchronize = torch.cuda.synchronize if inputs and inputs[0].is_cuda else lambda: None
    seconds = []
    with evaluation_mode(model):
        for step in range(warmup + repeats):
            synchronize()
            start = time.perf_counter()
            model(*inputs)
            synchronize()
            if step >= warmup:
                seconds.append(time.perf_counter() - start)
    return Latency(statistics.median(seconds), min(seconds))
