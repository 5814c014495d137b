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
    """What a split draws from; ``steps`` None follows the rule of the training split."""

    cells: tuple[int, int] = (4, 18)
    steps: tuple[int, int] | None = None
    norm: str | None = None


def between(random: Random, low: int, high: int) -> int:
    """A uniform integer, both ends included; from ``random()`` alone, which never changes."""
    return low + int(random.random() * (high - low + 1))


def pick(random: Random, values: tuple[T, ...]) -> T:
    """A uniform choice."""
    return values[int(random.random() * len(values))]


def draw(random: Random, ranges: Ranges) -> Genome | None:
    """One genome, or None where the draw breaks a rule of the data set."""
    cells = between(random, *ranges.cells)
    threshold = between(random, 7, 10)
    if ranges.steps is not None:
        steps = between(random, *ranges.steps)
    else:
        steps = between(random, 1, 4) if cells <= threshold else between(random, 1, 2)
    allowed = OPS if steps > 1 else OPS[1:]
    normal = _cell(random, steps, allowed)
    light = random.random() < 0.5
    pooling = _POOLING if steps > 1 else _POOLING[1:]
    reduction = _cell(random, steps, pooling if light else allowed)
    if not (_accepted(normal) and _accepted(reduction)):
        return None
    used = {op for cell in (normal, reduction) for step in cell.steps for op, _ in step}
    if not used & {*_CONVOLUTIONS, "msa"}:
        return None
    if "cse" in used and not used & set(_CONVOLUTIONS):
        return None
    channel_factor = between(random, 1, 2)
    vit = "msa" in used
    preprocess = steps > 1 or channel_factor == 2 or not vit or random.random() < 0.2
    stem = "vit" if vit else pick(random, ("simple", "imagenet"))
    kernel, pool = pick(random, (3, 5, 7)), random.random() < 0.5
    bare = cells <= 5 and steps <= 2 and random.random() < 0.5
    norm = ranges.norm or ("none" if bare else "bn")
    deep = cells > threshold
    return Genome(
        cells,
        normal,
        reduction,
        channel_factor,
        stem,
        kernel,
        pool and stem == "simple",
        norm,
        preprocess,
        vit or deep or random.random() < 0.9,
        between(random, 1, 2),
    )


def _cell(random: Random, steps: int, allowed: tuple[str, ...]) -> Cell:
    rows = []
    for step in range(steps):
        # two different inputs, as in DARTS
        first = between(random, 0, step + 1)
        second = (first + between(random, 1, step + 1)) % (step + 2)
        rows.append(((pick(random, allowed), first), (pick(random, allowed), second)))
    joined = tuple(range(steps))
    if random.random() < 0.5:
        joined = tuple(step for step in joined if step == steps - 1 or random.random() < 0.5)
    return Cell(tuple(rows), joined)


def _accepted(cell: Cell) -> bool:
    """At most one squeeze-and-excitation, one 5x5 and one 7x7; no step cut off at either end."""
    ops = [op for step in cell.steps for op, _ in step]
    if any(all(op == "none" for op, _ in step) for step in cell.steps):
        return False
    read = {x - 2 for step in cell.steps for op, x in step if op != "none"}
    if any(step not in read and step not in cell.joined for step in range(len(cell.steps))):
        return False
    return all(ops.count(op) <= 1 for op in ("cse", "conv_5", "conv_7"))
