"""Trials on a look at some photos, of which a third is held out."""

import dataclasses
import math
import time
from itertools import pairwise
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from nascence.data import Dataset, Look, Split
from nascence.data.dataset import UNEVEN
from nascence.data.decode import Framing
from nascence.design import classic, recipe
from nascence.design.hand import hand_design
from nascence.design.inputs import Inputs, balance_of
from nascence.training import evaluate, mean_recall, train

HELD_OUT = 3
FEWEST_PHOTOS = 150
WIDTH = 32
"""Channels of the network on which sizes are tried."""
TRIAL_BATCH, PROBE_BATCH = 64, 16


def affordable(look: Look, seconds: float) -> Look:
    """As many photos of a look as the classic can be tried on in about half of the time."""
    started = time.monotonic()
    few = dataclasses.replace(look, photos=look.photos[:32], labels=look.labels[:32])
    classic.features(torch.from_numpy(few.images(classic.SIDE, "squash")))
    each = (time.monotonic() - started) / len(few.photos)
    count = max(int(0.5 * seconds / (5 * each)), FEWEST_PHOTOS)
    return dataclasses.replace(look, photos=look.photos[:count], labels=look.labels[:count])


class Trial:
    """The photos of a look, a third of them held out.

    Args:
        look: The photos.
        seed: Chooses what is held out.
        device: Where networks are trained.
    """

    def __init__(self, look: Look, seed: int, device: torch.device) -> None:
        self.look, self.seed, self.device = look, seed, device
        self.train_images = look.train
        order = torch.from_numpy(np.random.default_rng(seed).permutation(len(look.photos)))
        part = max(len(order) // HELD_OUT, 1)
        self.held_out, self.held_in = order[:part], order[part:]
        # Only classes that can be learned are judged by.
        labels = torch.from_numpy(np.asarray(look.labels))
        self.labels, self.classes = labels, look.classes
        self.held_out = self.held_out[torch.isin(labels[self.held_out], labels[self.held_in])]
        counts = torch.bincount(labels)
        counts = counts[counts > 0]
        self.uneven = bool(counts.max() >= UNEVEN * counts.min())
        self._images: dict[tuple[int, Framing], Tensor] = {}
        self._features: dict[Framing, Tensor] = {}

    def images(self, side: int, framing: Framing) -> Tensor:
        """All photos as uint8 ``(N, C, side, side)``."""
        key = (side, framing)
        if key not in self._images:
            self._images[key] = torch.from_numpy(self.look.images(side, framing))
        return self._images[key]

    def figure(self, predicted: Tensor) -> float:
        """What the classes ``(held out,)`` are worth, in [0, 1]: mean recall where uneven."""
        labels = self.labels[self.held_out]
        if self.uneven:
            return mean_recall(predicted, labels)
        return (predicted == labels).float().mean().item()

    def error(self, figure: float) -> float:
        """The standard error of a share of the photos held out."""
        return math.sqrt(figure * (1 - figure) / max(len(self.held_out), 1))

    def classic(self, framing: Framing, flipped: int | None = None) -> float:
        """The figure of the classic, taught by flipped copies, too."""
        images, labels = self.images(classic.SIDE, framing), self.labels[self.held_in]
        if framing not in self._features:
            self._features[framing] = classic.features(images)
        found = self._features[framing]
        taught = found[self.held_in]
        if flipped is not None:
            copies = classic.features(images[self.held_in].flip(flipped))
            taught, labels = torch.cat([taught, copies]), torch.cat([labels, labels])
        fitted = classic.fit(
            taught,
            labels,
            self.classes,
            uneven=self.uneven,
            generator=torch.Generator().manual_seed(self.seed),
        )
        return self.figure(fitted(found[self.held_out]).argmax(1))

    def data(self, side: int, framing: Framing) -> Dataset:
        """The photos as a data set, those held out for validation."""
        images = self.images(side, framing)
        train, validation = (
            Split(images[part], self.labels[part]) for part in (self.held_in, self.held_out)
        )
        pixels = train.images[:256].float() / 255
        return Dataset(
            name="look",
            train=train,
            validation=validation,
            class_names=tuple(map(str, range(self.classes))),
            mean=tuple(pixels.mean((0, 2, 3)).tolist()),
            std=tuple(pixels.std((0, 2, 3)).clamp_min(1 / 255).tolist()),
            skipped=(),
            fingerprint="look",
        )

    def seconds_per_sample(self, inputs: Inputs) -> float:
        """Of a training step on a few images, the fastest of three."""
        data, clock = self.data(inputs.side, inputs.framing), [time.perf_counter()]
        train(
            self._network(data),
            data,
            **self._settings(inputs, PROBE_BATCH),
            steps=4,
            progress=lambda fraction, measured: clock.append(time.perf_counter()),
        )
        gaps = [after - before for before, after in pairwise(clock[1:])]
        return min(gaps) / min(PROBE_BATCH, len(data.train))

    def trained(self, inputs: Inputs, seconds: float) -> float:
        """The figure of a small network after a short training."""
        data = self.data(inputs.side, inputs.framing)
        settings = self._settings(inputs, TRIAL_BATCH)
        model = train(self._network(data), data, **settings, seconds=seconds).model
        logits = evaluate(model, data.validation, data.normalise, device=self.device).logits
        return self.figure(logits.argmax(1))

    def _network(self, data: Dataset) -> nn.Module:
        shape = data.image_shape
        return hand_design(WIDTH, classes=self.classes, image_shape=shape, seed=self.seed)

    def _settings(self, inputs: Inputs, batch_size: int) -> dict[str, Any]:
        return {
            **recipe.designed(inputs.side),
            **inputs.augmentation,
            "resolution_schedule": None,
            "balance": balance_of(self.uneven),
            "batch_size": batch_size,
            "measurements": 0,
            "precision": "float32",
            "device": self.device,
            "generator": torch.Generator().manual_seed(self.seed),
        }
