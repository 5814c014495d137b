"""How good generated images are, by what any classifier makes of them.

The Inception score and the Fréchet Inception distance are these two with the published Inception
network; with another classifier they are different numbers, which can only be compared with one
another.
"""

from typing import NamedTuple

import torch
from torch import Tensor


class Moments(NamedTuple):
    """Mean ``(D,)`` and covariance ``(D, D)`` of features, float64."""

    mean: Tensor
    covariance: Tensor


def classifier_score(probabilities: Tensor) -> float:
    """Return ``exp(E KL(p(y|x) || p(y)))``, from 1 to the number of classes, higher is better.

    Salimans et al., "Improved Techniques for Training GANs", NeurIPS 2016, section 4, there with
    the Inception network. It is 1 if all images get the same answer, and K if each is assigned to
    one of K classes with certainty and all classes are equally frequent.

    Args:
        probabilities: ``(N, K)``, rows that add up to 1.

    Raises:
        ValueError: no rows, values that are negative or not finite, rows that do not add up to 1.
    """
    _check_table("probabilities", probabilities)
    p = probabilities.detach().double()
    if bool((p < 0).any()) or not torch.allclose(p.sum(1), p.new_ones(len(p)), atol=1e-4):
        raise ValueError("probabilities must not be negative, and each row must add up to 1")
    marginal = p.mean(0)
    # where p is 0 its term is 0; where the marginal is 0 so is every p
    logarithms = torch.where(p > 0, p.clamp_min(1e-300).log() - marginal.clamp_min(1e-300).log(), 0)
    return float((p * logarithms).sum(1).mean().exp())


def moments(features: Tensor) -> Moments:
    """Mean and unbiased covariance of features ``(N, D)``, N of 2 or more.

    Raises:
        ValueError: too few rows, or values that are not finite.
    """
    _check_table("features", features)
    if len(features) < 2:
        raise ValueError("features has 1 row; a covariance needs 2 or more")
    x = features.detach().double().cpu()
    centred = x - x.mean(0)
    return Moments(x.mean(0), centred.T @ centred / (len(x) - 1))


def frechet_distance(first: Moments, second: Moments) -> float:
    """Return ``|m1 - m2|^2 + tr(C1 + C2 - 2 (C1 C2)^(1/2))`` of two Gaussians, lower is better.

    Fréchet (1957), Dowson and Landau, "The Fréchet distance between multivariate normal
    distributions", 1982; Heusel et al., NeurIPS 2017, take it on Inception features. The trace of
    the root is that of (C1^(1/2) C2 C1^(1/2))^(1/2), which is symmetric, so that two symmetric
    eigenvalue problems give it for singular covariances as well.

    Raises:
        ValueError: different dimensions, or values that are not finite.
    """
    if first.mean.shape != second.mean.shape or first.covariance.shape != second.covariance.shape:
        raise ValueError(
            f"features of {len(first.mean)} and {len(second.mean)} dimensions; compare those of "
            "one network"
        )
    for value in (*first, *second):
        if not value.isfinite().all():
            raise ValueError("the moments of features are not finite; are the images?")
    root = _root(first.covariance)
    eigenvalues = torch.linalg.eigvalsh(root @ second.covariance @ root)
    crossed = eigenvalues.clamp_min(0).sqrt().sum()
    means = (first.mean - second.mean).square().sum()
    total = means + first.covariance.trace() + second.covariance.trace() - 2 * crossed
    return max(0.0, float(total))


def _root(matrix: Tensor) -> Tensor:
    """The symmetric root of a symmetric matrix; eigenvalues below 0, by rounding, count as 0."""
    values, vectors = torch.linalg.eigh((matrix + matrix.T) / 2)
    return vectors * values.clamp_min(0).sqrt() @ vectors.T


def _check_table(name: str, values: Tensor) -> None:
    if values.dim() != 2 or not len(values):
        raise ValueError(f"{name} has the shape {tuple(values.shape)}; give a table of rows")
    if not values.isfinite().all():
        raise ValueError(f"{name} hold values that are not finite; are the images?")
