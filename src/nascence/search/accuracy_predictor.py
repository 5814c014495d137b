"""A predictor of accuracy from the architecture alone, fitted to networks that have a score."""

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor

from nascence.core.randomness import drawn_seed
from nascence.search.codes import coder
from nascence.search.kernel_ridge import CHOSEN_ON, KernelRidge
from nascence.search.mlp_ensemble import MLPEnsemble
from nascence.search.support_vectors import Array
from nascence.spaces import Architecture, SearchSpace

Model = Literal["kernel", "mlp"]
"""What is fitted: :class:`KernelRidge`, or the :class:`MLPEnsemble` of Once-for-All."""
Targets = Literal["ranks", "standardised"]
"""What it is fitted to: ranks among the accuracies, from 0 to 1, or accuracies less their mean, in
standard deviations. With ranks, a few networks that learned nothing do not dominate the fit."""
FEWEST = 4


class AccuracyPredictor:
    """Predicts the accuracy of any architecture of a space; :meth:`fit` makes one.

    It is an evaluator, higher is better, in the unit of the accuracies that it was fitted on.
    Architectures that compute the same function (``space.canonical``) have the same prediction.
    """

    def __init__(
        self,
        space: SearchSpace,
        regress: Callable[[Array], Array],
        restore: Callable[[Array], Array],
        description: str,
    ) -> None:
        self.space, self.description = space, description
        self._codes = coder(space)
        self._regress, self._restore = regress, restore

    @classmethod
    def fit(
        cls,
        space: SearchSpace,
        architectures: Sequence[Architecture],
        accuracies: Sequence[float] | Tensor | Array,
        *,
        generator: torch.Generator,
        model: Model = "kernel",
        targets: Targets = "ranks",
    ) -> "AccuracyPredictor":
        """Fit to architectures and their accuracies, in any order and unit, higher is better.

        Architectures that compute the same function count as one, with the mean accuracy.

        Args:
            space: of the architectures.
            architectures: at least :data:`FEWEST` different ones.
            accuracies: ``(n,)``, one for each, finite.
            generator: source of the perceptrons' weights and batches; the kernel draws from it only
                where there are more than 500 architectures.
            model: see :data:`Model`; 1,000 take less than a second with either, 100 a hundredth
                of one with the kernel.
            targets: see :data:`Targets`.

        Raises:
            ValueError: lists of different length, an accuracy that is not finite, too few
                architectures or one of another space, an unknown ``model`` or ``targets``.
        """
        keys, values = _distinct(space, architectures, accuracies)
        if targets not in ("ranks", "standardised"):
            raise ValueError(f"targets is {targets!r}; use 'ranks' or 'standardised'")
        scaled: Array
        restore: Callable[[Array], Array]
        scaled, restore = _ranks(values) if targets == "ranks" else _standardised(values)
        points = coder(space)(keys)
        regress: Callable[[Array], Array]
        if model == "kernel":
            drawn = len(keys) > CHOSEN_ON
            seed = drawn_seed(generator, bits=31) if drawn else 0
            regress = KernelRidge(
                points, scaled, decisions=len(space.decisions), rng=np.random.default_rng(seed)
            )
        elif model == "mlp":
            regress = _perceptrons(points, scaled, generator)
        else:
            raise ValueError(f"model is {model!r}; use 'kernel' or 'mlp'")
        digest = hashlib.sha256(repr((keys, values.tolist())).encode()).hexdigest()[:12]
        return cls(
            space,
            regress,
            restore,
            f"accuracy predictor, {model} on {targets} of {len(keys)} networks ({digest})",
        )

    def __call__(self, architecture: Architecture) -> float:
        """Predict the accuracy of one architecture."""
        return float(self.predict([architecture])[0])

    def predict(self, architectures: Sequence[Architecture]) -> Tensor:
        """Predict the accuracies of many architectures: ``(n,)``, float64."""
        if not len(architectures):
            return torch.zeros(0, dtype=torch.float64)
        keys = [self.space.canonical(architecture) for architecture in architectures]
        return self.predict_codes(self._codes(keys))

    def predict_codes(self, codes: Array) -> Tensor:
        """Predict accuracies ``(n,)``, float64, at canonical codes ``(n, codes)``."""
        return torch.from_numpy(self._restore(self._regress(codes)))


def _distinct(
    space: SearchSpace, architectures: Sequence[Architecture], accuracies: Any
) -> tuple[list[Architecture], Array]:
    """Canonical architectures in their order, and the mean accuracy of each."""
    values = np.asarray(accuracies, dtype=np.float64)
    if values.shape != (len(architectures),):
        raise ValueError(
            f"there are {len(architectures)} architectures and accuracies of shape "
            f"{values.shape}; give one accuracy for each architecture"
        )
    if not np.isfinite(values).all():
        place = int(np.argmin(np.isfinite(values)))
        raise ValueError(
            f"the accuracy at place {place} is {values[place]}; leave out what has no finite one"
        )
    found: dict[Architecture, list[float]] = {}
    for architecture, value in zip(architectures, values.tolist(), strict=True):
        found.setdefault(space.canonical(architecture), []).append(value)
    if len(found) < FEWEST:
        raise ValueError(
            f"{len(found)} different architectures are too few to fit on; give at least {FEWEST}"
        )
    keys = sorted(found)
    return keys, np.array([np.mean(sorted(found[key])) for key in keys])


@dataclass(frozen=True)
class _FromRanks:
    """Turns shares of lower values back into values.

    Linear between the known values and beyond the last in the mean slope, so that a higher rank is
    always a higher value.
    """

    ranks: Array
    levels: Array

    def __call__(self, predicted: Array) -> Array:
        first, last = self.ranks[0], self.ranks[-1]
        slope = (self.levels[-1] - self.levels[0]) / max(last - first, 1e-12)
        beyond = predicted - predicted.clip(first, last)
        return np.interp(predicted, self.ranks, self.levels) + slope * beyond


@dataclass(frozen=True)
class _FromUnits:
    """Turns standard deviations from the mean back into values."""

    mean: float
    spread: float

    def __call__(self, predicted: Array) -> Array:
        return predicted * self.spread + self.mean


@dataclass(frozen=True)
class _Perceptrons:
    """An ensemble that was fitted on standardised values."""

    ensemble: MLPEnsemble
    restore: _FromUnits

    def __call__(self, points: Array) -> Array:
        return self.restore(self.ensemble(torch.from_numpy(points)).numpy())


def _ranks(values: Array) -> tuple[Array, _FromRanks]:
    """Shares of the values below each, ties counted half, and what turns such shares back."""
    levels, places, counts = np.unique(values, return_inverse=True, return_counts=True)
    ranks = (np.cumsum(counts) - counts / 2) / len(values)
    return ranks[places.reshape(-1)], _FromRanks(ranks, levels)


def _standardised(values: Array) -> tuple[Array, _FromUnits]:
    """Values less their mean over their standard deviation, and the way back."""
    mean, spread = float(values.mean()), float(values.std()) or 1.0
    return (values - mean) / spread, _FromUnits(mean, spread)


def _perceptrons(points: Array, values: Array, generator: torch.Generator) -> _Perceptrons:
    scaled, restore = _standardised(values)
    ensemble = MLPEnsemble(
        torch.from_numpy(points),
        torch.from_numpy(scaled),
        generator=generator,
        steps=max(600, 40 * len(points) // 64),  # each is met forty times by every member
    )
    return _Perceptrons(ensemble, restore)
