"""Once-for-All: train an elastic supernet, predict accuracies, find the best under limits.

Cai, Gan, Wang, Zhang and Han, "Once-for-All: Train One Network and Specialize it for Efficient
Deployment", ICLR 2020.
"""

import hashlib
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from nascence.data import Dataset
from nascence.recalibration import recalibrate
from nascence.search.accuracy_predictor import FEWEST, AccuracyPredictor
from nascence.search.crossover_evolution import CrossoverEvolution
from nascence.search.evaluator import Evaluator
from nascence.search.history import Candidate, History
from nascence.search.limits import ExhaustedError, Limits, draw
from nascence.search.loop import search
from nascence.search.progressive_shrinking import PHASES, Phase, progressive_shrinking
from nascence.search.strategy import RandomSearch, Strategy
from nascence.search.study import open_study
from nascence.search.supernet_evaluator import FewShotEvaluator
from nascence.search.supernet_training import Leaf, train_leaves
from nascence.spaces import Architecture, ElasticMobile, ElasticSuperNet

JOURNAL = "study.journal"
POPULATION = {"population": 100, "top": 25, "crossovers": 50, "mutants": 50}
"""Of the evolution, as in the released code."""
Progress = Callable[[str, float, str], None]
"""Called with a stage, train, sample or verify, the fraction of it that is done and a message."""


@dataclass(frozen=True)
class Specialised(History):
    """The networks that the supernets scored: random ones, then those of the best prediction.

    All keep to the limits, so :attr:`best` is the result.

    Attributes:
        sampled: how many of them are random; the predictor was fitted on these.
        supernets: trained, in evaluation mode.
        steps, seconds: of their training.
    """

    sampled: int = 0
    supernets: tuple[ElasticSuperNet, ...] = ()
    steps: int = 0
    seconds: float = 0.0


def once_for_all(
    supernets: ElasticSuperNet | Sequence[ElasticSuperNet],
    data: Dataset,
    *,
    generator: torch.Generator,
    steps: int | None = None,
    seconds: float | None = None,
    limits: Limits | None = None,
    samples: int = 200,
    predictions: int = 500,
    verified: int = 10,
    phases: Sequence[Phase] = PHASES,
    images: int = 1000,
    recalibration_images: int = 512,
    workers: int = 1,
    folder: Path | None = None,
    progress: Progress | None = None,
    **settings: Any,
) -> Specialised:
    """Train by progressive shrinking, then find the most accurate network within limits.

    Random networks within the limits are scored by the supernet on validation images, each with
    statistics of BatchNorm of its own; an :class:`AccuracyPredictor` is fitted on the scores; a
    :class:`CrossoverEvolution` searches by its predictions; those of the best predictions are
    scored by the supernet.

    The parts of a split supernet are trained alone, for an equal share of steps and seconds, and
    an architecture is scored by the part that holds it.

    Args:
        supernets: one, or all parts of a split one; they are untouched.
        data: to train on, and the validation images.
        generator: gives the seeds of all randomness.
        steps, seconds: of the training of all supernets together; give one or both.
        limits: of costs, kept by all networks that are scored.
        samples: random networks to fit the predictor on; thousands in the paper.
        predictions: networks that evolution asks the predictor for.
        verified: networks of the best predictions that the supernet scores.
        phases: of the training.
        images: of validation that give a score, at most so many as there are.
        recalibration_images: of training, for the statistics of BatchNorm.
        workers: processes that train the parts of a split supernet.
        folder: for checkpoints and the study of scores; the same call goes on from them. With
            other limits it trains nothing anew.
        progress: see :data:`Progress`; a KeyboardInterrupt raised in it ends the training after
            a checkpoint.
        settings: further ones of :func:`progressive_shrinking`.

    Raises:
        LimitError: no network keeps to the limits; nothing is trained then.
        CheckpointError: the checkpoint of another training.
        ValueError: impossible settings, or parts that do not make up the space.
    """
    parts = [supernets] if isinstance(supernets, ElasticSuperNet) else list(supernets)
    space = _whole_space(parts)
    if min(samples, predictions, verified + 1, images, recalibration_images - 1) < 1:
        raise ValueError(
            f"samples {samples}, predictions {predictions}, verified {verified}, images {images}, "
            f"recalibration_images {recalibration_images}; give 1 or more, verified 0 or more, "
            "and 2 images or more to recalibrate on"
        )
    seeds = torch.randint(2**62, (4,), generator=generator).tolist()
    draw(space, allowed=limits, known=(), generator=torch.Generator().manual_seed(seeds[1]))
    leaves = train_leaves(
        parts,
        data,
        seed=seeds[0],
        folder=folder,
        workers=workers,
        train=progressive_shrinking,
        steps=None if steps is None else steps // len(parts),
        seconds=None if seconds is None else seconds / len(parts),
        phases=phases,
        **({} if workers > 1 else {"progress": _training(progress)}),
        **settings,
    )
    evaluate = leaf_evaluator(
        leaves, data, images=images, recalibration_images=recalibration_images
    )
    history = predicted_search(
        space,
        evaluate,
        seeds=seeds[1:],
        limits=limits,
        samples=samples,
        predictions=predictions,
        verified=verified,
        journal=None if folder is None else folder / JOURNAL,
        progress=progress,
    )
    return replace(
        history,
        supernets=tuple(leaf.supernet for leaf in leaves),
        steps=sum(leaf.steps for leaf in leaves),
        seconds=sum(leaf.seconds for leaf in leaves),
    )


def predicted_search(
    space: ElasticMobile,
    evaluate: Evaluator,
    *,
    seeds: Sequence[int],
    limits: Limits | None = None,
    samples: int = 200,
    predictions: int = 500,
    verified: int = 10,
    journal: Path | None = None,
    progress: Progress | None = None,
) -> Specialised:
    """Score random networks, fit a predictor, evolve by it, and score what it finds best.

    Args:
        space: to search.
        evaluate: score of an architecture, higher is better.
        seeds: of the random networks, the predictor and the evolution.
        limits, samples, predictions, verified, progress: see :func:`once_for_all`.
        journal: file of the studies of scores, from which the same call goes on.

    Raises:
        LimitError: no network keeps to the limits.
        ValueError: a journal of another search.
    """
    costs = {"macs": space.macs, **{limit.name: limit.cost for limit in _listed(limits)}}
    run = _Scoring(space, evaluate, costs, journal, progress)
    streams = [torch.Generator().manual_seed(seed) for seed in seeds]
    random = RandomSearch(space, generator=streams[0], allowed=limits)
    found = list(run.scored("sample", random, samples))
    sampled = len(found)
    known = {space.canonical(candidate.architecture) for candidate in found}
    if len(known) >= FEWEST and verified:
        predictor = AccuracyPredictor.fit(
            space,
            [candidate.architecture for candidate in found],
            [candidate.score for candidate in found],
            generator=streams[1],
        )
        evolution = CrossoverEvolution(space, generator=streams[2], allowed=limits, **POPULATION)
        ranked = search(evolution, predictor, trials=predictions).candidates
        new = [
            candidate.architecture
            for candidate in sorted(ranked, key=lambda each: -each.score)
            if space.canonical(candidate.architecture) not in known
        ]
        if new:
            listed = _Listed(space, new[:verified])
            found += run.scored("verify", listed, len(listed.architectures))
    numbered = tuple(replace(candidate, number=place) for place, candidate in enumerate(found))
    return Specialised(numbered, costs=tuple(costs), sampled=sampled)


class _Scoring:
    """Scores what strategies propose, each in a study of its own where there is a journal."""

    def __init__(
        self,
        space: ElasticMobile,
        evaluate: Evaluator,
        costs: Mapping[str, Callable[[Architecture], float]],
        journal: Path | None,
        progress: Progress | None,
    ) -> None:
        self.space, self.evaluate, self.costs = space, evaluate, costs
        self.journal, self.progress = journal, progress

    def scored(self, stage: str, strategy: Strategy, trials: int) -> tuple[Candidate, ...]:
        study = None
        if self.journal is not None:
            mark = hashlib.sha256(strategy.description.encode()).hexdigest()[:8]
            name = f"{stage} {mark}"
            study = open_study(self.journal, space=self.space, name=name, costs=tuple(self.costs))
        best = -math.inf

        def count(candidate: Candidate) -> None:
            nonlocal best
            best = max(best, candidate.score)
            if self.progress is not None:
                self.progress(stage, (candidate.number + 1) / trials, f"best {best:.3f}")

        history = search(
            strategy, self.evaluate, trials=trials, study=study, on_trial=count, costs=self.costs
        )
        return history.candidates


def leaf_evaluator(
    leaves: Sequence[Leaf[ElasticSuperNet]],
    data: Dataset,
    *,
    images: int = 1000,
    recalibration_images: int = 512,
) -> FewShotEvaluator:
    """Return the evaluator of trained supernets: accuracy on the first validation images."""
    shown = data.validation.images[:images]
    return FewShotEvaluator(
        [leaf.supernet for leaf in leaves],
        data.normalise(shown),
        data.validation.labels[:images],
        recalibration=recalibration_batches(data, recalibration_images),
    )


def recalibration_batches(data: Dataset, images: int) -> list[Tensor]:
    """Return the first training images, normalised, in batches of up to 256."""
    found = list(data.normalise(data.train.images[:images]).split(256))
    return found if len(found[-1]) > 1 else found[:-1]


def calibrated(
    supernet: ElasticSuperNet, architecture: Architecture, batches: Sequence[Tensor]
) -> nn.Module:
    """Return a network of a supernet on its own, with statistics of BatchNorm of ``batches``."""
    network = supernet.extract(architecture)
    statistics = recalibrate(network, dict(network.named_parameters()), batches)
    network.load_state_dict({**network.state_dict(), **statistics})
    return network.eval()


class _Listed:
    """Proposes given architectures in their order."""

    def __init__(self, space: ElasticMobile, architectures: Sequence[Architecture]) -> None:
        self.space, self.architectures = space, list(architectures)
        digest = hashlib.sha256(repr(self.architectures).encode()).hexdigest()[:12]
        self.description = f"listed architectures {digest}"
        self._next = iter(self.architectures)

    def ask(self) -> Architecture:
        """Propose the next one."""
        for architecture in self._next:
            return architecture
        raise ExhaustedError("all of the listed architectures were proposed")

    def tell(self, architecture: Architecture, score: float) -> None:
        """Learn nothing."""


def _whole_space(parts: Sequence[ElasticSuperNet]) -> ElasticMobile:
    """Return the space whose architectures each belong to one of the parts."""
    if not parts:
        raise ValueError("there is no supernet; give one, or all parts of a split one")
    space = parts[0].space
    held = sum(math.prod(map(len, part.choices)) for part in parts)
    if held != space.size:
        raise ValueError(
            f"the supernets hold {held:,} of the {space.size:,} architectures of their space; "
            "give one whole supernet, or all parts of a split one"
        )
    return space


def _listed(limits: Limits | None) -> Sequence[Any]:
    return () if limits is None else limits.limits


def _training(progress: Progress | None) -> Any:
    if progress is None:
        return None
    return lambda fraction, measured: progress("train", fraction, "")
