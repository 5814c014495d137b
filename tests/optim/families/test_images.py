from itertools import pairwise

import torch

from nascence.optim.families.images import ROWS, draw_rows, rows_of, sample
from nascence.task import TASK_SPLITS


def test_images_are_normalised_at_every_side() -> None:
    for side, grey in ((8, True), (4, False)):
        images, labels = sample(side, grey=grey)
        assert images.shape == (6000, 1 if grey else 3, side, side)
        assert labels.bincount().tolist() == [600] * 10
        assert abs(images.mean()) < 1e-5
        assert abs(images.std() - 1) < 1e-5


def test_splits_are_apart(generator: torch.Generator) -> None:
    few = torch.tensor(100)
    for split in TASK_SPLITS:
        (drawn,) = draw_rows(3, 500, split, generator=generator)
        rows = rows_of(drawn, few)
        first, last = ROWS[split]
        assert rows.min() >= first
        assert rows.max() < (100 if split == "train" else last)
    bounds = sorted(ROWS.values())
    assert all(a[1] <= b[0] for a, b in pairwise(bounds))
