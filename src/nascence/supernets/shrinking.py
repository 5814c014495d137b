"""Shrinking a space: train a supernet, score each operation, drop the worst, repeat.

Hu et al., "Angle-based Search Space Shrinking for Neural Architecture Search", ECCV 2020,
algorithms 1 and 2.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from nascence.metrics.angle import Convention
from nascence.search.limits import Allowed
from nascence.spaces import Architecture, Choices, Restrictable, Restriction
from nascence.supernets.angle_evaluator import AngleEvaluator
from nascence.supernets.paths import restrictable
from nascence.supernets.supernet import SuperNet

Operation = tuple[int, int]
"""The number of a decision, and the index of one of its choices."""

COMPARED = 20_000
"""Most networks of which all are scored; of more, a random sample is."""

ScoreAll = Callable[[Sequence[Architecture]], Tensor]
"""Scores (N,) of many architectures, higher is better."""


class ShrinkingRound(NamedTuple):
    """One round of shrinking: every operation's score, and which were dropped, worst first."""

    scores: dict[Operation, float]
    dropped: tuple[Operation, ...]


class Shrunk(NamedTuple):
    """What shrinking leaves of a space.

    Attributes:
        space: for any strategy to search.
        supernet: trained up to the last round, holding what is left.
        rounds: all rounds, in order.
    """

    space: Restriction
    supernet: SuperNet
    rounds: tuple[ShrinkingRound, ...]


def operation_scores(
    space: Restrictable,
    choices: Choices,
    score: ScoreAll,
    *,
    generator: torch.Generator,
    children: int = 1000,
    allowed: Allowed | None = None,
) -> dict[Operation, float]:
    """Return the mean score of the networks with each operation, for decisions not yet made.

    All networks are taken where no more than 20,000 are left; else ``children`` random ones, with
    the operation put into each of them in the place of another, as far as that is allowed. What
    is no operation (see :meth:`nascence.spaces.Restrictable.operations`) gets no score.

    Raises:
        ValueError: no network with an operation is allowed, or a score is NaN.
    """
    left = space.restricted(choices)
    operations = space.operations(choices)
    whole = left.size <= COMPARED
    drawn = left if whole else (left.sample(generator=generator) for _ in range(children))
    pool = [left.widen(each) for each in drawn]
    found: dict[Operation, float] = {}
    if whole:
        pool = [each for each in pool if allowed is None or allowed(each)]
        known = score(pool) if pool else torch.zeros(0)
        table = torch.tensor(pool)
    for place, index in _open(operations):
        if whole:
            values = known[table[:, place] == index] if pool else known
        else:
            put = {
                (*each[:place], index, *each[place + 1 :])
                for each in pool
                if each[place] in operations[place]
            }
            own = sorted(each for each in put if allowed is None or allowed(each))
            values = score(own) if own else torch.zeros(0)
        name, values_of = space.decisions[place]
        if not len(values):
            raise ValueError(f"no network with {values_of[index]} at {name} is allowed")
        mean = float(values.double().mean())
        if mean != mean:
            raise ValueError(f"a network with {values_of[index]} at {name} scores NaN")
        found[place, index] = mean
    return found


def drop_worst(
    space: Restrictable,
    choices: Choices,
    scores: dict[Operation, float],
    *,
    count: int,
    at_most: int = 1,
    per_decision: bool = False,
) -> tuple[Choices, tuple[Operation, ...]]:
    """Drop the operations with the lowest scores, but never the last one of a decision.

    Args:
        space: the whole space.
        choices: what is left before.
        scores: scores of :func:`operation_scores`.
        count: how many to drop; with ``per_decision``, from each decision.
        at_most: drop no more once so few networks are left.
        per_decision: as ABS does on DARTS.

    Returns:
        What is left, and what was dropped, worst first.
    """
    left = [list(held) for held in choices]
    dropped: list[Operation] = []
    taken = [0] * len(left)
    for place, index in sorted(scores, key=lambda each: (scores[each], each)):
        full = taken[place] >= count if per_decision else len(dropped) >= count
        if space.restricted(left).size <= at_most or (full and not per_decision):
            break
        if full or len(space.operations(tuple(map(tuple, left)))[place]) < 2:
            continue
        left[place].remove(index)
        taken[place] += 1
        dropped.append((place, index))
    return tuple(map(tuple, left)), tuple(dropped)


def shrink(
    supernet: SuperNet,
    train: Callable[[SuperNet, int], SuperNet],
    *,
    generator: torch.Generator,
    at_most: int,
    drop: int = 1,
    per_decision: bool = False,
    children: int = 1000,
    convention: Convention | str = "abs",
    allowed: Allowed | None = None,
    restart: int | None = None,
    on_round: Callable[[ShrinkingRound, Choices], None] | None = None,
) -> Shrunk:
    """Shrink the space of a supernet by the angles of its networks, until few are left.

    Args:
        supernet: before its training, whole, of a space that can be restricted; untouched.
        train: gets a supernet that holds what is left and the number of the round, from 0, and
            returns a trained copy; published are 100 epochs at first and 5 in every later round.
            Its paths should come from :func:`nascence.supernets.restricted_paths`.
        generator: draws children.
        at_most: number of networks at which to stop.
        drop: operations dropped in a round; published 7 of 141 on the MobileNet-like space.
        per_decision: drop so many of each decision, as published for DARTS.
        children: random networks from which an operation's score comes; published 1,000 or more.
        convention: convention of the angle, see :class:`AngleEvaluator`; after short trainings
            ``"candidates"`` is the better one.
        allowed: tells which children may be drawn, such as a limit of FLOPs.
        restart: measure angles from the weights at the first round when so many operations were
            dropped; published 50 on the MobileNet-like space. None keeps the initial weights.
        on_round: called after each.

    Raises:
        ValueError: a space that cannot be restricted, impossible numbers, weights that did not
            change or are not finite.
    """
    space = restrictable(supernet.space)
    if at_most < 1 or drop < 1 or children < 1:
        raise ValueError(f"at_most is {at_most}, drop {drop}, children {children}; give 1 or more")
    initial = current = supernet
    choices, total = supernet.choices, 0
    rounds: list[ShrinkingRound] = []
    while space.restricted(choices).size > at_most:
        current = train(current.restrict(choices), len(rounds))
        evaluate = AngleEvaluator(initial, current, convention=convention)
        scores = operation_scores(
            space,
            choices,
            evaluate.many,
            generator=generator,
            children=children,
            allowed=allowed,
        )
        choices, dropped = drop_worst(
            space, choices, scores, count=drop, at_most=at_most, per_decision=per_decision
        )
        if not dropped:
            break
        rounds.append(ShrinkingRound(scores, dropped))
        if on_round:
            on_round(rounds[-1], choices)
        if restart is not None and total <= restart < total + len(dropped):
            initial = current
        total += len(dropped)
    return Shrunk(space.restricted(choices), current.restrict(choices), tuple(rounds))


def _open(operations: Choices) -> list[Operation]:
    """Return the operations of decisions that are not yet made."""
    return [
        (place, index) for place, held in enumerate(operations) for index in held if len(held) > 1
    ]
