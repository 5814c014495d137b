"""Operators of ONNX that move, average, pad, join and reshape values."""

from collections import Counter
from dataclasses import replace

from nascence.folding.layer_readers import window_padding
from nascence.folding.site import Reader, Site
from nascence.onnx_files.inference import Dims
from nascence.reparam.operators import (
    Commuting,
    Concatenation,
    FilledPadding,
    Operator,
    Selection,
    pooling,
)

MODES = {"constant": "constant", "reflect": "reflect", "edge": "replicate", "wrap": "circular"}


def channels_of(site: Site) -> int | None:
    """The size of axis 1 of the first input, None if unknown."""
    dims = site.value(0).dims
    found = dims[1] if dims is not None and len(dims) > 2 else None
    return found if isinstance(found, int) else None


def passing_axis(site: Site) -> Operator | None:
    """Commuting along the channel axis 1."""
    rank = site.rank
    return None if rank is None or rank < 3 else Commuting({(rank - 2, rank - 2): 1})


def _read_average(site: Site) -> Operator | None:
    kernel = tuple(site.attribute("kernel_shape"))
    stride = tuple(site.attribute("strides", [1] * len(kernel)))
    dilation = tuple(site.attribute("dilations", [1] * len(kernel)))
    padding = window_padding(site, kernel, stride, dilation)
    rounds_up = bool(site.attribute("ceil_mode", 0))
    pads = padding is None or any(amount for pair in padding for amount in pair)
    channels = channels_of(site)
    if rounds_up and pads:
        return None
    if rounds_up or (pads and not site.attribute("count_include_pad", 0)):
        return passing_axis(site)
    if padding is None or channels is None:
        return None
    return replace(pooling(channels, kernel, stride, padding), dilation=dilation)


def _read_mean(site: Site) -> Operator | None:
    rank, axes = site.rank, site.integers("axes", 1)
    if rank is None or not axes or site.data != [0]:
        return None
    gone = {axis % rank for axis in axes}
    keeps = bool(site.attribute("keepdims", 1))
    found = {}
    for axis in range(1, rank):
        if axis not in gone:
            after = [a for a in range(axis + 1, rank) if keeps or a not in gone]
            found[rank - 1 - axis, len(after)] = 1
    return Commuting(found)


def _read_padding(site: Site) -> Operator | None:
    amounts, axes = site.array(1), site.array(3)
    rank, channels = site.rank, channels_of(site)
    if amounts is None or rank is None or channels is None or site.data != [0]:
        return None
    listed = list(range(rank)) if axes is None else [int(axis) % rank for axis in axes.reshape(-1)]
    values = [int(amount) for amount in amounts.reshape(-1)]
    if len(values) != 2 * len(listed):
        return None
    each = dict.fromkeys(range(rank), (0, 0))
    each.update({axis: (values[i], values[i + len(listed)]) for i, axis in enumerate(listed)})
    mode = MODES.get(site.attribute("mode", "constant"))
    pairs = tuple(each[axis] for axis in range(2, rank))
    if mode is None or each[0] != (0, 0) or each[1] != (0, 0):
        return None
    units = (1,) * len(pairs)
    if mode != "constant":
        crops = any(amount < 0 for pair in pairs for amount in pair)
        return None if crops else pooling(channels, units, units, pairs, mode=mode)
    fill = site.tensor(2)
    if fill is None or float(fill) == 0:
        return pooling(channels, units, units, pairs)
    return FilledPadding(pairs, float(fill), channels)


def _read_concatenation(site: Site) -> Operator | None:
    count = len(site.proto.input)
    rank, axis = site.rank, site.attribute("axis", 0)
    if rank is None or site.data != list(range(count)):
        return None
    axis %= rank
    widths = []
    for index in range(count):
        dims = site.value(index).dims
        size = dims[axis] if dims is not None and len(dims) == rank else None
        if not isinstance(size, int):
            return None
        widths.append(size)
    return None if axis == 0 else Concatenation(rank - 1 - axis, tuple(widths))


def _read_split(site: Site) -> Operator | None:
    rank, axis = site.rank, site.attribute("axis", 0)
    count = len(site.proto.output)
    dims = site.value(0).dims
    if rank is None or dims is None or site.data != [0] or axis % rank == 0:
        return None
    width = dims[axis % rank]
    if not isinstance(width, int):
        return None
    sizes = site.integers("split", 1)
    if sizes is None:
        each = -(-width // count)
        sizes = [each] * (count - 1) + [width - each * (count - 1)]
    start = sum(sizes[: site.node.meta["index"]])
    stop = start + sizes[site.node.meta["index"]]
    return Selection(rank - 1 - axis % rank, start, stop, width)


def _read_slice(site: Site) -> Operator | None:
    if site.data != [0]:
        return None
    starts, ends, axes, steps = (site.array(index) for index in (1, 2, 3, 4))
    rank, dims = site.rank, site.value(0).dims
    if rank is None or dims is None or starts is None or ends is None or starts.size != 1:
        return None
    axis = (0 if axes is None else int(axes.reshape(-1)[0])) % rank
    width = dims[axis]
    if axis == 0 or not isinstance(width, int) or (steps is not None and (steps != 1).any()):
        return None
    start, stop, _ = slice(int(starts.reshape(-1)[0]), int(ends.reshape(-1)[0])).indices(width)
    return Selection(rank - 1 - axis, start, stop, width) if start < stop else None


def _read_resizing(site: Site) -> Operator | None:
    rank = site.rank
    crops = site.attribute("coordinate_transformation_mode") == "tf_crop_and_resize"
    if site.data != [0] or rank is None or rank < 3 or crops:
        return None
    axes = [axis % rank for axis in site.attribute("axes", range(rank))]
    scales, sizes, dims = site.array(2), site.array(3), site.value(0).dims
    assert dims is not None
    for axis in (0, 1):
        if axis not in axes:
            continue
        place = axes.index(axis)
        if sizes is not None and sizes.size:
            kept = int(sizes.reshape(-1)[place]) == dims[axis]
        else:
            kept = scales is not None and scales.size > place and scales.reshape(-1)[place] == 1
        if not kept:
            return None
    return passing_axis(site)


def _read_transposition(site: Site) -> Operator | None:
    rank = site.rank
    if rank is None:
        return None
    order = site.attribute("perm") or list(range(rank))[::-1]
    return Commuting(
        {(rank - 1 - old, rank - 1 - new): 1 for new, old in enumerate(order) if old > 0}
    )


def _read_reshaping(site: Site) -> Operator | None:
    source, target = site.value(0).dims, site.result.dims
    if site.proto.op_type == "Reshape" and site.is_constant(1) and source is not None:
        target = reshaped(source, site.integers("", 1) or [], bool(site.attribute("allowzero", 0)))
    if source is None or target is None or site.data != [0]:
        return None
    return Commuting(reshaping_axes(source, target))


def reshaped(source: Dims, shape: list[int], allow_zero: bool) -> Dims | None:
    """The sizes that ``Reshape`` gives, ``source`` being those of its input; None if unknown."""
    if any(size == 0 and (allow_zero or axis >= len(source)) for axis, size in enumerate(shape)):
        return None
    target = [source[axis] if size == 0 else size for axis, size in enumerate(shape)]
    if -1 not in target:
        return tuple(target)
    place = target.index(-1)
    target[place] = 1
    whole, names = product(source)
    rest, others = product(tuple(target))
    known = whole is not None and rest is not None and names == others and rest and not whole % rest
    target[place] = whole // rest if known and whole is not None and rest is not None else None
    return tuple(target)


def product(dims: Dims) -> tuple[int | None, Counter[str]]:
    """The known factor of the product of sizes, None where one is unknown, and the named sizes."""
    known: int | None = 1
    names: Counter[str] = Counter()
    for size in dims:
        if isinstance(size, str):
            names[size] += 1
        else:
            known = None if known is None or size is None else known * size
    return known, names


def reshaping_axes(source: Dims, target: Dims) -> dict[tuple[int, int], int]:
    """Where each axis of a reshaped value goes, as ``axes`` of :class:`Commuting`.

    An axis of size s survives as one of size r s if the values after it are r times as many: their
    order is kept, so those before it are as many as well.
    """
    axes = {}
    for axis in range(1, len(source)):
        size = source[axis]
        inner, names = product(source[axis + 1 :])
        for other, wide in enumerate(target):
            rest, others = product(target[other + 1 :])
            if not isinstance(size, int) or not isinstance(wide, int) or size < 2 or wide % size:
                continue
            repeat = wide // size
            if inner is not None and rest and names == others and rest * repeat == inner:
                axes[len(source) - 1 - axis, len(target) - 1 - other] = repeat
    return axes


SHAPES: dict[str, Reader] = {
    "AveragePool": _read_average,
    "GlobalAveragePool": passing_axis,
    "ReduceMean": _read_mean,
    "Pad": _read_padding,
    "Concat": _read_concatenation,
    "Slice": _read_slice,
    "Split": _read_split,
    "Resize": _read_resizing,
    "Transpose": _read_transposition,
    "Reshape": _read_reshaping,
    "Flatten": _read_reshaping,
    "Squeeze": _read_reshaping,
    "Unsqueeze": _read_reshaping,
}
