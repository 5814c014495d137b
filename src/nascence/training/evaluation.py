"""A model on a whole split."""

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from nascence.core.modes import evaluation_mode
from nascence.data import Split


class Evaluation(NamedTuple):
    """A model's results on a whole split.

    Attributes:
        logits: ``(N, classes)``.
        loss: Mean cross-entropy.
        accuracy: Top-1, in [0, 1].
        mean_recall: Balanced accuracy, in [0, 1]; see :func:`mean_recall`.
    """

    logits: Tensor
    loss: float
    accuracy: float
    mean_recall: float


def evaluate(
    model: nn.Module,
    split: Split,
    normalise: Callable[[Tensor], Tensor],
    *,
    batch_size: int = 256,
    device: torch.device | str = "cpu",
) -> Evaluation:
    """Run a model over a split in evaluation mode; every module's mode is restored.

    Args:
        model: On ``device``.
        split: Its uint8 images are ``(N, C, H, W)``.
        normalise: Makes floats of them.
        batch_size: Images in a forward pass.
        device: Where the passes run.
    """
    pieces = []
    with evaluation_mode(model):
        for start in range(0, len(split), batch_size):
            images = split.images[start : start + batch_size].to(device)
            pieces.append(model(normalise(images)).float().cpu())
    logits = torch.cat(pieces)
    loss = functional.cross_entropy(logits, split.labels).item()
    accuracy = (logits.argmax(1) == split.labels).float().mean().item()
    return Evaluation(logits, loss, accuracy, mean_recall(logits.argmax(1), split.labels))


def mean_recall(predicted: Tensor, labels: Tensor) -> float:
    """The share of each class that was found, averaged over the classes that occur: in [0, 1].

    Also called balanced accuracy (Brodersen, Ong, Stephan, Buhmann 2010). A classifier that always
    names the most frequent of K classes has 1 / K.

    Args:
        predicted: Classes ``(N,)``.
        labels: Their true classes ``(N,)``.
    """
    counts = torch.bincount(labels)
    right = torch.bincount(labels[predicted == labels], minlength=len(counts))
    present = counts > 0
    return (right[present] / counts[present]).mean().item()
