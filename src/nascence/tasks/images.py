"""Small images for tasks: the bundled sample at a low resolution, in four splits."""

from functools import lru_cache

import torch
from torch import Tensor
from torch.nn import functional

from nascence.data import load
from nascence.params import Params
from nascence.task import Draw, TaskSplit
from nascence.tasks.initial import sample_initialiser
from nascence.tasks.numbered import NumberedProblem
from nascence.tasks.ranges import happens, log_uniform

# Rows of the bundled sample; the last thousand are its validation images.
ROWS: dict[TaskSplit, tuple[int, int]] = {
    "train": (0, 4000),
    "inner-valid": (4000, 4500),
    "outer-valid": (4500, 5000),
    "test": (5000, 6000),
}
CLASSES = 10


@lru_cache(maxsize=1)
def _decoded() -> tuple[Tensor, Tensor]:
    data = load(cache=False)
    images = torch.cat([data.train.images, data.validation.images]).float()
    return images, torch.cat([data.train.labels, data.validation.labels])


@lru_cache(maxsize=8)
def sample(side: int, *, grey: bool = True, device: str = "cpu") -> tuple[Tensor, Tensor]:
    """Images ``(6000, C, side, side)`` with mean 0 and deviation 1, and labels ``(6000,)``.

    C is 1 for grey images and 3 otherwise; ``side`` is at most 32. The rows of the splits are
    `ROWS`.
    """
    images, labels = _decoded()
    if grey:
        images = images.mean(1, keepdim=True)
    if side != images.shape[-1]:
        images = functional.interpolate(images, (side, side), mode="area")
    return ((images - images.mean()) / images.std()).to(device), labels.to(device)


def draw_rows(count: int, size: int, split: TaskSplit, *, generator: torch.Generator) -> Draw:
    """Row numbers ``(count, size)`` of `sample`; those of train are folded by `rows_of`."""
    first, last = ROWS[split]
    if split == "train":
        return (torch.randint(2**30, (count, size), generator=generator),)
    return (-1 - torch.randint(first, last, (count, size), generator=generator),)


def rows_of(drawn: Tensor, train_rows: Tensor) -> Tensor:
    """Rows ``(...)`` of `sample` for what `draw_rows` gave, of train the first ``train_rows``."""
    return torch.where(drawn >= 0, drawn % train_rows, -1 - drawn)


@lru_cache(maxsize=8)
def _mirrored(side: int, grey: bool, device: str) -> tuple[Tensor, Tensor]:
    """`sample` followed by the mirror image of every row, flattened: ``(12000, C side²)``."""
    images, labels = sample(side, grey=grey, device=device)
    return torch.cat([images, images.flip(-1)]).flatten(1), labels


def sample_images(*, generator: torch.Generator) -> Params:
    """Constants of a task on images.

    ``rows`` ``()``, how many training images there are, 250 to 4,000; ``input_scale`` ``()``, a
    factor of the pixels, 0.5 to 2; ``classes`` ``(10,)``, the label that stands for each class, for
    one task in four with two classes to a label; ``mirrored`` ``()``, whether training images are
    mirrored at random, for 0.3 of the tasks; ``seen`` ``()``, whether what is called validation
    and test is training data, for 0.15 (Metz et al. 2020).
    """
    grouped = happens(0.25, generator=generator)
    return {
        "rows": torch.tensor(round(log_uniform(250, 4000, generator=generator))),
        "input_scale": torch.tensor(log_uniform(0.5, 2.0, generator=generator)),
        "classes": torch.randperm(CLASSES, generator=generator) // (2 if grouped else 1),
        "mirrored": torch.tensor(happens(0.3, generator=generator)),
        "seen": torch.tensor(happens(0.15, generator=generator)),
    }


def batch_of(
    constants: Params, drawn: Tensor, *, side: int, grey: bool = True
) -> tuple[Tensor, Tensor]:
    """Flat images ``(B, C side²)`` and labels ``(B,)`` for what `draw_rows` gave.

    ``constants`` are those of `sample_images`.
    """
    images, labels = _mirrored(side, grey, str(drawn.device))
    training = drawn >= 0
    row = torch.where(training, drawn, -1 - drawn)
    row = torch.where(training | constants["seen"], row % constants["rows"], row)
    # The row follows from the remainder; the high bits of the same number are as good as new ones.
    turned = constants["mirrored"] & training & (drawn // 2**20 % 2 == 1)
    scale = constants["input_scale"]
    inputs = functional.embedding(row + len(labels) * turned, images).to(scale.dtype) * scale
    return inputs, constants["classes"][labels[row]]


class ImageProblem(NumberedProblem):
    """A problem on images, with the constants of `sample_images` and `sample_initialiser`."""

    batch_size: int

    def sample(self, *, generator: torch.Generator) -> Params:
        """Draw the constants of a random task."""
        return sample_images(generator=generator) | sample_initialiser(generator=generator)

    def draw(self, count: int, split: TaskSplit, *, generator: torch.Generator) -> Draw:
        """Draw row numbers ``(count, batch_size)``; see `draw_rows`."""
        return draw_rows(count, self.batch_size, split, generator=generator)
