"""The gradient of the architecture through one step of the weights."""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from nascence.data import Batch
from nascence.params import Params

Loss = Callable[[Params, Batch], Tensor]
"""Loss of these weights on a batch; it also depends on the architecture's parameters."""
RADIUS = 0.01


def unrolled_gradients(
    loss: Loss,
    weights: Params,
    architecture: Sequence[Tensor],
    train: Batch,
    validation: Batch,
    *,
    rate: float,
    radius: float = RADIUS,
) -> list[Tensor]:
    """Return the derivatives of the validation loss after one step of gradient descent.

    Liu et al., "DARTS", ICLR 2019, eq. 7 and 8: with w' = w - rate * dL_train/dw, the derivative
    by the architecture is dL_val(w')/da - rate * (d2 L_train/da dw) v, v = dL_val(w')/dw', whose
    product with the Hessian is the central difference of dL_train/da at w ± epsilon v, epsilon =
    ``radius / norm(v)``.

    Args:
        loss: computed four times.
        weights: weights of the supernet, untouched.
        architecture: tensors of any shape that require gradients; one derivative of each is
            returned.
        train: images ``(B, C, H, W)`` and labels ``(B,)`` that the weights learn from.
        validation: the same of what the architecture learns from.
        rate: learning rate of the inner step; 0 gives the first order.
        radius: length of the step of the difference.
    """
    architecture = list(architecture)
    inner = {name: value.detach().requires_grad_() for name, value in weights.items()}
    step = _gradients(loss(inner, train), list(inner.values()))
    moved = {
        name: (value - rate * gradient).detach().requires_grad_()
        for (name, value), gradient in zip(weights.items(), step, strict=True)
    }
    outer = _gradients(loss(moved, validation), [*architecture, *moved.values()])
    direct, direction = outer[: len(architecture)], outer[len(architecture) :]
    length = torch.stack([part.norm() for part in direction]).norm()
    if rate == 0 or not length > 0:
        return direct
    epsilon = radius / length
    sides = []
    for sign in (1, -1):
        shifted = {
            name: value.detach() + sign * epsilon * part
            for (name, value), part in zip(weights.items(), direction, strict=True)
        }
        sides.append(_gradients(loss(shifted, train), architecture))
    return [
        first - rate * (above - below) / (2 * epsilon)
        for first, above, below in zip(direct, *sides, strict=True)
    ]


def _gradients(loss: Tensor, inputs: Sequence[Tensor]) -> list[Tensor]:
    return list(torch.autograd.grad(loss, inputs, allow_unused=True, materialize_grads=True))
