"""Newton's method with GMRES, without a Jacobian."""

from collections.abc import Callable

import torch
from torch import Tensor

from nascence.implicit.gmres import gmres
from nascence.implicit.progress import Progress
from nascence.implicit.solution import Norm, Solution

_HALVINGS = 2


def newton_krylov(
    f: Callable[[Tensor], Tensor],
    z0: Tensor,
    *,
    tol: float | None,
    max_iter: int,
    norm: Norm = "relative",
    memory: int = 20,
    affine: bool = False,
) -> Solution:
    """Inexact Newton for f(z) - z = 0 on flat states ``(B, N)``: Knoll & Keyes 2004.

    Products with the Jacobian are differences of f, each one evaluation; GMRES solves to the
    forcing term of Eisenstat & Walker 1996, eq. 2.6. Steps that increase a residual are halved and,
    where that does not help, replaced by a Picard step. So is the first step, because normalised
    cells are least smooth at the zeros where solves start. With ``affine=True`` f is taken
    to be affine: differences are then exact at any distance, and each step is GMRES restarted.
    Holds ``memory`` + 1 states.

    Raises ValueError without a tolerance, because its steps depend on values.
    """
    if tol is None:
        raise ValueError(
            "newton_krylov has no form with a fixed number of iterations; "
            "give a tol, or use picard, anderson or broyden"
        )
    progress = Progress(z0, tol=tol, max_iter=max_iter, norm=norm)
    z = z0
    fz = f(z)
    residual = fz - z
    forcing = torch.full_like(residual[:, 0], 0.0 if affine else 0.1)
    length = torch.linalg.vector_norm(residual, dim=1)
    first = True
    while not progress.record(z, fz, residual):
        scale = torch.linalg.vector_norm(fz, dim=1)
        enough = 0.5 * tol * (scale if norm == "relative" else torch.ones_like(scale))
        reach = torch.linalg.vector_norm(z, dim=1) + scale
        reach = reach * (1.0 if affine else torch.finfo(z.dtype).eps ** 0.5)
        running = progress.running
        right = torch.where(running.unsqueeze(1), residual, 0)
        difference = _difference(f, progress, z, fz, reach)
        steps = min(memory, progress.left - 1)
        if steps < 1 or (first and not affine):
            step = right
        else:
            target = torch.where(running, torch.maximum(enough, forcing * length), torch.inf)
            step = gmres(difference, right, target=target, memory=steps)
        first = False
        z, fz, residual, length_now = _searched(f, progress, z, step, residual)
        ratio = torch.nan_to_num(length_now / length, nan=1.0, posinf=1.0)
        if not affine:
            forcing = (0.9 * ratio**2).clamp(max=0.1)
        length = length_now
    return progress.solution()


def _difference(
    f: Callable[[Tensor], Tensor], progress: Progress, z: Tensor, fz: Tensor, reach: Tensor
) -> Callable[[Tensor], Tensor]:
    """The product of 1 - J with unit vectors (B, N), by differences of f over ``reach`` (B,)."""
    distance = torch.where(reach > 0, reach, 1).unsqueeze(1)

    def product(vector: Tensor) -> Tensor:
        progress.spend()
        return vector - (f(z + distance * vector) - fz) / distance

    return product


def _searched(
    f: Callable[[Tensor], Tensor], progress: Progress, z: Tensor, step: Tensor, residual: Tensor
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """The next iterate, its image, residual and residual norm; growing steps are halved."""
    length = torch.linalg.vector_norm(residual, dim=1)
    for attempt in range(_HALVINGS + 2):
        following = progress.advance(z + step)
        image = f(following)
        changed = image - following
        now = torch.linalg.vector_norm(changed, dim=1)
        worse = progress.running & ~(now < length)
        if attempt > _HALVINGS or progress.left <= 1 or not bool(worse.any()):
            break
        progress.spend()
        shorter = residual if attempt == _HALVINGS else 0.5 * step
        step = torch.where(worse.unsqueeze(1), shorter, step)
    return following, image, changed, now
