"""Limited-memory Broyden."""

from collections.abc import Callable

import torch
from torch import Tensor

from nascence.implicit.progress import Progress
from nascence.implicit.solution import Norm, Solution


def broyden(
    f: Callable[[Tensor], Tensor],
    z0: Tensor,
    *,
    tol: float | None,
    max_iter: int,
    norm: Norm = "relative",
    memory: int = 8,
) -> Solution:
    """Broyden's good method for f(z) - z = 0 on flat states ``(B, N)``: Broyden 1965, section 5.

    The inverse Jacobian is -1 plus ``memory`` rank-one terms, of which the oldest is dropped first:
    it holds 2 ``memory`` states, however long it runs.
    """
    progress = Progress(z0, tol=tol, max_iter=max_iter, norm=norm)
    left = z0.new_zeros(z0.shape[0], memory, z0.shape[1])
    right = torch.zeros_like(left)
    z = before = residual = z0
    count = 0
    for step in range(max_iter):
        fz = f(z)
        previous, residual = residual, fz - z
        if progress.record(z, fz, residual):
            break
        if step > 0:
            slot = (step - 1) % memory
            left[:, slot] = 0  # the oldest term goes before the new one is measured against it
            moved, changed = z - before, residual - previous
            inverse_changed = _inverse(left[:, :count], right[:, :count], changed)
            row = _inverse(right[:, :count], left[:, :count], moved)
            curvature = (row * changed).sum(dim=1, keepdim=True)
            scale = torch.linalg.vector_norm(row, dim=1, keepdim=True)
            scale = scale * torch.linalg.vector_norm(changed, dim=1, keepdim=True)
            # a finished sample, or one that moved across its own change, learns nothing
            useful = curvature.abs() > 1e-10 * scale
            update = (moved - inverse_changed) / torch.where(useful, curvature, 1)
            left[:, slot] = torch.where(useful, update, 0)
            right[:, slot] = row
            count = min(count + 1, memory)
        before = z
        z = progress.advance(z - _inverse(left[:, :count], right[:, :count], residual))
    return progress.solution()


def _inverse(left: Tensor, right: Tensor, vector: Tensor) -> Tensor:
    """(-1 + sum of left_i right_i^T) times ``vector`` (B, N)."""
    products = torch.bmm(right, vector.unsqueeze(2)).transpose(1, 2)
    return torch.bmm(products, left).squeeze(1) - vector
