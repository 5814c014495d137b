"""What a network costs: parameters, multiply-adds, latency."""

import math
import statistics
import time
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode, flop_registry, shape_wrapper

from nascence.core.modes import evaluation_mode

_aten = torch.ops.aten
Shape = tuple[int, ...]


def _of_first(first: Shape, second: Shape, *_: Any, **__: Any) -> int:
    """Matrix or vector times vector: two operations for each value of the first."""
    return 2 * math.prod(first)


def _of_second(_: Shape, first: Shape, second: Shape, *__: Any, **___: Any) -> int:
    """What :func:`_of_first` counts, of a product that is added to something."""
    return 2 * math.prod(first)


def _of_batches(_: Shape, first: Shape, second: Shape, *__: Any, **___: Any) -> int:
    """Products (B, n, k) (B, k, m), added up."""
    return 2 * math.prod(first) * second[-1]


def _of_bilinear(
    first: Shape, weight: Shape, second: Shape, *_: Any, out_shape: Shape, **__: Any
) -> int:
    """First (B, 1, n, 1), weight (1, o, n, m), second (B, 1, 1, m): one for each weight."""
    return 2 * out_shape[0] * math.prod(weight)


def _of_recurrent(sequence: Shape, first: Shape, second: Shape, *_: Any, **__: Any) -> int:
    """A sequence (steps, B, n), and the matrices that take its values and the state's."""
    return 2 * math.prod(sequence[:2]) * (math.prod(first) + math.prod(second))


_LEFT_OUT_BY_TORCH: dict[Any, Any] = {
    _aten.mv: _of_first,
    _aten.dot: _of_first,
    _aten.addmv: _of_second,
    _aten.addbmm: _of_batches,
    _aten._trilinear: _of_bilinear,
    _aten.mkldnn_rnn_layer: _of_recurrent,
}
FLOPS: dict[Any, Any] = {
    **flop_registry,
    **{operation: shape_wrapper(count) for operation, count in _LEFT_OUT_BY_TORCH.items()},
}
"""Operations, and what counts their multiplications and additions from arguments and result."""


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
        inputs: What its forward pass takes, such as ``(B, C, H, W)``; divide by the batch size for
            the cost of one sample.
    """
    # fused attention, of modules or of functions, is one operation that the counter does not know
    fused = torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(False)
    try:
        with (
            evaluation_mode(model),
            sdpa_kernel(SDPBackend.MATH),
            FlopCounterMode(display=False, custom_mapping=_LEFT_OUT_BY_TORCH) as counter,
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
        inputs: What its forward pass takes, such as ``(B, C, H, W)``.
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
