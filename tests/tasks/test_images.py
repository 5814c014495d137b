"""Images of tasks: normalised, apart, and in the published shares."""

from itertools import pairwise

import torch

from nascence.task import TASK_SPLITS
from nascence.tasks.images import (
    ROWS,
    batch_of,
    draw_rows,
    rows_of,
    sample,
    sample_images,
)


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


def test_batches_by_hand(generator: torch.Generator) -> None:
    images, labels = sample(4)
    constants = sample_images(generator=generator) | {
        "rows": torch.tensor(300),
        "mirrored": torch.tensor(True),
        "seen": torch.tensor(False),
    }
    drawn = torch.tensor([5, 2**20 + 7, -1 - 4321])
    inputs, classes = batch_of(constants, drawn, side=4)
    rows = [5, (2**20 + 7) % 300, 4321]
    for given, row, turned in zip(inputs, rows, (False, True, False), strict=True):
        image = images[row].flip(-1) if turned else images[row]
        torch.testing.assert_close(given, image.flatten() * constants["input_scale"])
    assert torch.equal(classes, constants["classes"][labels[rows]])
    still = batch_of(constants | {"mirrored": torch.tensor(False)}, drawn, side=4)[0][1]
    torch.testing.assert_close(still, images[rows[1]].flatten() * constants["input_scale"])
    seen = batch_of(constants | {"seen": torch.tensor(True)}, drawn, side=4)[1][2]
    assert seen == constants["classes"][labels[4321 % 300]]


def test_tasks_on_images_have_the_published_shares(generator: torch.Generator) -> None:
    drawn = [sample_images(generator=generator) for _ in range(1000)]
    for name, share in (("mirrored", 0.3), ("seen", 0.15)):
        found = sum(bool(one[name]) for one in drawn) / 1000
        assert abs(found - share) < 0.05
    rows = torch.stack([one["rows"] for one in drawn])
    assert rows.min() >= 250
    assert rows.max() <= 4000
    grouped = sum(int(one["classes"].max()) == 4 for one in drawn) / 1000
    assert abs(grouped - 0.25) < 0.05
