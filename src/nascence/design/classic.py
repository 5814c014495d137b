"""A classic to beat: histograms of gradients and colours, with a classifier in closed form.

It needs seconds, and no network that is slower and worse should be called designed.
"""

import math
from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional

from nascence.training import mean_recall

SIDE, CELL, BINS = 64, 8, 9
SCALES = (0.5, 1.0, 2.0)
PENALTIES = tuple(10.0 ** (power / 2) for power in range(-10, 3))
CHOSEN_ON, LANDMARKS = 600, 2500
BALANCE = 0.5


def features(images: Tensor, *, batch_size: int = 256) -> Tensor:
    """Histograms of oriented gradients (Dalal and Triggs, CVPR 2005), and colours.

    Gradients are counted in cells of 8 pixels and 9 orientations, and normalised in blocks of 2x2
    cells. Beside them stand mean colours on a grid, their deviations on a coarser one, and a
    histogram of each channel.

    Args:
        images: uint8 ``(N, C, H, W)``; scaled to 64 pixels.
        batch_size: Images that are computed at once.

    Returns:
        ``(N, F)``; gradients and colours contribute alike to distances.
    """
    return torch.cat([_features(part) for part in images.split(batch_size)])


def _features(images: Tensor) -> Tensor:
    pixels = functional.interpolate(
        images.float() / 255, (SIDE, SIDE), mode="bilinear", antialias=True
    )
    gradients = _gradients(pixels)
    coarse = functional.avg_pool2d(pixels, 16)
    deviation = (functional.avg_pool2d(pixels.square(), 16) - coarse.square()).clamp_min(0).sqrt()
    levels = (pixels * 15.999).long().flatten(2)
    counts = torch.zeros(*levels.shape[:2], 16).scatter_add_(
        2, levels, torch.ones(()).expand_as(levels) / levels.shape[2]
    )
    grid = functional.avg_pool2d(pixels, 8).flatten(1)
    return torch.cat([gradients, grid, 2 * deviation.flatten(1), counts.sqrt().flatten(1)], 1)


def _gradients(pixels: Tensor) -> Tensor:
    """Histograms of oriented gradients of ``(N, C, 64, 64)``: ``(N, 7 * 7 * 36)``."""
    padded = functional.pad(pixels, (1, 1, 1, 1), mode="replicate")
    across = padded[:, :, 1:-1, 2:] - padded[:, :, 1:-1, :-2]
    down = padded[:, :, 2:, 1:-1] - padded[:, :, :-2, 1:-1]
    strength, channel = (across.square() + down.square()).max(1, keepdim=True)
    across, down = across.gather(1, channel), down.gather(1, channel)
    place = torch.atan2(down, across) / math.pi * BINS - 0.5
    low = place.floor()
    share = place - low
    lower = low.long() % BINS
    length = strength.sqrt()
    votes = torch.zeros(len(pixels), BINS, SIDE, SIDE)
    votes.scatter_(1, lower, length * (1 - share))
    votes.scatter_(1, (lower + 1) % BINS, length * share)
    cells = functional.avg_pool2d(votes, CELL)
    blocks = functional.unfold(cells, 2)  # (N, 4 * BINS, 7 * 7)
    for most in (0.2, math.inf):  # clipped once in between, as by its authors
        blocks = blocks / (blocks.square().sum(1, keepdim=True) + 1e-4).sqrt()
        blocks = blocks.clamp_max(most)
    return blocks.flatten(1)


class Classic(NamedTuple):
    """Kernel ridge regression on standardised features; see :func:`fit`."""

    points: Tensor
    weights: Tensor
    shift: Tensor
    factor: Tensor
    scale: float

    def __call__(self, found: Tensor) -> Tensor:
        """Scores ``(N, classes)`` of features ``(N, F)``; the highest is the class."""
        parts = ((found - self.shift) * self.factor).split(1024)
        return torch.cat([_kernel(part, self.points, self.scale) @ self.weights for part in parts])


def fit(
    found: Tensor,
    labels: Tensor,
    classes: int,
    *,
    uneven: bool = False,
    generator: torch.Generator,
    stopped: Callable[[], bool] = lambda: False,
) -> Classic:
    """Fit the classic to the :func:`features` of images and their labels.

    The width of the kernel and the penalty are those with the most images right, or with
    ``uneven`` the highest mean recall, when each of up to 600 is left out in turn (Rasmussen
    and Williams, Gaussian Processes for Machine Learning, eq. 5.12). Above 2,500 images, the fit
    is in the span of as many of them.

    Args:
        found: Features ``(N, F)``.
        labels: Classes ``(N,)``.
        classes: Number of classes.
        uneven: Whether small classes weigh more, each by the inverse root of its size.
        generator: Chooses images where there are many.
        stopped: Asked between widths whether time is up; the best so far is then taken.
    """
    order = torch.randperm(len(found), generator=generator)
    found, labels = found[order], labels[order]
    shift, spread = found.mean(0), found.std(0, unbiased=False)
    factor = torch.where(spread > 1e-6, 1 / spread.clamp_min(1e-6), 0.0) / found.shape[1] ** 0.5
    points = (found - shift) * factor
    targets = functional.one_hot(labels, classes).float()
    few, truth = points[:CHOSEN_ON], labels[:CHOSEN_ON]
    figure = mean_recall if uneven else _accuracy
    best = (-1.0, SCALES[0], PENALTIES[0])
    for scale in SCALES:
        for penalty, left_out in _left_out(_kernel(few, few, scale), targets[:CHOSEN_ON]):
            best = max(best, (figure(left_out.argmax(1), truth), scale, penalty))
        if stopped():
            break
    _, scale, penalty = best
    importance = torch.bincount(labels, minlength=classes).float().clamp_min(1) ** -BALANCE
    weight = importance[labels] / importance[labels].mean() if uneven else torch.ones(len(labels))
    marks = points[:LANDMARKS]
    return Classic(
        marks, _solved(points, marks, targets, weight, scale, penalty), shift, factor, scale
    )


def _accuracy(predicted: Tensor, labels: Tensor) -> float:
    return (predicted == labels).float().mean().item()


def _kernel(first: Tensor, second: Tensor, scale: float) -> Tensor:
    """``exp(-|x - y|^2 / (2 scale))`` of ``(N, F)`` and ``(M, F)``: ``(N, M)``.

    Standardised features over the root of their number have a mean squared distance of 2.
    """
    return torch.exp(-torch.cdist(first, second).square() / (2 * scale))


def _left_out(kernel: Tensor, targets: Tensor) -> list[tuple[float, Tensor]]:
    """Each penalty, and what is predicted of every point without it: ``(N, classes)``."""
    roots, vectors = torch.linalg.eigh(kernel.double())
    projected = vectors.t() @ targets.double()
    found = []
    for penalty in PENALTIES:
        inverse = 1 / (roots.clamp_min(0) + penalty)
        missed = vectors @ (inverse[:, None] * projected)
        missed /= (vectors.square() @ inverse)[:, None]
        found.append((penalty, targets - missed))
    return found


def _solved(
    points: Tensor, marks: Tensor, targets: Tensor, weight: Tensor, scale: float, penalty: float
) -> Tensor:
    """Weights ``(M, classes)`` of the kernels around ``marks``."""
    between = _kernel(marks, marks, scale).double()
    if len(marks) == len(points):
        between.diagonal().add_(penalty / weight)
        return torch.linalg.solve(between, targets.double()).float()
    normal, right = penalty * between, torch.zeros(len(marks), targets.shape[1]).double()
    for start in range(0, len(points), 1024):
        part = slice(start, start + 1024)
        kernel = _kernel(points[part], marks, scale)
        weighted = (kernel * weight[part, None]).t()
        normal += (weighted @ kernel).double()
        right += (weighted @ targets[part]).double()
    normal.diagonal().add_(1e-6 * len(points))
    return torch.linalg.solve(normal, right).float()
