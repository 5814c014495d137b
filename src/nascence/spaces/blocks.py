"""Pieces of spaces of blocks: convolution with BatchNorm, its cost, lists of block numbers."""

from torch import nn

from nascence.spaces.additive import Cost
from nascence.spaces.decisions import shortened


def normalised(
    in_channels: int, out_channels: int, kernel: int = 1, *, stride: int = 1, groups: int = 1
) -> list[nn.Module]:
    """Make a convolution without bias that keeps the size at stride 1, and BatchNorm."""
    convolution = nn.Conv2d(
        in_channels, out_channels, kernel, stride, kernel // 2, groups=groups, bias=False
    )
    return [convolution, nn.BatchNorm2d(out_channels)]


def convolution_cost(
    in_channels: int, out_channels: int, kernel: int, side: int, *, groups: int = 1
) -> Cost:
    """Cost of a convolution without bias, its output of ``side`` pixels, and BatchNorm."""
    weights = kernel**2 * in_channels // groups * out_channels
    return Cost(weights + 2 * out_channels, weights * side**2)


def check_width(width: float) -> None:
    """Raise ``ValueError`` where a width multiplier is not from 0.05 to 20."""
    if isinstance(width, bool) or not 0.05 <= width <= 20:
        raise ValueError(f"width is {width!r}; it must be a number from 0.05 to 20")


def read_numbers(text: str, count: int) -> list[int]:
    """Read ``count`` ints between spaces, commas and brackets, or raise ``ValueError``."""
    words = text.translate(str.maketrans("[](),", "     ")).split()
    if len(words) != count:
        raise ValueError(
            f"cannot read the architecture {shortened(text)}: it has {len(words)} numbers, and "
            f"this space has {count} blocks"
        )
    numbers = []
    for place, word in enumerate(words):
        digits = word.removeprefix("-")
        if not (digits.isascii() and digits.isdigit() and len(digits) < 10):
            raise ValueError(
                f"cannot read the architecture: {shortened(word)} for block {place} is no number"
            )
        numbers.append(int(word))
    return numbers
