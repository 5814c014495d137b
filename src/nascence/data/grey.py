"""Images for a network whose form is fixed: where it takes grey, colour becomes grey."""

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from nascence.data.decode import ColourError
from nascence.data.decoding import Form, Progress, decode_part
from nascence.data.source import EncodedImages

Decoded = tuple[NDArray[np.uint8], NDArray[np.intp], list[tuple[str, str]]]


def decode_images(
    part: EncodedImages,
    form: Form,
    *,
    workers: int | None = None,
    progress: Progress | None = None,
) -> Decoded:
    """Decode images to one form, whether they have colour or not.

    Args:
        part: Encoded images.
        form: Size and channels of the result.
        workers: Threads that decode.
        progress: Called with the number of images decoded and their total.

    Returns:
        uint8 images ``(N, C, H, W)``, the indices ``(n,)`` of those that could be decoded, and the
        name of each other image with the reason.
    """

    def run(form: Form) -> Decoded:
        return decode_part(
            part,
            form,
            allocate=lambda shape: np.empty(shape, np.uint8),
            workers=workers,
            progress=progress,
        )

    try:
        return run(form)
    except ColourError:
        images, kept, failures = run(replace(form, grey=False))
        return as_grey(images), kept, failures


def as_grey(images: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Luma of uint8 images ``(N, 3, H, W)``, as ``(N, 1, H, W)``.

    Weights and rounding are Pillow's: those of ITU-R BT.601.
    """
    red, green, blue = (images[:, channel].astype(np.uint32) for channel in range(3))
    luma = (19595 * red + 38470 * green + 7471 * blue + 32768) >> 16
    return luma.astype(np.uint8)[:, None]
