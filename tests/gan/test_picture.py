"""A picture of samples."""

import io

import numpy as np
import pytest
import torch
from PIL import Image

from nascence.gan.picture import sample_grid


@pytest.mark.parametrize("channels", [1, 3])
def test_every_image_stands_in_its_place(channels: int) -> None:
    images = torch.linspace(-1, 1, 5).view(5, 1, 1, 1).expand(5, channels, 4, 3)
    drawn = np.asarray(Image.open(io.BytesIO(sample_grid(images, columns=2, gap=1))))
    assert drawn.shape[:2] == (3 * 4 + 2, 2 * 3 + 1)
    drawn = drawn.reshape(*drawn.shape[:2], -1)
    for place, level in enumerate((0, 64, 128, 191, 255)):
        row, column = divmod(place, 2)
        square = drawn[row * 5 : row * 5 + 4, column * 4 : column * 4 + 3]
        assert (square == level).all()
    assert (drawn[4] == 255).all()
    assert (drawn[10:, 4:] == 255).all()  # no sixth


def test_what_cannot_be_drawn() -> None:
    for shape in ((3, 4, 4), (2, 2, 4, 4), (0, 3, 4, 4)):
        with pytest.raises(ValueError, match="give"):
            sample_grid(torch.zeros(shape))
    with pytest.raises(ValueError, match="not finite"):
        sample_grid(torch.full((1, 3, 4, 4), torch.inf))
