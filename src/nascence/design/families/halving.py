"""Successive halving of short trainings, each of which goes on from the weights of the last."""

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import nn

from nascence.core.randomness import seeded
from nascence.data import Dataset, Split
from nascence.design import recipe
from nascence.design.results import TrainingPlan
from nascence.design.run import Run
from nascence.spaces import Architecture, StagedSpace
from nascence.training import Precision, evaluate, scaled

IMAGES, BYTES = 12_000, 2**29
"""Most training images that the short trainings use, and most memory for them."""
HELD_OUT = 0.15
"""Share of them that the networks are compared on, at the size they were trained on last; the
validation images decide nothing."""
KEPT = 2
"""Networks that take part in the second round."""


@dataclass(frozen=True)
class Rounds:
    """What short trainings are made of; decided once, so that a resumed search does the same.

    Attributes:
        names: Networks of the first round.
        mutants: Networks that are made of the best two of them, for a first round of their own.
        first: Share of the whole training that the first round is.
        second: Share of it at the end of the second round.
        seconds: Time of the whole training.
        slowness: Measured time of a step by that predicted from the convolutions.
        precision: Of the trainings.
    """

    names: tuple[str, ...]
    mutants: int
    first: float
    second: float
    seconds: float
    slowness: float = 1.0
    precision: Precision = "auto"


@dataclass(frozen=True)
class Entrant:
    """A network in the short trainings.

    Attributes:
        number: Its place in the order of first trainings.
        architecture: What it is.
        steps: Of its whole training, of which the short ones are a part.
        done: Share of the whole training that it has done.
        loss: Cross-entropy on the images held out.
        accuracy: On the same images, in [0, 1].
    """

    number: int
    architecture: Architecture
    steps: int
    done: float
    loss: float
    accuracy: float


class Halving:
    """The best half goes on: Jamieson and Talwalkar, AISTATS 2016, figure 3, with two rounds.

    Networks are compared after equal time, not after equal steps: the final training is as long
    as its time, too. Optuna's pruners stop trials that run side by side or one after the other;
    here all of a round are known before the next, so a sort is all that is needed.

    Args:
        run: Whose images, generators and checkpoints are used.
        space: What the networks are built from.
        rounds: How many networks, and how long.
        steps_of: Steps of the whole training of an architecture.
    """

    def __init__(
        self,
        run: Run,
        space: StagedSpace,
        rounds: Rounds,
        *,
        steps_of: Callable[[Architecture], int],
    ) -> None:
        self.run, self.space, self.rounds, self._steps_of = run, space, rounds, steps_of
        self.data = held_out(run.data, generator=run.generator(8))
        self.models: dict[int, nn.Module] = {}
        self._parts = len(rounds.names) + rounds.mutants + KEPT
        self._part = 0

    def first(self, architectures: list[Architecture]) -> list[Entrant]:
        """Train architectures for the first round."""
        return [self._begun(architecture) for architecture in architectures]

    def second(self, entrants: list[Entrant]) -> list[Entrant]:
        """Train the best of the first round on; the best one comes first."""
        best = sorted(entrants, key=lambda each: each.loss)[:KEPT]
        further = [self._trained(each, self.rounds.second) for each in best]
        return sorted(further, key=lambda each: each.loss)

    def _begun(self, architecture: Architecture) -> Entrant:
        number = len(self.models)
        with seeded(self.run.settings.seed):
            self.models[number] = self.space.build(architecture)
        entrant = Entrant(number, architecture, self._steps_of(architecture), 0.0, 0.0, 0.0)
        return self._trained(entrant, self.rounds.first)

    def _trained(self, entrant: Entrant, end: float) -> Entrant:
        before, after = (round(share * entrant.steps) for share in (entrant.done, end))
        plan = TrainingPlan(max(after - before, 1), None, self.rounds.precision)
        settings = recipe.staged(
            self.run.side, optimizer=self.run.optimizer, span=(entrant.done, end), steps=plan.steps
        )
        trained = self.run.train(
            self.models[entrant.number],
            plan,
            {**settings, "measurements": 0},
            data=self.data,
            stream=100 + entrant.number,
            name=f"search-{entrant.number}-{end:g}",
            stage="search",
            span=(self._part / self._parts, (self._part + 1) / self._parts),
        )
        self._part += 1
        model = self.models[entrant.number] = trained.model.cpu()
        side = recipe.side_at(entrant.done, side=self.run.side)
        found = evaluate(
            model,
            self.data.validation,
            lambda images: scaled(self.data.normalise(images), side),
        )
        return dataclasses.replace(entrant, done=end, loss=found.loss, accuracy=found.accuracy)


def held_out(data: Dataset, *, generator: torch.Generator) -> Dataset:
    """Some of the training images as a data set of its own, those to compare on held out."""
    images = data.train.images
    each = images[0].numel() * images.element_size()
    count = max(min(len(images), IMAGES, BYTES // each), 4)
    chosen = torch.randperm(len(images), generator=generator)[:count]
    part = max(int(HELD_OUT * count), 1)
    held, kept = chosen[:part], chosen[part:].sort().values
    return dataclasses.replace(
        data,
        train=Split(*data.train.take(kept)),
        validation=Split(*data.train.take(held)),
        fingerprint=f"{data.fingerprint}, {count - part} of them",
    )
