"""Contents that cannot be shown are refused where they are made."""

from dataclasses import replace

import numpy as np
import pytest

from nascence.report import Curve, Mistake, ReportContents


def test_a_curve_has_one_value_per_step() -> None:
    with pytest.raises(ValueError, match="curve 'short' has lengths"):
        Curve("short", (0, 1), (0.0, 1.0), (2.0,), (0.1, 0.2))


@pytest.mark.parametrize(
    "image",
    [
        np.zeros((4, 4, 3)),
        np.zeros((4, 4), dtype=np.uint8),
        np.zeros((4, 4, 4), dtype=np.uint8),
        np.zeros((0, 4, 3), dtype=np.uint8),
    ],
)
def test_a_mistake_is_an_image_of_bytes(image: np.ndarray) -> None:
    with pytest.raises(ValueError, match="a mistake's image"):
        Mistake(image, "cat", "dog", 0.5)


@pytest.mark.parametrize(
    "confusion", [np.zeros((2, 3), dtype=int), np.zeros((3, 3)), -np.eye(3, dtype=int)]
)
def test_the_confusion_matrix_counts_images(
    contents: ReportContents, confusion: np.ndarray
) -> None:
    with pytest.raises(ValueError, match="confusion matrix"):
        replace(contents, confusion=confusion)
