"""Random labels, for networks that are compared without true ones."""

import dataclasses

import torch

from nascence.core.randomness import drawn_seed
from nascence.data.dataset import Dataset, Split


def random_labels(
    data: Dataset, *, generator: torch.Generator, classes: int | None = None
) -> Dataset:
    """Return the same images, each with one label drawn uniformly, fixed from then on.

    Zhang et al., "Neural Architecture Search with Random Labels", CVPR 2021, section 3.2: the
    labels are drawn once, before training, and tell nothing about the images.

    Args:
        data: stays as it is; its images are shared.
        generator: draws the labels, those of the training images first.
        classes: how many there are, 2 or more; as many as in ``data`` by default.

    Returns:
        A data set with its own ``fingerprint``, which depends on the labels drawn, and with the
        class names ``"0"``, ``"1"``, … that say no more than the labels do.

    Raises:
        ValueError: ``classes`` is no int of 2 or more.
    """
    classes = data.classes if classes is None else classes
    if isinstance(classes, bool) or not isinstance(classes, int) or classes < 2:
        raise ValueError(f"classes is {classes!r}; it must be an int of 2 or more")
    seed = drawn_seed(generator)
    own = torch.Generator().manual_seed(seed)

    def drawn(split: Split) -> Split:
        return Split(split.images, torch.randint(classes, (len(split),), generator=own))

    return dataclasses.replace(
        data,
        name=f"{data.name} with random labels",
        train=drawn(data.train),
        validation=drawn(data.validation),
        class_names=tuple(map(str, range(classes))),
        fingerprint=f"{data.fingerprint}, {classes} random labels {seed}",
    )
