"""Random cell architectures: Knyazev et al. (2021), DeepNets-1M, section 4 and appendix A."""

from random import Random
from typing import NamedTuple, TypeVar

OPS = (
    "none",
    "max_pool_3",
    "avg_pool_3",
    "skip",
    "sep_conv_3",
    "sep_conv_5",
    "dil_conv_3",
    "dil_conv_5",
    "conv_1",
    "conv_7x1_1x7",
    "conv_3",
    "conv_5",
    "conv_7",
    "msa",
    "cse",
)
_POOLING = ("none", "max_pool_3", "avg_pool_3", "skip")
_CONVOLUTIONS = tuple(op for op in OPS if "conv" in op)

Edge = tuple[str, int]  # operation, index of its input: 0 and 1 are the previous two cells
T = TypeVar("T")


class Cell(NamedTuple):
    """A cell: two edges into every step, and the steps that its output joins."""

    steps: tuple[tuple[Edge, Edge], ...]
    joined: tuple[int, ...]


class Genome(NamedTuple):
    """Everything that defines a network but its widths, classes and image size."""

    cells: int
    normal: Cell
    reduction: Cell
    channel_factor: int
    stem: str  # "simple", "imagenet" or "vit"
    stem_kernel: int
    stem_pool: bool
    norm: str  # "bn" or "none"
    preprocess: bool
    global_pool: bool
    linear_layers: int


class Ranges(NamedTuple):
    """What a split draws from.

    A network with more cells than a threshold, itself drawn from ``thresholds``, is deep.
    ``steps`` are the fewest of a cell, the most in a deep network, and the most in any other.
    ``norm`` None may leave out normalisation in shallow networks. ``unprocessed`` are the
    chances that a cell of one step has no 1x1 convolutions before it: without attention, with.
    """

    cells: tuple[int, int] = (4, 18)
    steps: tuple[int, int, int] = (1, 2, 4)
    thresholds: tuple[int, ...] = (7, 8, 9, 10)
    norm: str | None = None
    unprocessed: tuple[float, float] = (0.0, 0.8)


def between(random: Random, low: int, high: int) -> int:
    """A uniform integer, both ends included; from ``random()`` alone, which never changes."""
    return low + int(random.random() * (high - low + 1))


def pick(random: Random, values: tuple[T, ...]) -> T:
    """A uniform choice."""
    return values[int(random.random() * len(values))]


def draw(random: Random, ranges: Ranges) -> Genome | None:
    """One genome, or None where the draw breaks a rule of the data set."""
    cells = between(random, *ranges.cells)
    deep = cells > pick(random, ranges.thresholds)
    fewest, medium, most = ranges.steps
    steps = between(random, fewest, medium if deep else most)
    allowed = OPS if steps > 1 else OPS[1:]
    pooling = _POOLING if steps > 1 else _POOLING[1:]
    light = random.random() < 0.5
    joined = _joined(random, steps)
    normal = Cell(_steps(random, steps, allowed), joined)
    reduction = Cell(_steps(random, steps, pooling if light else allowed), joined)
    if not (_accepted(normal) and _accepted(reduction)):
        return None
    used = {op for cell in (normal, reduction) for step in cell.steps for op, _ in step}
    if not used & {*_CONVOLUTIONS, "msa"}:
        return None
    if "cse" in used and not used & set(_CONVOLUTIONS):
        return None
    channel_factor = between(random, 1, 2)
    vit = "msa" in used
    unprocessed = random.random() < ranges.unprocessed[vit]
    stem = "vit" if vit else pick(random, ("simple", "imagenet"))
    kernel, pool = pick(random, (3, 5, 7)), random.random() < 0.5
    bare = cells <= ranges.cells[0] + 1 and steps <= medium and random.random() < 0.5
    return Genome(
        cells,
        normal,
        reduction,
        channel_factor,
        stem,
        kernel,
        pool and stem == "simple",
        ranges.norm or ("none" if bare else "bn"),
        steps > 1 or channel_factor == 2 or not unprocessed,
        vit or deep or random.random() < 0.9,
        between(random, 1, 2),
    )


def _steps(random: Random, count: int, allowed: tuple[str, ...]) -> tuple[tuple[Edge, Edge], ...]:
    rows = []
    for step in range(count):
        # two different inputs, as in DARTS
        first = between(random, 0, step + 1)
        second = (first + between(random, 1, step + 1)) % (step + 2)
        rows.append(((pick(random, allowed), first), (pick(random, allowed), second)))
    return tuple(rows)


def _joined(random: Random, steps: int) -> tuple[int, ...]:
    """The steps that both cells join: all, or each with probability one half but the last."""
    if random.random() < 0.5:
        return tuple(range(steps))
    return tuple(step for step in range(steps) if step == steps - 1 or random.random() < 0.5)


def _accepted(cell: Cell) -> bool:
    """At most one squeeze-and-excitation, and one of the convolutions with 5x5 or 7x7 kernels."""
    ops = [op for step in cell.steps for op, _ in step]
    return ops.count("cse") <= 1 and ops.count("conv_5") + ops.count("conv_7") <= 1
