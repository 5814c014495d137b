"""Progressive shrinking: train the largest network, then more and more smaller ones inside it.

Cai, Gan, Wang, Zhang and Han, "Once-for-All: Train One Network and Specialize it for Efficient
Deployment", ICLR 2020, section 3.3.
"""

import copy
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.nn import functional

from nascence.data import Dataset
from nascence.spaces import Architecture, Choices, Elastic
from nascence.supernets.elastic import ElasticSuperNet
from nascence.supernets.training import (
    PathLoss,
    Progress,
    SubSupernet,
    fingerprint,
    path_cross_entropy,
    train_supernet,
)
from nascence.supernets.weight_sharing import WeightSharing


class Phase(NamedTuple):
    """A part of the training: which networks it draws, and how.

    Attributes:
        name: name of the phase and of its checkpoint.
        share: share of the steps, in proportion to the other phases'.
        rate: learning rate at its start, as a factor of that of the training.
        kernels, depths, expansions: how many of the largest choices held of every decision of
            that kind are drawn; None draws all.
        paths: networks of one step, whose gradients add up.
        distil: learn from the largest network as it is after the first phase, too.
        sort: sort the channels first, see :meth:`ElasticSuperNet.sorted_channels`.
    """

    name: str
    share: float
    rate: float = 1.0
    kernels: int | None = None
    depths: int | None = None
    expansions: int | None = None
    paths: int = 1
    distil: bool = True
    sort: bool = False

    def opened(self, space: Elastic, choices: Choices) -> Choices:
        """Return the choices drawn of those that a supernet holds."""
        counts = {"kernel": self.kernels, "depth": self.depths, "expansion": self.expansions}
        return tuple(
            held if (count := counts.get(kind)) is None else held[-count:]
            for kind, held in zip(space.kinds, choices, strict=True)
        )


PHASES = (
    Phase("full", 180, 1.0, kernels=1, depths=1, expansions=1, distil=False),
    Phase("kernel", 120, 0.4, depths=1, expansions=1),
    Phase("depth-1", 25, 0.4, depths=2, expansions=1, paths=2),
    Phase("depth-2", 120, 0.4, expansions=1, paths=2),
    Phase("expansion-1", 25, 0.4, expansions=2, paths=4, sort=True),
    Phase("expansion-2", 120, 0.4, paths=4, sort=True),
)
"""The published order, with the epochs and the networks of a step of the released code, where the
learning rates fall further: to 0.08 of that of ``kernel`` in the short phases and 0.25 in the long
ones. Ours are for trainings that are thousands of times shorter."""


@dataclass(frozen=True)
class ElasticPaths:
    """Draws the networks of one step: one resolution for all, the rest independently.

    Attributes:
        phase: what it draws and how many; a :class:`PathSampler` for :func:`train_supernet`.
    """

    phase: Phase

    def __call__(
        self, space: Any, choices: Choices, *, generator: torch.Generator
    ) -> list[Architecture]:
        """Draw the paths of one step; see :class:`PathSampler`."""
        opened = list(self.phase.opened(space, choices))
        if "resolution" in space.kinds:
            place = space.kinds.index("resolution")
            opened[place] = (_drawn(opened[place], generator),)
        return [tuple(_drawn(held, generator) for held in opened) for _ in range(self.phase.paths)]


@dataclass(frozen=True)
class Distillation:
    """Cross-entropy with the labels, and with a teacher's output for the same images.

    ``ratio · CE(softmax(teacher), path) + CE(labels, path)``, the sum over the paths of a step.
    The teacher is a network of another supernet, at the resolution of the path and with the
    statistics that it was trained to.

    Attributes:
        teacher: a supernet in evaluation mode; read, not changed.
        architecture: architecture of the teacher.
        ratio: weight of the teacher's part, 1 as published.
    """

    teacher: ElasticSuperNet
    architecture: Architecture
    ratio: float = 1.0

    def __call__(
        self,
        model: WeightSharing,
        images: Tensor,
        labels: Tensor,
        paths: Sequence[Architecture],
    ) -> Tensor:
        """Return the loss of one step: ``(B, C, H, W)`` and ``(B,)`` to ``()``."""
        total = torch.zeros((), device=images.device)
        answers: dict[Architecture, Tensor] = {}
        for path in paths:
            teacher = self._teacher(path)
            if teacher not in answers:
                with torch.no_grad():
                    answers[teacher] = self.teacher(images, teacher).softmax(1)
            logits = model(images, path)
            soft = functional.cross_entropy(logits, answers[teacher])
            total = total + self.ratio * soft + functional.cross_entropy(logits, labels)
        return total

    def _teacher(self, path: Architecture) -> Architecture:
        kinds = self.teacher.space.kinds
        return tuple(
            own if kind == "resolution" else index
            for kind, own, index in zip(kinds, path, self.architecture, strict=True)
        )


def progressive_shrinking(
    supernet: ElasticSuperNet,
    data: Dataset,
    *,
    generator: torch.Generator,
    steps: int | None = None,
    seconds: float | None = None,
    phases: Sequence[Phase] = PHASES,
    teacher: ElasticSuperNet | None = None,
    distillation: float = 1.0,
    learning_rate: float = 0.1,
    weight_decay: float = 3e-5,
    device: torch.device | str = "cpu",
    checkpoint: Path | None = None,
    progress: Progress | None = None,
    **settings: Any,
) -> SubSupernet[ElasticSuperNet]:
    """Train a copy of an elastic supernet phase by phase; the supernet is untouched.

    Every phase is a :func:`train_supernet` of its own, with a new optimizer and a learning rate
    that falls to zero along half a cosine, on the weights of the phase before. The largest network
    held, as the first phase leaves it, teaches the networks of the later ones.

    A supernet can be split between two phases: train it by the first ones, split what comes out,
    and train the sub-supernets by the later ones with the whole as their ``teacher``.

    Args:
        supernet: whole, or a sub-supernet of a split one.
        data: images to train on.
        generator: gives the seed of each phase.
        steps: steps of all phases together, divided by their shares; or
        seconds: wall time for them; give one or both.
        phases: in their order. :data:`PHASES` are the published ones; one phase without limits
            trains everything at once.
        teacher: a trained supernet whose largest network teaches all phases that distil; None for
            the network that the first phase leaves.
        distillation: ratio of the teacher's part of the loss; 0 does without.
        learning_rate: at the start of a phase whose rate is 1.
        weight_decay: published 3e-5.
        device: where to compute.
        checkpoint: a phase keeps its own beside this path, ``NAME-PHASE.pt``; the same call goes
            on from them, bit-equal on a CPU unless limited by ``seconds``.
        progress: called with the fraction done.
        settings: further ones of :func:`train_supernet`, such as ``batch_size`` and ``crop``.

    Returns:
        The supernet, the steps and seconds of all phases.

    Raises:
        ValueError: impossible settings, or fewer steps than phases.
        CheckpointError, DivergenceError: as :func:`train_supernet`.
    """
    _check(phases, steps, distillation)
    whole = sum(phase.share for phase in phases)
    counts = [None] * len(phases) if steps is None else _shared(steps, phases)
    current, taught_by = (
        supernet,
        None if teacher is None else copy.deepcopy(teacher).to(device).eval(),
    )
    spent, passed, done = 0, 0.0, 0.0
    for number, (phase, count) in enumerate(zip(phases, counts, strict=True)):
        if phase.sort and number:
            current = current.sorted_channels(
                phases[number - 1].opened(supernet.space, supernet.choices)
            )
        loss: PathLoss = path_cross_entropy
        if phase.distil and distillation > 0 and taught_by is not None:
            loss = Distillation(taught_by, _largest(taught_by), distillation)
        trained = train_supernet(
            current,
            data,
            generator=generator,
            steps=count,
            seconds=None if seconds is None else seconds * phase.share / whole,
            sampler=ElasticPaths(phase),
            loss=loss,
            learning_rate=learning_rate * phase.rate,
            final_learning_rate=0.0,
            weight_decay=weight_decay,
            device=device,
            checkpoint=_beside(checkpoint, phase.name),
            facts={
                "phase": str(phase),
                "distillation": distillation if phase.distil else 0.0,
                "teacher": fingerprint(teacher) if teacher is not None else "first phase",
            },
            progress=_part(progress, done, phase.share / whole),
            **settings,
        )
        current = trained.supernet
        taught_by = current if taught_by is None else taught_by
        spent, passed = spent + trained.steps, passed + trained.seconds
        done += phase.share / whole
    return SubSupernet(current.cpu().eval(), spent, passed)


def _largest(supernet: ElasticSuperNet) -> Architecture:
    return tuple(held[-1] for held in supernet.choices)


def _drawn(held: Sequence[int], generator: torch.Generator) -> int:
    return held[int(torch.randint(len(held), (), generator=generator))]


def _shared(steps: int, phases: Sequence[Phase]) -> list[int]:
    """Divide the steps: one for each phase, the rest in proportion."""
    whole, rest = sum(phase.share for phase in phases), steps - len(phases)
    ends, reached = [0], 0.0
    for phase in phases:
        reached += phase.share
        ends.append(round(rest * reached / whole))
    return [1 + end - start for start, end in pairwise(ends)]


def _beside(checkpoint: Path | None, name: str) -> Path | None:
    return None if checkpoint is None else checkpoint.with_name(f"{checkpoint.stem}-{name}.pt")


def _part(progress: Progress | None, done: float, share: float) -> Progress | None:
    """Report the progress of one phase as that of all."""
    if progress is None:
        return None
    return lambda fraction, measured: progress(min(done + share * fraction, 1.0), measured)


def _check(phases: Sequence[Phase], steps: int | None, distillation: float) -> None:
    if not phases or len({phase.name for phase in phases}) < len(phases):
        raise ValueError(f"{len(phases)} phases are given; give one or more with different names")
    if steps is not None and steps < len(phases):
        raise ValueError(f"steps is {steps} for {len(phases)} phases; give each at least one")
    if not distillation >= 0:
        raise ValueError(f"distillation is {distillation}; it must be 0 or more")
    for phase in phases:
        counts = (phase.kernels, phase.depths, phase.expansions)
        least = min(count for count in (*counts, phase.paths) if count is not None)
        if least < 1 or not phase.share > 0 or not phase.rate >= 0:
            raise ValueError(
                f"phase {phase.name!r} has {least} networks or choices, share {phase.share} and "
                f"rate {phase.rate}; give 1 or more, a share above and a rate of at least 0"
            )
