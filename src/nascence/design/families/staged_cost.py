"""What staged networks cost on this machine: measured convolutions, added up."""

from pathlib import Path

import torch

from nascence.latency import OperatorTimes
from nascence.reparam import RepVGGBlock
from nascence.search import Limit, LimitError, Limits
from nascence.spaces import Architecture, StagedSpace
from nascence.training import Precision, autocast_dtype

TIMED = 32
"""Images in the batch on which convolutions are timed as training takes them."""


def space_of(image_shape: tuple[int, int, int], *, classes: int) -> StagedSpace:
    """The space whose networks are trained, for images ``(C, H, W)``."""
    return StagedSpace.for_images(image_shape, classes=classes, branched=RepVGGBlock)


class StagedCost:
    """Parameters, latency and training time of architectures.

    Args:
        space: the space that is searched.
        image_shape: ``(C, H, W)``.
        precision: in which training is timed.
        folder: where what was measured is kept.
    """

    def __init__(
        self,
        space: StagedSpace,
        image_shape: tuple[int, int, int],
        *,
        precision: Precision,
        folder: Path,
    ) -> None:
        self.deployed = StagedSpace.for_images(image_shape, classes=space.classes, folded=True)
        self._latency = OperatorTimes(self.deployed, kept=folder / "latencies.json", passes=9)
        self._training = OperatorTimes(
            space,
            batch_size=TIMED,
            training=True,
            dtype=autocast_dtype(precision, torch.device("cpu")),
            passes=1,
            kept=folder / "steps.json",
        )

    def parameters(self, architecture: Architecture) -> int:
        """Learnable values of the folded network."""
        return self.deployed.parameters(architecture)

    def macs(self, architecture: Architecture) -> int:
        """Multiply-adds of the folded network for one image."""
        return self.deployed.macs(architecture)

    def latency_ms(self, architecture: Architecture) -> float:
        """Milliseconds of the folded network for one image on one thread of this machine."""
        return self._latency.of(architecture)

    def training_ms(self, architecture: Architecture) -> float:
        """Milliseconds in which the network takes one image forward and back, on one thread."""
        return self._training.of(architecture) / TIMED

    def limits(self, *, parameters: int | None, latency_ms: float | None) -> Limits:
        """The limits that a user gave.

        Raises:
            LimitError: Not even the smallest network of the space keeps to one of them.
        """
        smallest = self.smallest()
        limits = []
        if parameters is not None:
            if (least := self.parameters(smallest)) > parameters:
                raise LimitError(
                    f"no network keeps to --max-params {parameters:,}: the smallest has {least:,} "
                    "parameters; raise the limit"
                )
            limits.append(Limit("parameters", self.parameters, parameters))
        if latency_ms is not None:
            if (fastest := self.latency_ms(smallest)) > latency_ms:
                raise LimitError(
                    f"no network keeps to --max-latency-ms {latency_ms:g}: the smallest takes "
                    f"{fastest:.2g} ms for one image on this machine; raise the limit"
                )
            limits.append(Limit("latency_ms", self.latency_ms, latency_ms))
        return Limits(*limits)

    def smallest(self) -> Architecture:
        """The least that the space holds: the narrowest stages without a block."""
        lines = [f"{min(self.deployed.widths)}x0 plain"] * self.deployed.stages
        return self.deployed.parse(";".join([f"stem{max(self.deployed.stems)}", *lines]))
