"""Scores from the weights and the loss's gradient: sums over the whole network.

Abdelfattah, Mehrotra, Dudziak and Lane, "Zero-Cost Proxies for Lightweight NAS", ICLR 2021,
take the criteria of pruning at initialisation and add them up. Sums run over the
weights: the parameters of two or more dimensions, kernels and matrices. The loss L is the mean
cross-entropy of the batch, with BatchNorm in its batch's statistics whatever its mode, as in
the published code. A weight that the output does not depend on has the gradient zero.

All raise ``ValueError`` for a network without weights, for labels that do not fit, and for a loss
or a gradient that is not finite. One image is enough, unless a BatchNorm needs more.
"""

from collections.abc import Iterable

import torch
from torch import Tensor, nn

from nascence.metrics.metric import Batch
from nascence.metrics.passes import gradients, loss_gradients, weights_of


def saliencies(model: nn.Module, batch: Batch) -> dict[str, float]:
    """Return the scores of :func:`snip`, :func:`plain` and :func:`gradient_norm` from one pass.

    L is the mean cross-entropy of the batch, images ``(B, C, H, W)`` and labels ``(B,)``, here and
    in each of them.
    """
    weights, slopes = loss_gradients(model, batch)
    products = [w.detach() * g for w, g in zip(weights.values(), slopes, strict=True)]
    return {
        "snip": _total(product.abs().sum() for product in products),
        "plain": _total(product.sum() for product in products),
        "gradient_norm": _total(slope.norm() for slope in slopes),
    }


def snip(model: nn.Module, batch: Batch) -> float:
    """Return ``sum |w dL/dw|`` on a batch ``(B, C, H, W)``, ``(B,)``.

    Lee, Ajanthan and Torr, "SNIP", ICLR 2019.
    """
    return saliencies(model, batch)["snip"]


def plain(model: nn.Module, batch: Batch) -> float:
    """Return ``sum w dL/dw``, "plain" of NAS-Bench-Suite-Zero (Krishnakumar et al., 2022).

    The batch is ``(B, C, H, W)``, ``(B,)``. Mozer and Smolensky, "Skeletonization", NeurIPS 1988,
    remove the units with the least of it.
    """
    return saliencies(model, batch)["plain"]


def gradient_norm(model: nn.Module, batch: Batch) -> float:
    """Return the sum over weights of the norm of ``dL/dw`` on ``(B, C, H, W)``, ``(B,)``."""
    return saliencies(model, batch)["gradient_norm"]


def l2_norm(model: nn.Module, batch: Batch) -> float:
    """Return the sum of the norms of weights ``(out, in, ...)``; ``batch`` is not used."""
    weights = weights_of(dict(model.named_parameters()))
    return _total(weight.detach().norm() for weight in weights.values())


def grasp(model: nn.Module, batch: Batch) -> float:
    """Return ``-sum w (H g)``, with g the gradient and H the Hessian of the loss.

    Wang, Zhang and Grosse, "Picking Winning Tickets Before Training by Preserving Gradient Flow",
    ICLR 2020. Higher is better, as in Abdelfattah et al.; the product ``H g`` is the
    gradient of ``<g, constant g>``, by differentiating twice. The batch is ``(B, C, H, W)``,
    ``(B,)``.
    """
    with torch.enable_grad():
        weights, slopes = loss_gradients(model, batch, graph=True)
        product = sum(
            ((slope * slope.detach()).sum() for slope in slopes), torch.zeros((), dtype=torch.float)
        )
        curved = gradients(product, weights)
    return _total(-(w * h).sum() for w, h in zip(weights.values(), curved, strict=True))


def zico(model: nn.Module, batch: Batch, *, batches: int = 2) -> float:
    """Return the sum over weight tensors of ``ln sum mean|g| / std g`` over several batches.

    Li, Yang, Bhardwaj and Marculescu, "ZiCo", ICLR 2023. As in the published code
    the gradients are those of whole batches, here ``batches`` equal parts of ``batch``, the
    deviation is that of the population, and weights whose gradient does not vary are left out.
    The batch is ``(B, C, H, W)``, ``(B,)``.

    Returns:
        The score; 0 where no gradient of any weight varies, as between equal parts.

    Raises:
        ValueError: fewer than two parts, or fewer images than parts.
    """
    images, labels = batch
    if batches < 2 or len(images) < batches:
        raise ValueError(
            f"{len(images)} images in {batches} parts: the score compares the gradients of two "
            "parts or more, of one image or more"
        )
    size = len(images) // batches
    parts = [slice(place * size, (place + 1) * size) for place in range(batches)]
    slopes = [loss_gradients(model, (images[part], labels[part]))[1] for part in parts]
    terms = []
    for of_weight in zip(*slopes, strict=True):
        stacked = torch.stack(of_weight)
        deviation = stacked.std(0, correction=0)
        ratio = stacked.abs().mean(0)[deviation > 0] / deviation[deviation > 0]
        if ratio.numel():
            terms.append(ratio.double().sum().log())
    return _total(terms)


def _total(terms: Iterable[Tensor]) -> float:
    return sum((float(term.detach()) for term in terms), 0.0)
