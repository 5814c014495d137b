"""Once-for-All: train an elastic supernet, predict accuracies, find the best under limits.

Cai, Gan, Wang, Zhang and Han, "Once-for-All: Train One Network and Specialize it for Efficient
Deployment", ICLR 2020.
"""

import hashlib
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from nascence.data import Dataset
from nascence.recalibration import recalibrate
from nascence.search.history import Candidate, History
from nascence.search.limits import Limits, sample_allowed
from nascence.search.loop import search
from nascence.search.predictor_search import PredictorSearch
from nascence.search.study import open_study
from nascence.spaces import Architecture, Elastic
from nascence.supernets.elastic import ElasticSuperNet
from nascence.supernets.evaluators import FewShotEvaluator
from nascence.supernets.progressive_shrinking import PHASES, Phase, progressive_shrinking
from nascence.supernets.training import SubSupernet, train_sub_supernets

if TYPE_CHECKING:
    from optuna import Study

JOURNAL = "study.journal"
Progress = Callable[[str, float, str], None]
"""Called with a stage ("train" or "score"), the fraction of it that is done, and a message."""


@dataclass(frozen=True)
class Specialised(History):
    """The networks that the supernets scored: random ones, then those of the best prediction.

    All keep to the limits, so :attr:`best` is the result.

    Attributes:
        sampled: how many of them are random; the predictor was fitted on these.
        supernets: trained, in evaluation mode.
        steps, seconds: steps and wall time of their training.
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
    predictions: int = 300,
    verified: int = 10,
    phases: Sequence[Phase] = PHASES,
    images: int = 1000,
    recalibration_images: int = 512,
    workers: int = 1,
    out: Path | None = None,
    progress: Progress | None = None,
    **settings: Any,
) -> Specialised:
    """Train by progressive shrinking, then find the most accurate network within limits.

    Random networks within the limits are scored by the supernet on validation images, each with
    statistics of BatchNorm of its own; a predictor is fitted on the scores; evolution finds the
    networks of the best predictions, and the supernet scores them: a :class:`PredictorSearch`
    with one batch.

    The sub-supernets of a split one are trained alone, each for an equal share of steps and
    seconds, and an architecture is scored by the one that holds it.

    Args:
        supernets: one, or all sub-supernets of a split one; they are untouched.
        data: images to train on, and the validation images.
        generator: gives the seeds of all randomness.
        steps: steps of the training of all supernets together; or
        seconds: wall time for it; give one or both.
        limits: limits of costs, kept by all networks that are scored.
        samples: random networks to fit the predictor on, 4 or more; thousands in the paper.
        predictions: networks that evolution asks the predictor for.
        verified: networks of the best predictions that the supernet scores.
        phases: phases of the training.
        images: number of validation images that give a score; all if there are fewer.
        recalibration_images: number of training images for the statistics of BatchNorm.
        workers: processes that train the sub-supernets.
        out: folder for checkpoints and the study of scores; the same call goes on from them. With
            other limits it trains nothing anew.
        progress: see :data:`Progress`; a KeyboardInterrupt raised in it ends the training after
            a checkpoint.
        settings: further ones of :func:`progressive_shrinking`.

    Raises:
        LimitError: no network keeps to the limits; nothing is trained then.
        CheckpointError: the checkpoint of another training.
        ValueError: impossible settings, or sub-supernets that do not make up the space.
    """
    # what can be refused is refused before the training
    untrained = [supernets] if isinstance(supernets, ElasticSuperNet) else list(supernets)
    space = _whole_space(untrained)
    if images < 1 or recalibration_images < 2:
        raise ValueError(
            f"images is {images} and recalibration_images {recalibration_images}; give at least 1 "
            "and 2"
        )
    seeds = torch.randint(2**62, (2,), generator=generator).tolist()
    strategy = PredictorSearch(
        space,
        generator=torch.Generator().manual_seed(seeds[1]),
        initial=samples,
        batch=verified,
        candidates=predictions,
        allowed=limits,
    )
    trial = torch.Generator().manual_seed(seeds[1])
    sample_allowed(space, allowed=limits, known=(), generator=trial)
    trained = train_sub_supernets(
        untrained,
        data,
        seed=seeds[0],
        out=out,
        workers=workers,
        train=progressive_shrinking,
        steps=None if steps is None else steps // len(untrained),
        seconds=None if seconds is None else seconds / len(untrained),
        phases=phases,
        **({} if workers > 1 else {"progress": _training(progress)}),
        **settings,
    )
    limited = () if limits is None else limits.limits
    costs = {"macs": space.macs, **{limit.name: limit.cost for limit in limited}}
    history = search(
        strategy,
        sub_supernet_evaluator(
            trained, data, images=images, recalibration_images=recalibration_images
        ),
        trials=samples + verified,
        study=_study(out, strategy, tuple(costs)),
        costs=costs,
        on_trial=_scoring(progress, samples + verified),
    )
    return Specialised(
        history.candidates,
        costs=history.costs,
        sampled=min(samples, len(history)),
        supernets=tuple(each.supernet for each in trained),
        steps=sum(each.steps for each in trained),
        seconds=sum(each.seconds for each in trained),
    )


def sub_supernet_evaluator(
    trained: Sequence[SubSupernet[ElasticSuperNet]],
    data: Dataset,
    *,
    images: int = 1000,
    recalibration_images: int = 512,
) -> FewShotEvaluator:
    """Return the evaluator of trained supernets: accuracy on the first validation images."""
    shown = data.validation.images[:images]
    return FewShotEvaluator(
        [each.supernet for each in trained],
        data.normalise(shown),
        data.validation.labels[:images],
        recalibration=recalibration_batches(data, recalibration_images),
    )


def recalibration_batches(data: Dataset, images: int) -> list[Tensor]:
    """Return the first training images, normalised, in batches ``(B, C, H, W)`` of up to 256."""
    found = list(data.normalise(data.train.images[:images]).split(256))
    return found if len(found[-1]) > 1 else found[:-1]


def calibrated(
    supernet: ElasticSuperNet, architecture: Architecture, batches: Sequence[Tensor]
) -> nn.Module:
    """Return a network of a supernet on its own, with BatchNorm's statistics of the batches.

    Batches are images ``(B, C, H, W)``, normalised.
    """
    network = supernet.extract(architecture)
    statistics = recalibrate(network, dict(network.named_parameters()), batches)
    network.load_state_dict({**network.state_dict(), **statistics})
    return network.eval()


def _whole_space(sub_supernets: Sequence[ElasticSuperNet]) -> Elastic:
    """Return the space whose architectures each belong to one of the sub-supernets."""
    if not sub_supernets:
        raise ValueError("there is no supernet; give one, or all sub-supernets of a split one")
    space = sub_supernets[0].space
    held = sum(math.prod(map(len, each.choices)) for each in sub_supernets)
    if held != space.size:
        raise ValueError(
            f"the supernets hold {held:,} of the {space.size:,} architectures of their space; "
            "give one whole supernet, or all sub-supernets of a split one"
        )
    return space


def _study(out: Path | None, strategy: PredictorSearch, costs: tuple[str, ...]) -> "Study | None":
    """Return the study of a strategy; another, as by other limits, has one of its own."""
    if out is None:
        return None
    mark = hashlib.sha256(strategy.description.encode()).hexdigest()[:12]
    return open_study(out / JOURNAL, space=strategy.space, name=mark, costs=costs)


def _scoring(progress: Progress | None, trials: int) -> Callable[[Candidate], None]:
    best = -math.inf

    def count(candidate: Candidate) -> None:
        nonlocal best
        best = max(best, candidate.score)
        if progress is not None:
            progress("score", (candidate.number + 1) / trials, f"best {best:.3f}")

    return count


def _training(progress: Progress | None) -> Any:
    if progress is None:
        return None
    return lambda fraction, measured: progress("train", fraction, "")
