"""Scores from how much the slope of the output differs between the images of a batch."""

import torch
from torch import Tensor, nn

from nascence.metrics.metric import Batch, unwrapped
from nascence.metrics.passes import gradients, one_tensor, run

_K = 1e-5  # both papers' constant against the logarithm and the inverse of zero


def jacobian_correlation(model: nn.Module, batch: Batch) -> float:
    """Return ``-sum ln(e + k) + 1 / (e + k)`` over the eigenvalues e of the Jacobians' correlation.

    Mellor, Turner, Storkey and Crowley, "Neural Architecture Search without Training", first
    version (arXiv 2006.04647v1); ``jacob_cov`` of Abdelfattah et al. (2021). The Jacobian of an
    image is the slope of the sum of the outputs with respect to its pixels, k = 1e-5. Higher is
    better: the less two images' slopes resemble each other. The maximum, if no two correlate, is
    minus the number of images.

    BatchNorm uses the statistics of the batch, whatever its mode (the authors' first results used
    its evaluation mode, which they called a mistake).

    Args:
        model: gives one tensor, batch first.
        batch: two images or more, ``(B, C, H, W)``; no label is read.

    Returns:
        The score. Each eigenvalue of zero costs about 1e5: an image that repeats another adds
        one, and so does one whose slope is zero or constant, which correlates with nothing, not
        with itself either. A network whose output does not depend on its input has the least.

    Raises:
        ValueError: a batch of fewer than two; an output or a slope that is not finite.
    """
    correlation = _correlation(_slopes(model, batch[0])[0], constant=0)
    # Rounding can put an eigenvalue of zero just below it.
    values = torch.linalg.eigvalsh(correlation).clamp(min=0) + _K
    return -float((values.log() + 1 / values).sum())


def epe(model: nn.Module, batch: Batch) -> float:
    """Return the sum over classes of ``|sum ln(|r| + k)|``, r the correlations within a class.

    Lopes, Alirezazadeh and Alexandre, "EPE-NAS", ICANN 2021, the form for up to 100 classes; for
    more, each class's sum is divided by its number of images, and the score is the sum of all
    differences between classes over the number of classes. The number of classes is that of the
    outputs. Jacobians are those of :func:`jacobian_correlation`; k = 1e-5. The batch is
    ``(B, C, H, W)``, ``(B,)``. A class with a single image contributes almost nothing.

    An image whose slope is zero or constant counts as equal to all others, so that a network whose
    output does not depend on its input gets the lowest score, about zero.

    Raises:
        ValueError: a batch of fewer than two; labels that do not fit; an output or a slope that
            is not finite.
    """
    images, labels = batch
    if labels.shape != (len(images),):
        raise ValueError(f"labels have the shape {tuple(labels.shape)} for {len(images)} images")
    slopes, classes = _slopes(model, images)
    sums = []
    for label in labels.unique():
        correlation = _correlation(slopes[labels == label], constant=1)
        logs = (correlation.abs() + _K).log().sum()
        sums.append(logs / len(correlation) if classes > 100 else logs)
    values = torch.stack(sums)
    if classes > 100:
        return float((values[:, None] - values[None, :]).abs().sum() / len(values))
    return float(values.abs().sum())


def _slopes(model: nn.Module, images: Tensor) -> tuple[Tensor, int]:
    """Return the Jacobian of the sum of outputs, float64 (B, pixels), and the number of outputs."""
    if len(images) < 2:
        raise ValueError(f"the batch has {len(images)} image; the score compares 2 or more")
    with torch.enable_grad():
        free = images.detach().requires_grad_()
        output = one_tensor(run(unwrapped(model), free))
        if not output.isfinite().all():
            raise ValueError("the network's output is not finite, so that its slopes mean nothing")
        (slope,) = gradients(output.sum(), {"the images": free})
    return slope.flatten(1).double(), output[0].numel()


def _correlation(rows: Tensor, *, constant: float) -> Tensor:
    """Return the correlation matrix (B, B) of the rows; constant rows get ``constant``."""
    centred = rows - rows.mean(1, keepdim=True)
    norms = centred.norm(dim=1, keepdim=True)
    varied = norms > 0
    centred = centred / torch.where(varied, norms, 1)
    return torch.where(varied & varied.T, centred @ centred.T, constant)
