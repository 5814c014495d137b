"""Score by the number of different patterns in which units are active over a batch."""

import numpy as np
from numpy.typing import NDArray
from torch import Tensor, nn

from nascence.metrics.codes import ActivationCodes, observe
from nascence.metrics.metric import Batch


class _Patterns(ActivationCodes):
    """Gathers the different patterns of the units, one bit for each image, packed in bytes."""

    def __init__(self, images: int) -> None:
        super().__init__(images)
        self._words = -(-images // 64)
        self._found: list[NDArray] = []

    def count(self) -> int:
        """Number of different patterns met."""
        return len(self._different(np.concatenate(self._found)))

    def take(self, rows: Tensor) -> None:
        packed = np.packbits(rows.ne(0).cpu().numpy(), axis=0)
        padded = np.zeros((8 * self._words, packed.shape[1]), dtype=np.uint8)
        padded[: len(packed)] = packed
        self._found.append(self._different(np.ascontiguousarray(padded.T).view(np.uint64)))

    def _different(self, patterns: NDArray) -> NDArray:
        if self._words == 1:
            return np.unique(patterns)[:, None]
        return np.unique(patterns, axis=0)


def swap(model: nn.Module, batch: Batch) -> float:
    """Return the number of different sample-wise activation patterns.

    Peng, Song, Fayek, Ciesielski and Chang, "SWAP-NAS: Sample-Wise Activation Patterns for
    Ultra-Fast NAS", ICLR 2024, without the regularisation by size. The pattern
    of a unit of an activation has a bit for each image, 1 where the unit's input is positive;
    the score is the number of different patterns over all units. Activations, modes and errors
    are those of :func:`nascence.metrics.naswot`; one image gives at most 2. The
    batch is images ``(B, C, H, W)``, or what else the network takes; no label is read.
    """
    codes = _Patterns(len(batch[0]))
    observe(model, batch[0], codes)
    return float(codes.count())
