"""Binary activation codes of a forward pass, gathered while it runs."""

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.multiprocessing.reductions import StorageWeakRef
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from nascence.metrics.metric import unwrapped
from nascence.metrics.passes import run

_BITS = 1 << 24  # float32 counts exactly up to here
_aten = torch.ops.aten


def _always(*arguments: Any) -> bool:
    return True


def _starts_at_zero(lower: Any = -1, upper: Any = None) -> bool:
    return lower == 0 and (upper is None or upper > 0)


# Activations that are zero exactly where their input is not positive, so that the code can be
# read from the output; beside each, which of its settings make it one.
_RECTIFIERS: dict[Any, Callable[..., bool]] = {
    _aten.relu.default: _always,
    _aten.relu_.default: _always,
    _aten.clamp_min.default: _starts_at_zero,
    _aten.clamp_min_.default: _starts_at_zero,
    _aten.clamp.default: _starts_at_zero,
    _aten.clamp_.default: _starts_at_zero,
    _aten.hardtanh.default: _starts_at_zero,
    _aten.hardtanh_.default: _starts_at_zero,
    _aten.threshold.default: lambda level, value: level == 0 and value == 0,
    _aten.threshold_.default: lambda level, value: level == 0 and value == 0,
}
# Activations whose branch or gate switches at zero: the code is the sign of the input.
_GATES = {
    getattr(getattr(_aten, name + suffix), "default")  # noqa: B009
    for name in ("leaky_relu", "gelu", "silu", "mish", "elu", "selu", "celu", "hardswish")
    for suffix in ("", "_")
} | {
    _aten.prelu.default,
    _aten._prelu_kernel.default,
    _aten.rrelu_with_noise.default,
    _aten.rrelu_with_noise_.default,
}


def is_activation(func: Any, *arguments: Any, **settings: Any) -> bool:
    """Tell whether an operation switches at zero, given the arguments that follow its input."""
    return func in _GATES or (func in _RECTIFIERS and _RECTIFIERS[func](*arguments, **settings))


class ActivationCodes(TorchDispatchMode, ABC):
    """While active, collects the code of every activation input that it has not seen before.

    Two inputs are the same if they are the same memory, unchanged in between; memory that was freed
    and reused is not the same. The output of a rectifier counts as seen, since its code is that of
    its input. Subclasses decide in :meth:`take` what to do with a code.

    Args:
        images: number of images, which must be the first dimension of every activation.
    """

    def __init__(self, images: int) -> None:
        super().__init__()
        self.images = images
        self.bits = 0
        self._met: dict[tuple, StorageWeakRef] = {}

    @abstractmethod
    def take(self, rows: Tensor) -> None:
        """Take the code ``rows != 0``, ``(B, units)``."""

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        kwargs = kwargs or {}
        if func in _GATES:
            if self._meet(args[0]):
                self._add(args[0].gt(0))
            return func(*args, **kwargs)
        if func not in _RECTIFIERS or not _RECTIFIERS[func](*args[1:], **kwargs):
            return func(*args, **kwargs)
        new = self._meet(args[0])
        output = func(*args, **kwargs)
        # The version of a tensor changed in place is raised after this method returns.
        self._meet(output, later=int(output is args[0]))
        if new:
            self._add(output)
        return output

    def _meet(self, x: Tensor, *, later: int = 0) -> bool:
        """Note a tensor, and tell whether it was new."""
        # The weak reference holds the storage's identity, not its memory: no other storage gets
        # the same number while it lives.
        storage = StorageWeakRef(x.untyped_storage())
        key = (storage.cdata, x._version + later, x.storage_offset(), _extent(x))
        new = key not in self._met
        self._met.setdefault(key, storage)
        return new

    def _add(self, x: Tensor) -> None:
        """Add the code ``x != 0``: x (B, ...)."""
        if x.dim() == 0 or x.shape[0] != self.images:
            raise ValueError(
                f"an activation has the shape {tuple(x.shape)}; its first dimension must be the "
                f"batch of {self.images} images for their codes to be compared"
            )
        rows = _rows(x)
        self.bits += rows.shape[1]
        self.take(rows)


class CodeKernel(ActivationCodes):
    """Counts in how many bits the codes of each pair of images agree.

    Args:
        images: number of images.
        device: of the activations.
    """

    def __init__(self, images: int, device: torch.device) -> None:
        super().__init__(images)
        self._common = torch.zeros(images, images, dtype=torch.int64, device=device)
        self._buffer = torch.empty(0, dtype=torch.bool, device=device)
        self._int8 = device.type == "cpu" and torch.cpu._is_vnni_supported()

    def kernel(self) -> Tensor:
        """K[i, j] = number of bits in which images i and j agree: int64 of ``(B, B)``."""
        ones = self._common.diagonal()
        return 2 * self._common - ones[:, None] - ones[None, :] + self.bits

    def take(self, rows: Tensor) -> None:
        """Count the agreement of these codes, ``(images, activations)``."""
        if not self._int8 or rows.shape[1] == 1:  # _int_mm of a single column is wrong, torch 2.13
            for part in rows.split(_BITS // self.images, dim=1):
                code = part.ne(0).float()
                self._common += (code @ code.T).long()
            return
        if self._buffer.numel() < rows.numel():
            self._buffer = rows.new_empty(rows.numel(), dtype=torch.bool)
        code = self._buffer[: rows.numel()].view(rows.shape)
        bits = code.copy_(rows).view(torch.int8)
        self._common += torch._int_mm(bits, bits.T)


def observe(model: nn.Module, images: Tensor, codes: ActivationCodes) -> None:
    """Give ``codes`` what a pass over images ``(B, ...)`` in the batch's statistics activates.

    Raises:
        ValueError: no activation that switches at zero; an activation whose first dimension is
            not the batch; an output that is not finite.
    """
    with torch.no_grad(), codes:
        output = run(unwrapped(model), images)
    if not codes.bits:
        raise ValueError(
            "the network computes no activation that switches at zero (ReLU, leaky ReLU, GELU, "
            "SiLU and their kind); this score says nothing about it"
        )
    if not all(bool(x.isfinite().all()) for x in tree_leaves(output) if isinstance(x, Tensor)):
        raise ValueError("the network's output is not finite, so that its codes mean nothing")


def _rows(x: Tensor) -> Tensor:
    """Put the values of each image into a row, (B, units), in their order in memory."""
    order = sorted(range(1, x.dim()), key=x.stride, reverse=True)
    return x.permute(0, *order).reshape(x.shape[0], -1)


def _extent(x: Tensor) -> tuple[tuple[int, int], ...]:
    """Strides and sizes that identify the memory of a tensor, whatever shape it is viewed in."""
    if x.is_contiguous() or (x.dim() == 4 and x.is_contiguous(memory_format=torch.channels_last)):
        return ((1, x.numel()),)
    merged: list[tuple[int, int]] = []
    for stride, size in sorted(zip(x.stride(), x.shape, strict=True)):
        if size == 1:
            continue
        if merged and stride == merged[-1][0] * merged[-1][1]:
            merged[-1] = (merged[-1][0], merged[-1][1] * size)
        else:
            merged.append((stride, size))
    return tuple(merged)
