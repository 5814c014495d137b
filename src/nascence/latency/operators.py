"""Times of single convolutions on the machine at hand, of which those of networks are the sum."""

import json
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import torch
from torch import nn

from nascence.core.files import understood, write_whole
from nascence.data.errors import DataError
from nascence.latency.measurement import steady
from nascence.spaces import Architecture, Operator, StagedSpace


class OperatorTimes:
    """Milliseconds of staged networks, added up from convolutions measured when first asked for.

    Cai, Zhu and Han, "ProxylessNAS", ICLR 2019, section 3.3.1. Each convolution runs alone, with
    its ReLU, on one thread; the clock is the CPU time of that thread, which does not count the
    time of other processes.

    Args:
        space: whose convolutions are timed; made with ``folded=True`` for a deployed network's.
        batch_size: images of a pass.
        training: time forward and backward pass in training mode rather than inference.
        dtype: of autocast; None for float32.
        passes: of each convolution, after one that is not counted.
        kept: JSON file of what was measured, so that a resumed run decides as before.
        clock: seconds; the CPU time of this thread.

    Raises:
        DataError: The file is damaged.
    """

    def __init__(
        self,
        space: StagedSpace,
        *,
        batch_size: int = 1,
        training: bool = False,
        dtype: torch.dtype | None = None,
        passes: int = 3,
        kept: Path | None = None,
        clock: Callable[[], float] = time.thread_time,
    ) -> None:
        self.space, self.batch_size, self.backward = space, batch_size, training
        self._dtype, self._passes, self._kept, self._clock = dtype, passes, kept, clock
        self._measured: dict[str, float] = {}
        if kept is not None and kept.exists():
            with understood(kept, remedy="delete it to measure again", error=DataError):
                found = json.loads(kept.read_text())
                self._measured = {str(name): float(value) for name, value in found.items()}

    def of(self, architecture: Architecture, *, side: int | None = None) -> float:
        """Milliseconds of a network, the sum of those of its convolutions.

        Args:
            architecture: of the space.
            side: of the square images, in pixels; None is the default of the space.
        """
        operators = self.space.operators(architecture, side=side)
        known = len(self._measured)
        total = sum(self._milliseconds(operator) for operator in operators)
        if self._kept is not None and len(self._measured) > known:
            write_whole(self._kept, json.dumps(self._measured, indent=1).encode())
        return total

    def _milliseconds(self, operator: Operator) -> float:
        name = " ".join(str(int(value)) for value in operator)
        if name not in self._measured:
            self._measured[name] = 1e3 * self._seconds(operator)
        return self._measured[name]

    def _seconds(self, operator: Operator) -> float:
        module = self.space.module(operator).train(self.backward)
        images = torch.zeros(
            self.batch_size, operator.in_channels, operator.side, operator.side
        ).requires_grad_(self.backward)
        with steady():
            spent = [self._pass(module, images) for _ in range(self._passes + 1)]
        return statistics.median(spent[1:])

    def _pass(self, module: nn.Module, images: torch.Tensor) -> float:
        started = self._clock()
        with (
            torch.set_grad_enabled(self.backward),
            torch.autocast("cpu", dtype=self._dtype, enabled=self._dtype is not None),
        ):
            output = module(images)
        if self.backward:
            output.sum(dtype=torch.float32).backward()
        return self._clock() - started
