"""Multiply-adds of the part of a network that its output depends on."""

from collections.abc import Callable, Iterator
from typing import Any

from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils._python_dispatch import TorchDispatchMode

from nascence.core.modes import evaluation_mode
from nascence.graph.cost import FLOPS
from nascence.metrics.metric import Batch, refusals, unwrapped


class Tape(TorchDispatchMode):
    """While active, records which memory each operation reads and writes, starting from ``image``.

    ``image`` has any shape. Memory is identified by its storage, which is kept alive so that it is
    not reused.
    """

    def __init__(self, image: Tensor) -> None:
        super().__init__()
        self._held: dict[int, Tensor] = {image.untyped_storage()._cdata: image}
        self._steps: list[tuple[set[int], set[int], int]] = []

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        kwargs = kwargs or {}
        output = func(*args, **kwargs)
        read = {key for key, _ in _storages((args, kwargs)) if key in self._held}
        if read and not _reads_no_value(func):
            written = dict(_storages(output))
            self._held.update(written)
            count: Callable[..., int] | None = FLOPS.get(func._overloadpacket)
            flops = count(*args, **kwargs, out_val=output) if count else 0
            self._steps.append((read, set(written), flops))
        return output

    def macs(self, output: Any) -> int:
        """Multiply-adds of the operations on a way from the image to ``output``."""
        needed, flops = {key for key, _ in _storages(output)}, 0
        for read, written, cost in reversed(self._steps):
            if written & needed:
                needed |= read
                flops += cost
        return flops // 2


def live_macs(model: nn.Module, batch: Batch) -> float:
    """Multiply-adds of one image ``(1, C, H, W)`` that lie on a way from the image to the output.

    Operations that read only constants or that nothing reads are left out, such as the edges of a
    cell that are on no path, or a branch that is dropped. As in :func:`nascence.metrics.macs`,
    convolutions and matrix products count. A product with zeros still counts.
    """
    model, image = unwrapped(model), batch[0][:1].clone()
    with refusals(image), evaluation_mode(model), sdpa_kernel(SDPBackend.MATH), Tape(image) as tape:
        output = model(image)
    return float(tape.macs(output))


def _storages(values: Any) -> Iterator[tuple[int, Tensor]]:
    """Storages of the tensors in nested containers."""
    if isinstance(values, Tensor):
        yield values.untyped_storage()._cdata, values
    elif isinstance(values, list | tuple):
        for value in values:
            yield from _storages(value)
    elif isinstance(values, dict):
        yield from _storages(list(values.values()))


def _reads_no_value(func: Any) -> bool:
    """Tell whether an operation uses only the shape of a tensor: ``zeros_like``, ``new_ones``."""
    name = func._overloadpacket.__name__
    return name.endswith("_like") or name.startswith("new_")
