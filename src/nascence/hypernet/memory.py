"""Memory for predictions that is reused once nothing refers to its contents any more."""

from typing import Any
from weakref import ReferenceType, ref

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

_SMALLEST = 2**20  # values; below, the allocator keeps the memory itself


class Memory:
    """Hands out buffers; keeps the last one, and hands it out again when it is free.

    Pages that were written before cost half as much to write as pages from the system. A
    buffer is free when no tensor is left of what was handed out; one that is still held is
    never touched. Copies and pickles start empty.
    """

    def __init__(self) -> None:
        self._kept: list[tuple[NDArray[Any], ReferenceType[NDArray[Any]]]] = []

    def take(self, count: int, dtype: torch.dtype) -> Tensor:
        """An uninitialised tensor ``(count,)`` on the CPU."""
        kind = torch.empty(0, dtype=dtype).numpy().dtype
        try:
            buffer, holder = self._kept.pop()  # atomic, so two threads never take the same one
            free = holder() is None and buffer.dtype == kind
        except IndexError:
            free = False
        if not free or not count <= buffer.size <= 2 * count:
            buffer = np.empty(count, kind)  # numpy asks for huge pages
        part = buffer[:count]
        found = torch.from_numpy(part)  # which holds this very array as long as it lives
        if count >= _SMALLEST:
            self._kept.append((buffer, ref(part)))
        return found

    def __deepcopy__(self, _: dict[int, Any]) -> "Memory":
        return Memory()

    def __reduce__(self) -> tuple[type["Memory"], tuple[()]]:
        return Memory, ()
