"""Data sets of two classes that differ in brightness, for tests of everything that trains."""

import torch

from nascence.data import Dataset, Split


def bright_or_dark(
    images: int = 64, side: int = 8, *, noise: int = 100, gap: int = 100, name: str = "brightness"
) -> Dataset:
    """Images ``(images, 3, side, side)`` of uniform noise, every other one ``gap`` brighter."""
    generator = torch.Generator().manual_seed(1)
    labels = torch.arange(images) % 2
    pixels = torch.randint(0, noise, (images, 3, side, side), generator=generator)
    split = Split((pixels + gap * labels.view(-1, 1, 1, 1)).to(torch.uint8), labels)
    return Dataset(
        name=name,
        train=split,
        validation=split,
        class_names=("dark", "bright"),
        mean=(0.4,) * 3,
        std=(0.25,) * 3,
        skipped=(),
        fingerprint=f"{name} {images} {side}",
    )
