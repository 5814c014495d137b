"""Accuracy with predicted parameters and recalibrated batch-normalisation statistics."""

from torch import Tensor, nn
from torch.func import functional_call

from nascence.core.modes import evaluation_mode
from nascence.params import Params
from nascence.recalibration import recalibrate

__all__ = ["accuracy", "recalibrate"]


def accuracy(
    model: nn.Module, values: Params, images: Tensor, labels: Tensor, *, batch_size: int = 250
) -> float:
    """Return the share of ``images`` whose label has the largest logit, in evaluation mode.

    ``images`` are ``(N, C, H, W)``, ``labels`` ``(N,)``; ``values`` are parameters and buffers by
    name, and the model keeps its own.
    """
    right = 0
    with evaluation_mode(model):
        for start in range(0, len(images), batch_size):
            logits = functional_call(model, values, (images[start : start + batch_size],))
            right += int((logits.argmax(1) == labels[start : start + batch_size]).sum())
    return right / len(images)
