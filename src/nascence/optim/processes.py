"""What processes that train together agree on before a step: whether to take it, and the loss."""

from typing import NamedTuple

import torch
from torch import Tensor


class Agreement(NamedTuple):
    """The same in every process.

    Attributes:
        finite: Whether the gradients of all processes are finite.
        refused: Whether any process refuses the step.
        loss, valid_loss: Means ``()`` over the processes that know one; None if none does.
    """

    finite: bool
    refused: bool
    loss: Tensor | None
    valid_loss: Tensor | None


def agree(
    *,
    finite: bool,
    refused: bool,
    loss: Tensor | None,
    valid_loss: Tensor | None,
    device: torch.device,
    together: bool = True,
) -> Agreement:
    """Agree with all processes of the default group, in one collective that each must enter once.

    Args:
        finite: Whether the gradients of this process are finite.
        refused: Whether this process refuses the step.
        loss: Its training loss ``()`` in float32, if it knows one.
        valid_loss: Its validation loss ``()`` in float32, if it knows one.
        device: Where the parameters are.
        together: Whether other processes take the step, too; without ``torch.distributed`` or in
            a group of one there are none.
    """
    distributed = torch.distributed
    if not (together and distributed.is_available() and distributed.is_initialized()):
        return Agreement(finite, refused, loss, valid_loss)
    if distributed.get_world_size() == 1:
        return Agreement(finite, refused, loss, valid_loss)
    if distributed.get_backend() in ("gloo", "mpi"):
        device = torch.device("cpu")
    elif distributed.get_backend() == "nccl":
        device = torch.device("cuda", torch.cuda.current_device())
    known = [x is not None for x in (loss, valid_loss)]
    losses = [torch.zeros(()) if x is None else x for x in (loss, valid_loss)]
    counts = torch.tensor([not finite, refused, *known], dtype=torch.float32)
    votes = torch.cat([counts.to(device), torch.stack([x.to(device) for x in losses])])
    distributed.all_reduce(votes)
    bad, refusals, *told = votes[:4].tolist()
    means = [votes[4 + k] / told[k] if told[k] else None for k in range(2)]
    return Agreement(not bad, bool(refusals), *means)


def as_scalar(loss: Tensor | float | None) -> Tensor | None:
    """Return a loss as ``()`` float32, without its graph.

    Raises:
        ValueError: If it is more than one number.
    """
    if loss is None:
        return None
    value = torch.as_tensor(loss, dtype=torch.float32).detach()
    if value.numel() != 1:
        raise ValueError(f"the loss has shape {tuple(value.shape)}; it must be one number")
    return value.reshape(()).clone()
