"""What is left of NAS-Bench-201 when operations are dropped, by several ways to score them."""

import statistics
from collections.abc import Callable, Iterator
from typing import NamedTuple

import torch
from torch import Tensor

from benchmarks.supernets.angle_supernets import SPACE
from nascence.spaces import Choices
from nascence.supernets import drop_worst

EVERYTHING = torch.tensor(list(SPACE))
TENTH = SPACE.size // 10
WHOLE: Choices = tuple(tuple(range(len(decision.choices))) for decision in SPACE.decisions)


class Left(NamedTuple):
    """How many networks are left, their mean true accuracy, and how many of the best 1 %."""

    size: float
    mean: float
    top: float


def left(inside: Tensor, truth: Tensor) -> Left:
    """Figures of the networks in the mask ``inside`` (15,625,)."""
    best = torch.zeros_like(inside)
    best[truth.argsort(descending=True)[: round(len(truth) / 100)]] = True
    share = float((inside & best).sum() / best.sum())
    return Left(int(inside.sum()), float(truth[inside].mean()), share)


def mean_of(figures: list[Left]) -> Left:
    """Means over seeds."""
    return Left(*(statistics.mean(column) for column in zip(*figures, strict=True)))


def inside_of(choices: Choices) -> Tensor:
    """Mask of the networks that use only these choices."""
    inside = torch.ones(len(EVERYTHING), dtype=torch.bool)
    for place, held in enumerate(choices):
        inside &= torch.isin(EVERYTHING[:, place], torch.tensor(held))
    return inside


def dropped_one_by_one(known: Tensor, statistic: Callable[[Tensor], Tensor] = torch.mean) -> Tensor:
    """As published: the lowest mean over all networks left is dropped, and scored anew."""
    choices = WHOLE
    while True:
        scores = dict(_scores(known, choices, statistic))
        choices, gone = drop_worst(SPACE, choices, scores, count=1, at_most=TENTH)
        if not gone:
            return inside_of(choices)


def dropped_at_once(known: Tensor) -> Tensor:
    """All are dropped in the order of one scoring."""
    scores = dict(_scores(known, WHOLE, torch.mean))
    choices, _ = drop_worst(SPACE, WHOLE, scores, count=len(scores), at_most=TENTH)
    return inside_of(choices)


def dropped_by_the_best(known: Tensor) -> Tensor:
    """One by one, by the mean of the best tenth of the networks that have an operation."""

    def best(values: Tensor) -> Tensor:
        return values.topk(max(1, len(values) // 10)).values.mean()

    return dropped_one_by_one(known, best)


def dropped_kinds(known: Tensor) -> Tensor:
    """Coarser: a kind of operation is dropped from all edges at once."""
    kinds = list(WHOLE[0])
    while len(kinds) ** len(WHOLE) > TENTH:
        inside = inside_of((tuple(kinds),) * len(WHOLE))
        rows, values = EVERYTHING[inside], known[inside]
        counts = {kind: (rows == kind).sum(1).double() for kind in kinds}
        means = {kind: float((values * n).sum() / n.sum()) for kind, n in counts.items()}
        kinds.remove(min(kinds, key=means.__getitem__))
    return inside_of((tuple(kinds),) * len(WHOLE))


def cut(known: Tensor) -> Tensor:
    """Finer: the tenth of highest score, which is no space any more."""
    inside = torch.zeros(len(known), dtype=torch.bool)
    inside[known.argsort(descending=True, stable=True)[:TENTH]] = True
    return inside


WAYS: dict[str, Callable[[Tensor], Tensor]] = {
    "one by one": dropped_one_by_one,
    "at once": dropped_at_once,
    "by the best tenth": dropped_by_the_best,
    "kinds": dropped_kinds,
    "cut": cut,
}


def by_chance(truth: Tensor, seed: int) -> Left:
    """Drop operations at random until a tenth is left."""
    generator = torch.Generator().manual_seed(seed)
    scores = {
        (place, index): float(torch.rand((), generator=generator))
        for place, held in enumerate(WHOLE)
        for index in held
    }
    choices, _ = drop_worst(SPACE, WHOLE, scores, count=len(scores), at_most=TENTH)
    return left(inside_of(choices), truth)


def _scores(
    known: Tensor, choices: Choices, statistic: Callable[[Tensor], Tensor]
) -> Iterator[tuple[tuple[int, int], float]]:
    inside = inside_of(choices)
    for place, held in enumerate(choices):
        for index in held if len(held) > 1 else ():
            own = known[inside & (EVERYTHING[:, place] == index)]
            yield (place, index), float(statistic(own.double()))
