"""Detection images made of classification images: pictures of many sizes on textured backgrounds.

Scene k of a seed is the same everywhere and on every call: all choices come from (seed, k), and
pixels are resized by Pillow in integers.
"""

from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

from nascence.data import Split
from nascence.detect.boxes import Objects

Pixels = NDArray[np.uint8]


class Scene(NamedTuple):
    """An image uint8 (3, H, W) and the objects in it."""

    image: torch.Tensor
    objects: Objects


class Scenes:
    """An endless sequence of scenes; ``scenes[k]`` makes number k.

    Args:
        source: RGB images to place, with their labels.
        size: Side of a scene in pixels.
        objects: Least and greatest number of objects; one that cannot be placed in 20 attempts is
            left out, so there may be fewer, but at least one.
        sides: Least and greatest longer side of an object; the logarithm is uniform.
        aspect: Greatest ratio of the longer to the shorter side.
        cover: Greatest share of an object that another one placed later may hide, and of itself
            that may lie over others.
        seed: Chooses all scenes.

    Raises ValueError for images without three channels and for limits out of order.
    """

    def __init__(
        self,
        source: Split,
        *,
        size: int = 128,
        objects: tuple[int, int] = (1, 6),
        sides: tuple[int, int] = (12, 96),
        aspect: float = 1.5,
        cover: float = 0.2,
        seed: int = 0,
    ) -> None:
        if source.images.shape[1] != 3 or not len(source):
            raise ValueError(
                f"images are of shape {tuple(source.images.shape)}; RGB images (N, 3, H, W) are "
                "needed, at least one"
            )
        if not (1 <= objects[0] <= objects[1] and 2 <= sides[0] <= sides[1] <= size):
            raise ValueError(
                f"objects is {objects}, sides {sides}, size {size}; objects must be rising from 1, "
                "sides rising from 2 and no greater than the scene"
            )
        if aspect < 1 or not 0 <= cover <= 1 or seed < 0:
            raise ValueError(
                f"aspect is {aspect}, cover {cover}, seed {seed}; at least 1, in [0, 1], at least 0"
            )
        self.source = source
        self.size = size
        self.objects = objects
        self.sides = sides
        self.aspect = aspect
        self.cover = cover
        self.seed = seed

    def __getitem__(self, index: int) -> Scene:
        """Scene number ``index``, 0 or greater."""
        if index < 0:
            raise IndexError(f"scene {index}; numbers start at 0")
        random = np.random.default_rng([self.seed, index])
        canvas = background(self.size, random)
        boxes: list[tuple[int, int, int, int]] = []
        labels: list[int] = []
        for _ in range(random.integers(self.objects[0], self.objects[1] + 1)):
            box = self._free_box(boxes, random)
            chosen = int(random.integers(len(self.source)))
            if box is not None:
                canvas[box[1] : box[3], box[0] : box[2]] = self._picture(chosen, box)
                boxes.append(box)
                labels.append(int(self.source.labels[chosen]))
        return Scene(
            torch.from_numpy(np.ascontiguousarray(canvas.transpose(2, 0, 1))),
            Objects(torch.tensor(boxes, dtype=torch.float32), torch.tensor(labels)),
        )

    def batch(self, first: int, count: int) -> tuple[torch.Tensor, list[Objects]]:
        """Scenes ``first`` to ``first + count - 1``: images uint8 (count, 3, H, W), objects."""
        scenes = [self[index] for index in range(first, first + count)]
        return torch.stack([each.image for each in scenes]), [each.objects for each in scenes]

    def _free_box(
        self, taken: list[tuple[int, int, int, int]], random: np.random.Generator
    ) -> tuple[int, int, int, int] | None:
        for _ in range(20):
            longer = self.sides[0] * (self.sides[1] / self.sides[0]) ** random.random()
            shorter = longer / self.aspect ** random.random()
            pair = (round(longer), max(round(shorter), 1))
            width, height = pair if random.random() < 0.5 else pair[::-1]
            left = int(random.integers(self.size - width + 1))
            top = int(random.integers(self.size - height + 1))
            box = (left, top, left + width, top + height)
            if all(_hidden(box, other) <= self.cover for other in taken):
                return box
        return None

    def _picture(self, index: int, box: tuple[int, int, int, int]) -> Pixels:
        pixels = self.source.images[index].permute(1, 2, 0).numpy()
        side = (box[2] - box[0], box[3] - box[1])
        return np.asarray(Image.fromarray(pixels).resize(side, Image.Resampling.BILINEAR))


def background(size: int, random: np.random.Generator) -> Pixels:
    """A textured background, uint8 (size, size, 3): colour noise of three scales.

    Grids of random colours with cells of about 64, 16 and 4 pixels, each enlarged smoothly (the
    middle one sometimes in hard-edged blocks, so that a straight edge alone marks no object).
    """
    total = np.zeros((size, size, 3), np.int32)
    weights = (4, int(random.integers(1, 4)), int(random.integers(0, 3)))
    for cell, weight in zip((64, 16, 4), weights, strict=True):
        count = -(-size // cell) + 1
        grid = random.integers(0, 256, (count, count, 3), dtype=np.uint8)
        hard = cell == 16 and random.random() < 0.5
        method = Image.Resampling.NEAREST if hard else Image.Resampling.BILINEAR
        layer = Image.fromarray(grid).resize((count * cell, count * cell), method)
        total += weight * np.asarray(layer, np.int32)[:size, :size]
    return (total // sum(weights)).astype(np.uint8)


def _hidden(first: tuple[int, int, int, int], second: tuple[int, int, int, int]) -> float:
    """Area of the intersection as a share of the smaller of two boxes."""
    width = min(first[2], second[2]) - max(first[0], second[0])
    height = min(first[3], second[3]) - max(first[1], second[1])
    if width <= 0 or height <= 0:
        return 0.0
    areas = [(box[2] - box[0]) * (box[3] - box[1]) for box in (first, second)]
    return width * height / min(areas)
