"""Running means of the training and the validation loss, as inputs of an optimizer.

The validation loss is measured on the scale of the training loss, so that overfitting shows
(Metz et al. 2020, appendix C).
"""

import torch
from torch import Tensor

from nascence.params import Params

TRAIN_DECAY = 0.9
VALID_DECAY = 0.95


def empty_tracker() -> Params:
    """The state before the first loss; every value is ``()``."""
    names = ("train_mean", "train_square", "train_weight", "valid_mean", "valid_weight")
    return {name: torch.zeros(()) for name in names}


def track(old: Params, loss: Tensor | None, valid_loss: Tensor | None) -> Params:
    """The shared state after a step; a loss, ``()``, missing or not finite changes nothing."""
    new = dict(old)
    if loss is not None:
        value, change = _usable(loss, 1 - TRAIN_DECAY)
        new["train_mean"] = old["train_mean"] + change * (value - old["train_mean"])
        square = value * value - old["train_square"]
        new["train_square"] = old["train_square"] + change * square
        new["train_weight"] = old["train_weight"] + change * (1 - old["train_weight"])
    if valid_loss is not None:
        value, change = _usable(valid_loss, 1 - VALID_DECAY)
        new["valid_mean"] = old["valid_mean"] + change * (value - old["valid_mean"])
        new["valid_weight"] = old["valid_weight"] + change * (1 - old["valid_weight"])
    return new


def loss_inputs(state: Params, loss: Tensor | None) -> Tensor:
    """``(2,)``: this loss and the mean validation loss, in deviations of the training loss.

    Both are cut to [-5, 5], and zero where nothing is known.
    """
    mean = _over(state["train_mean"], state["train_weight"])
    square = _over(state["train_square"], state["train_weight"])
    deviation = torch.sqrt((square - mean * mean).clamp(min=0) + 1e-6 * mean * mean + 1e-12)
    known = state["train_weight"] > 0
    zero = torch.zeros_like(mean)
    train = zero if loss is None else (_usable(loss, 1.0)[0] - mean) / deviation
    if loss is not None:
        train = torch.where(known & torch.isfinite(loss), train, zero)
    valid = (_over(state["valid_mean"], state["valid_weight"]) - mean) / deviation
    valid = torch.where(known & (state["valid_weight"] > 0), valid, zero)
    return torch.stack([train, valid]).clamp(-5, 5)


def _usable(loss: Tensor, change: float) -> tuple[Tensor, Tensor]:
    """The loss, and how much it counts: nothing if it is not finite."""
    loss = loss.detach().float()
    finite = torch.isfinite(loss) & (loss.abs() < 1e15)
    return torch.where(finite, loss, torch.zeros_like(loss)), finite * change


def _over(total: Tensor, weight: Tensor) -> Tensor:
    """A mean of which only ``weight`` has been gathered yet."""
    return total / torch.where(weight > 0, weight, torch.ones_like(weight))
