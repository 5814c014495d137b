"""The two halves of the training images, and their batches by number of the step."""

import torch

from nascence.core.randomness import stream
from nascence.data import Batch, Dataset, augment


class Halves:
    """Half of the training images for the weights, half for the architecture.

    Liu et al., "DARTS", ICLR 2019, section 3.1. Everything follows from the seed and the number of
    the step: endless epochs, each in a new order.

    Args:
        data: of which ``train`` is used.
        seed: seed of the halves, orders and augmentation.
        batch_size: images in a batch of either half; at most half of the images.
        crop, flip: settings of :func:`nascence.data.augment`.
        device: where batches are put, normalised.
        whole: give the weights all images and the architecture the same batch.

    Raises:
        ValueError: fewer than 4 training images, or batches of fewer than 2.
    """

    def __init__(
        self,
        data: Dataset,
        *,
        seed: int,
        batch_size: int,
        crop: int = 4,
        flip: bool = True,
        device: torch.device | str = "cpu",
        whole: bool = False,
    ) -> None:
        if len(data.train) < 4 or batch_size < 2:
            raise ValueError(
                f"{len(data.train)} training images in batches of {batch_size}; at least 4 images "
                "and batches of 2 are needed"
            )
        self.data, self.seed, self.crop, self.flip, self.device = data, seed, crop, flip, device
        order = torch.randperm(len(data.train), generator=stream(seed, 0, derivation="search"))
        half = len(order) // 2
        self.halves = (order, order) if whole else (order[:half], order[half:])
        self.batch_size = min(batch_size, len(self.halves[0]))

    def weights(self, step: int) -> Batch:
        """The batch of one step of the weights: ``(B, C, H, W)`` and ``(B,)``."""
        return self._batch(0, step)

    def architecture(self, step: int) -> Batch:
        """The batch of one step of the architecture: ``(B, C, H, W)`` and ``(B,)``."""
        return self._batch(1, step)

    def _batch(self, half: int, step: int) -> Batch:
        images = self.halves[half]
        epoch, position = divmod(step, len(images) // self.batch_size)
        order = torch.randperm(
            len(images), generator=stream(self.seed, 1, half, epoch, derivation="search")
        )
        chosen = images[order[position * self.batch_size : (position + 1) * self.batch_size]]
        pixels = augment(
            self.data.train.images[chosen],
            flip=self.flip,
            crop=self.crop,
            generator=stream(self.seed, 2, half, step, derivation="search"),
        )
        normalised = self.data.normalise(pixels.to(self.device))
        labels = self.data.train.labels[chosen].to(self.device)
        return normalised.to(memory_format=torch.channels_last), labels
