"""What kind of padding a convolution has, as the formats that it is written in tell them apart."""

from nascence.reparam.operators import Convolution


def is_padding(found: Convolution) -> bool:
    """Whether ``found`` only pads."""
    unit = all(size == 1 for size in (*found.kernel, *found.stride))
    return not found.learned and unit


def is_symmetric(found: Convolution) -> bool:
    """Whether torch's convolution takes this padding as it is."""
    return all(low == high >= 0 for low, high in found.padding)


def is_same(found: Convolution) -> bool:
    """Whether this padding is what torch calls ``same``."""
    axes = zip(found.padding, found.dilation, found.kernel, found.stride, strict=True)
    return not found.transposed and all(
        stride == 1 and low == step * (size - 1) // 2 and low + high == step * (size - 1)
        for (low, high), step, size, stride in axes
    )
