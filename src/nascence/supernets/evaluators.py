"""Evaluators that read the score of an architecture from trained supernets."""

from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor
from torch.func import functional_call
from torch.nn import functional

from nascence.core.modes import evaluation_mode
from nascence.params import Params
from nascence.recalibration import recalibrate
from nascence.spaces import Architecture
from nascence.supernets.training import fingerprint
from nascence.supernets.weight_sharing import WeightSharing

Measure = Literal["accuracy", "loss"]


class OneShotEvaluator:
    """Scores an architecture by its path through a supernet, without training.

    Architectures that take the same path score the same and are computed once.

    Args:
        supernet: trained; read, not changed.
        images: ``(N, C, H, W)``, normalised; the whole of it must fit in memory.
        labels: ``(N,)`` classes.
        batch_size: images of one forward pass, over which a supernet with batch statistics
            normalises.
        measure: ``"accuracy"``, in [0, 1], or ``"loss"``: the negative mean cross-entropy, which
            has fewer ties.
        recalibration: batches of images ``(B, C, H, W)``; each path gets its own statistics from
            them. It is for supernets with tracked statistics, which need it.

    Raises:
        ValueError: labels do not fit, ``measure`` is unknown, or ``recalibration`` is not what the
            statistics need.
    """

    def __init__(
        self,
        supernet: WeightSharing,
        images: Tensor,
        labels: Tensor,
        *,
        batch_size: int = 250,
        measure: Measure = "accuracy",
        recalibration: Sequence[Tensor] = (),
    ) -> None:
        if len(images) != len(labels) or not len(images) or batch_size < 2:
            raise ValueError(
                f"{len(images)} images, {len(labels)} labels, batches of {batch_size}; give as "
                "many labels as images, one or more, and batches of 2 or more"
            )
        if measure not in ("accuracy", "loss"):
            raise ValueError(f"measure is {measure!r}; use 'accuracy' or 'loss'")
        if (supernet.statistics == "tracked") != bool(recalibration):
            raise ValueError(
                "a supernet with tracked statistics needs batches for recalibration, and one "
                f"with batch statistics takes none; this one has {supernet.statistics} statistics"
            )
        self.supernet, self.measure = supernet, measure
        self.images = list(images.split(batch_size))
        self.labels = list(labels.split(batch_size))
        self.recalibration = recalibration
        self.description = (
            f"one-shot {measure}, {len(images)} images, supernet {fingerprint(supernet)}"
        )
        self._known: dict[tuple[int | None, ...], float] = {}

    def __call__(self, architecture: Architecture) -> float:
        """Score one architecture."""
        path = self.supernet.path(architecture)
        if path not in self._known:
            self._known[path] = self._score(architecture)
        return self._known[path]

    def logits(self, architecture: Architecture) -> Tensor:
        """Return what the path answers for all images: ``(N, classes)``."""
        outputs = (
            self._calibrated(architecture) if self.recalibration else self._plain(architecture)
        )
        return torch.cat(outputs)

    def _score(self, architecture: Architecture) -> float:
        logits, labels = self.logits(architecture), torch.cat(self.labels)
        if self.measure == "loss":
            return -functional.cross_entropy(logits, labels).item()
        return (logits.argmax(1) == labels).float().mean().item()

    def _plain(self, architecture: Architecture) -> list[Tensor]:
        with evaluation_mode(self.supernet):
            return [self.supernet(images, architecture) for images in self.images]

    def _calibrated(self, architecture: Architecture) -> list[Tensor]:
        network = self.supernet.extract(architecture)
        params: Params = dict(network.named_parameters())
        values = params | recalibrate(network, params, self.recalibration)
        with evaluation_mode(network):
            return [functional_call(network, values, (images,)) for images in self.images]


class FewShotEvaluator:
    """Scores an architecture by its path through the one supernet that holds it.

    Zhao et al., "Few-shot Neural Architecture Search", ICML 2021, section 3: the
    sub-supernets of a split, each trained further, share weights among fewer networks each.

    Args:
        sub_supernets: sub-supernets of one space, no architecture in two of them.
        images, labels: ``(N, C, H, W)`` and ``(N,)``, see :class:`OneShotEvaluator`.
        batch_size, measure, recalibration: see :class:`OneShotEvaluator`.

    Raises:
        ValueError: sub-supernets of different spaces, or that overlap.
    """

    def __init__(
        self,
        sub_supernets: Sequence[WeightSharing],
        images: Tensor,
        labels: Tensor,
        *,
        batch_size: int = 250,
        measure: Measure = "accuracy",
        recalibration: Sequence[Tensor] = (),
    ) -> None:
        if not sub_supernets:
            raise ValueError("there is no sub-supernet; give one or more")
        if len({each.space.description for each in sub_supernets}) > 1:
            raise ValueError("the sub-supernets are of different spaces; give those of one")
        for place, each in enumerate(sub_supernets):
            for other in sub_supernets[:place]:
                if _overlap(each, other):
                    raise ValueError(
                        f"two sub-supernets hold the same architectures: {each.choices} and "
                        f"{other.choices}; give those of one split"
                    )
        self.evaluators = tuple(
            OneShotEvaluator(
                each,
                images,
                labels,
                batch_size=batch_size,
                measure=measure,
                recalibration=recalibration,
            )
            for each in sub_supernets
        )
        marks = ", ".join(fingerprint(each) for each in sub_supernets)
        self.description = f"few-shot {measure}, {len(images)} images, supernets {marks}"

    def __call__(self, architecture: Architecture) -> float:
        """Score one architecture by the sub-supernet that holds it."""
        return self.evaluator_of(architecture)(architecture)

    def evaluator_of(self, architecture: Architecture) -> OneShotEvaluator:
        """Return the evaluator whose sub-supernet holds the architecture."""
        for evaluator in self.evaluators:
            held = evaluator.supernet.choices
            if len(held) == len(architecture) and all(
                index in indices for index, indices in zip(architecture, held, strict=True)
            ):
                return evaluator
        raise ValueError(
            f"none of the {len(self.evaluators)} sub-supernets holds the architecture "
            f"{architecture}; give all those of the split"
        )


def _overlap(first: WeightSharing, second: WeightSharing) -> bool:
    """Return whether some architecture belongs to both: they share a choice in every decision."""
    return all(set(a) & set(b) for a, b in zip(first.choices, second.choices, strict=True))
