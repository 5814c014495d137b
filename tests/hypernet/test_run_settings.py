"""Settings and data that nothing can be trained with are named."""

import pytest
import torch

from nascence.hypernet.run_settings import RunSettings, check

SETTINGS = RunSettings(5, 10, 2, 4, 1e-3, 0.0, 1, 5.0, 0.0, 0)


def test_what_cannot_be_trained_on_is_named() -> None:
    images, labels = torch.zeros(6, 3, 8, 8), torch.zeros(6, dtype=torch.long)
    check(SETTINGS, images, labels)
    with pytest.raises(ValueError, match="meta_batch is 0"):
        check(SETTINGS._replace(meta_batch=0), images, labels)
    with pytest.raises(ValueError, match=r"schedule is 'step'; it must be one of cosine"):
        check(SETTINGS._replace(schedule="step"), images, labels)
    with pytest.raises(ValueError, match=r"average is 1\.0"):
        check(SETTINGS._replace(average=1.0), images, labels)
    with pytest.raises(ValueError, match="crop is -1; give pixels"):
        check(SETTINGS._replace(crop=-1), images, labels)
    with pytest.raises(ValueError, match=r"torch\.uint8 of shape \(6, 3, 8, 8\)"):
        check(SETTINGS, images.byte(), labels)
    with pytest.raises(ValueError, match=r"6 images but labels of shape \(5,\)"):
        check(SETTINGS, images, labels[:5])
