"""Anderson acceleration."""

from collections.abc import Callable

import torch
from torch import Tensor

from nascence.implicit.progress import Progress
from nascence.implicit.solution import Norm, Solution


def anderson(
    f: Callable[[Tensor], Tensor],
    z0: Tensor,
    *,
    tol: float | None,
    max_iter: int,
    norm: Norm = "relative",
    memory: int = 6,
    ridge: float = 1e-8,
    damping: float = 1.0,
) -> Solution:
    """Anderson acceleration on flat states ``(B, N)``: Walker & Ni 2011, algorithm AA, type II.

    The next iterate is the combination of the last ``memory`` images f(z) whose residuals,
    combined alike, are shortest. ``ridge`` is relative to the residuals' own size, so that it
    weighs the same at every scale and tolerance. Holds 2 ``memory`` states.
    """
    progress = Progress(z0, tol=tol, max_iter=max_iter, norm=norm)
    batch, size = z0.shape
    images = z0.new_zeros(batch, memory, size)
    residuals = z0.new_zeros(batch, memory, size)
    gram = torch.zeros(batch, memory, memory, dtype=torch.float64, device=z0.device)
    z = z0
    for step in range(max_iter):
        fz = f(z)
        residual = fz - z
        if progress.record(z, fz, residual):
            break
        slot, count = step % memory, min(step + 1, memory)
        images[:, slot], residuals[:, slot] = fz, residual
        products = torch.bmm(residuals[:, :count], residual.unsqueeze(2)).squeeze(2).double()
        gram[:, slot, :count] = products
        gram[:, :count, slot] = products
        weights = _weights(gram[:, :count, :count], ridge).to(z.dtype).unsqueeze(1)
        following = torch.bmm(weights, images[:, :count]).squeeze(1)
        if damping != 1:
            following = following - (1 - damping) * (
                torch.bmm(weights, residuals[:, :count]).squeeze(1)
            )
        z = progress.advance(following)
    return progress.solution()


def _weights(gram: Tensor, ridge: float) -> Tensor:
    """The weights (B, m) with sum 1 that make a^T G a + ridge |G| a^T a smallest."""
    size = gram.diagonal(dim1=1, dim2=2)
    tiny = torch.finfo(gram.dtype).tiny
    penalty = ridge * size.amax(dim=1, keepdim=True) + tiny
    ones = torch.ones_like(size)
    weights = solve_definite(gram + torch.diag_embed(penalty * ones), ones)
    return weights / weights.sum(dim=1, keepdim=True)


def solve_definite(matrix: Tensor, right: Tensor) -> Tensor:
    """Solve small positive definite systems ``(B, m, m) x = (B, m)`` by Gauss-Jordan elimination.

    Written in elementary operations, because ONNX has no linear solver.
    """
    table = torch.cat([matrix, right.unsqueeze(2)], dim=2)
    size = matrix.shape[1]
    identity = torch.eye(size, dtype=matrix.dtype, device=matrix.device)
    for k in range(size):
        row = table[:, k : k + 1] / table[:, k : k + 1, k : k + 1]
        # row k becomes the scaled row, every other row loses its column k
        column = table[:, :, k : k + 1] - identity[:, k : k + 1]
        table = table - column * row
    return table[:, :, size]
