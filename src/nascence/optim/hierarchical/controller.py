"""The LSTM of the hierarchical optimizer, one step for each tensor, and the bound of gradients."""

import torch
from torch import Tensor

from nascence.optim.hierarchical.losses import track
from nascence.optim.perceptron import LARGEST_GRADIENT
from nascence.params import Params

LSTM = 64
TO_PERCEPTRON = 17
TO_ALL = 18
FROM_PERCEPTRON = 16
CLIP = 10.0
CLIP_DECAY = 0.99


def begin(
    grads: Params, old: Params, loss: Tensor | None, valid_loss: Tensor | None
) -> tuple[Params, Tensor]:
    """Return the next shared state, of which ``from_all`` is still the last, and the clip bound.

    The bound ``()`` is ten times a running root mean square of all gradients.
    """
    step = old["step"] + 1
    mean = old["square"].new_zeros(())
    for grad in grads.values():
        norm = torch.linalg.vector_norm(grad, dtype=torch.float32)
        square = (norm / max(grad.numel(), 1) ** 0.5).clamp(max=LARGEST_GRADIENT) ** 2
        mean = mean + square / len(grads)
    root = old["square"] + (1 - CLIP_DECAY) * (mean.sqrt() - old["square"])
    shared = {**track(old, loss, valid_loss), "step": step, "square": root}
    bound = CLIP * root / (1 - CLIP_DECAY**step)
    return shared, bound.clamp(max=LARGEST_GRADIENT)


def control(
    theta: Params, statistics: list[Tensor], slots: list[Params], from_all: Tensor
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Take one step of the LSTM of every tensor.

    Args:
        theta: The parameters of the optimizer.
        statistics: Of each tensor, ``(18,)``.
        slots: What is kept for each tensor.
        from_all: ``(18,)``, what all LSTMs said in the step before.

    Returns:
        Hidden and cell ``(tensors, 64)``, what the perceptrons are told ``(tensors, 17)``, and
        what all LSTMs say ``(18,)``.
    """
    if not slots:
        empty = from_all.new_zeros((0, LSTM))
        return empty, empty, empty[:, :TO_PERCEPTRON], from_all
    told, hidden, cell = (
        torch.stack([slot[name] for slot in slots])
        for name in ("from_perceptron", "hidden", "cell")
    )
    inputs = torch.cat([torch.stack(statistics), told, from_all.expand(len(slots), TO_ALL)], 1)
    gates = inputs @ theta["of_input"] + hidden @ theta["of_hidden"] + theta["gate_bias"]
    enter, keep, leave, new = gates.chunk(4, 1)
    cell = torch.sigmoid(keep + 1) * cell + torch.sigmoid(enter) * torch.tanh(new)
    hidden = torch.sigmoid(leave) * torch.tanh(cell)
    said, to_all = hidden @ theta["to_perceptron"], hidden @ theta["to_all"]
    return hidden, cell, said, to_all.mean(0)
