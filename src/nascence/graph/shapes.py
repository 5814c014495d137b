"""Output shapes of the operations whose shape kernels are slow to call."""

from collections.abc import Sequence
from math import prod

Shape = tuple[int, ...]


def broadcast(first: Sequence[int], second: Sequence[int]) -> Shape:
    """The shape that two operands broadcast to.

    Raises:
        ValueError: They do not broadcast.
    """
    if len(first) < len(second):
        first, second = second, first
    offset = len(first) - len(second)
    shape = list(first)
    for axis, size in enumerate(second):
        other = shape[offset + axis]
        if other == size or size == 1:
            continue
        if other != 1:
            raise ValueError(f"shapes {tuple(first)} and {tuple(second)} do not broadcast")
        shape[offset + axis] = size
    return tuple(shape)


def _per_axis(value: int | Sequence[int], axes: int) -> Sequence[int]:
    if isinstance(value, int):
        return (value,) * axes
    return tuple(value) * axes if len(value) == 1 and axes > 1 else value


def convolution(
    x: Sequence[int],
    weight: Sequence[int],
    stride: int | Sequence[int] = 1,
    padding: int | str | Sequence[int] = 0,
    dilation: int | Sequence[int] = 1,
    groups: int = 1,
) -> Shape:
    """``(B, Cout, ...)`` of a convolution of ``x`` ``(B, Cin, ...)``; ``x`` may lack the batch.

    Raises:
        ValueError: The input has other axes or channels, or the kernel does not fit.
    """
    axes = len(weight) - 2
    if len(x) not in (axes + 1, axes + 2):
        raise ValueError(f"a {axes}-D convolution got an input of shape {tuple(x)}")
    if x[-axes - 1] != weight[1] * groups:
        raise ValueError(
            f"a convolution with weight {tuple(weight)} and {groups} groups needs "
            f"{weight[1] * groups} input channels, got an input of shape {tuple(x)}"
        )
    spatial = x[-axes:]
    if padding == "same":
        return (*x[: -axes - 1], weight[0], *spatial)
    strides, dilations = _per_axis(stride, axes), _per_axis(dilation, axes)
    paddings = _per_axis(0 if isinstance(padding, str) else padding, axes)
    out = []
    for axis in range(axes):
        reach = dilations[axis] * (weight[2 + axis] - 1)
        size = (spatial[axis] + 2 * paddings[axis] - reach - 1) // strides[axis] + 1
        if size < 1:
            raise ValueError(
                f"a kernel of {tuple(weight[2:])} does not fit an input of shape {tuple(x)}"
            )
        out.append(size)
    return (*x[: -axes - 1], weight[0], *out)


def linear(x: Sequence[int], weight: Sequence[int]) -> Shape:
    """``(..., out)`` for ``x`` ``(..., in)`` and a weight ``(out, in)``.

    Raises:
        ValueError: The last axes differ.
    """
    if not x or x[-1] != weight[-1]:
        raise ValueError(
            f"a linear layer with weight {tuple(weight)} got an input of shape {tuple(x)}"
        )
    return (*x[:-1], weight[0]) if len(weight) == 2 else tuple(x[:-1])


def pooling(
    x: Sequence[int],
    kernel: int | Sequence[int],
    stride: int | Sequence[int] | None,
    padding: int | Sequence[int],
    dilation: int | Sequence[int],
    ceil: bool,
    axes: int,
) -> Shape:
    """Shape after max or average pooling over the last ``axes`` axes.

    Raises:
        ValueError: The window does not fit.
    """
    kernels = _per_axis(kernel, axes)
    strides = kernels if stride is None or stride == [] else _per_axis(stride, axes)
    paddings, dilations = _per_axis(padding, axes), _per_axis(dilation, axes)
    out = []
    for axis in range(axes):
        size, step = x[len(x) - axes + axis], strides[axis]
        reach = size + 2 * paddings[axis] - dilations[axis] * (kernels[axis] - 1) - 1
        length = (reach + (step - 1 if ceil else 0)) // step + 1
        # a window that starts beyond the input and its left padding is dropped
        if ceil and (length - 1) * step >= size + paddings[axis]:
            length -= 1
        if length < 1:
            raise ValueError(f"a pooling window of {kernel} does not fit {tuple(x)}")
        out.append(length)
    return (*x[: len(x) - axes], *out)


def adaptive(x: Sequence[int], size: int | Sequence[int | None] | None, axes: int) -> Shape:
    """Shape after adaptive pooling to ``size`` over the last ``axes`` axes."""
    sizes = (size,) * axes if size is None or isinstance(size, int) else size
    tail = x[len(x) - axes :]
    return (
        *x[: len(x) - axes],
        *(have if want is None else want for have, want in zip(tail, sizes, strict=True)),
    )


def reduction(x: Sequence[int], axes: Sequence[int], keepdim: bool) -> Shape:
    """Shape after a mean or sum over ``axes``, all of them if empty."""
    gone = {axis % len(x) for axis in axes} if axes else set(range(len(x)))
    if keepdim:
        return tuple(1 if axis in gone else size for axis, size in enumerate(x))
    return tuple(size for axis, size in enumerate(x) if axis not in gone)


def concatenation(shapes: Sequence[Sequence[int]], axis: int) -> Shape:
    """Shape of tensors joined along ``axis``.

    Raises:
        ValueError: They differ on another axis.
    """
    first = list(shapes[0])
    axis %= len(first)
    for shape in shapes[1:]:
        same = len(shape) == len(first) and all(
            size == first[a] for a, size in enumerate(shape) if a != axis
        )
        if not same:
            raise ValueError(f"cannot join {tuple(first)} and {tuple(shape)} on axis {axis}")
    first[axis] = sum(shape[axis] for shape in shapes)
    return tuple(first)


def numel(shape: Sequence[int]) -> int:
    """Number of values."""
    return prod(shape)
