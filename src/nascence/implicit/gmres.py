"""Restarted GMRES for a batch of linear systems that are given only by their products."""

from collections.abc import Callable

import torch
from torch import Tensor


def gmres(
    product: Callable[[Tensor], Tensor], right: Tensor, *, target: Tensor, memory: int
) -> Tensor:
    """Vectors x (B, N) with A x close to ``right`` (B, N), from at most ``memory`` products.

    ``product`` maps (B, N) to A (B, N), one system per sample; ``target`` (B,) is the residual norm
    at which a sample is done; the solve ends when all samples are. Holds ``memory`` + 1 states.
    Saad & Schultz 1986, algorithm 3, with Givens rotations kept in float64.
    """
    batch, size = right.shape
    length = torch.linalg.vector_norm(right, dim=1)
    basis = right.new_zeros(batch, memory + 1, size)
    basis[:, 0] = _divided(right, length)
    triangle = torch.zeros(batch, memory, memory, dtype=torch.float64, device=right.device)
    rotated = torch.zeros(batch, memory + 1, dtype=torch.float64, device=right.device)
    rotated[:, 0] = length
    rotations: list[tuple[Tensor, Tensor]] = []
    count = 0
    for k in range(memory):
        if bool((rotated[:, k].abs() <= target).all()):
            break
        image = product(basis[:, k])
        # twice, since one pass of Gram-Schmidt loses orthogonality in float32
        column, image = _orthogonalised(basis[:, : k + 1], image)
        again, image = _orthogonalised(basis[:, : k + 1], image)
        column = (column + again).double()
        below = torch.linalg.vector_norm(image, dim=1)
        basis[:, k + 1] = _divided(image, below)
        for i, (cosine, sine) in enumerate(rotations):
            upper, lower = column[:, i].clone(), column[:, i + 1].clone()
            column[:, i] = cosine * upper + sine * lower
            column[:, i + 1] = cosine * lower - sine * upper
        radius = torch.hypot(column[:, k], below.double())
        live = radius > 0
        cosine = torch.where(live, column[:, k] / radius, 1)
        sine = torch.where(live, below / radius, 0)
        rotations.append((cosine, sine))
        column[:, k] = torch.where(live, radius, 1)
        triangle[:, : k + 1, k] = column
        rotated[:, k + 1] = -sine * rotated[:, k]
        rotated[:, k] = torch.where(live, cosine * rotated[:, k], 0)
        count = k + 1
    if count == 0:
        return torch.zeros_like(right)
    weights = torch.linalg.solve_triangular(
        triangle[:, :count, :count], rotated[:, :count].unsqueeze(2), upper=True
    )
    return torch.bmm(weights.transpose(1, 2).to(right.dtype), basis[:, :count]).squeeze(1)


def _orthogonalised(basis: Tensor, vector: Tensor) -> tuple[Tensor, Tensor]:
    """The parts (B, k) of ``vector`` along the basis (B, k, N), and what is left of it."""
    parts = torch.bmm(basis, vector.unsqueeze(2)).squeeze(2)
    return parts, vector - torch.bmm(parts.unsqueeze(1), basis).squeeze(1)


def _divided(vector: Tensor, length: Tensor) -> Tensor:
    """``vector`` (B, N) over ``length`` (B,); zero where that is zero."""
    return torch.where((length > 0).unsqueeze(1), vector / length.unsqueeze(1), 0)
