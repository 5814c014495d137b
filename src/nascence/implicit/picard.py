"""Picard iteration."""

from collections.abc import Callable

from torch import Tensor

from nascence.implicit.progress import Progress
from nascence.implicit.solution import Norm, Solution


def picard(
    f: Callable[[Tensor], Tensor],
    z0: Tensor,
    *,
    tol: float | None,
    max_iter: int,
    norm: Norm = "relative",
    damping: float = 1.0,
) -> Solution:
    """Damped fixed-point iteration z <- damping f(z) + (1 - damping) z on flat states ``(B, N)``.

    Converges for contractions, at the rate of the spectral radius of their Jacobian.
    """
    progress = Progress(z0, tol=tol, max_iter=max_iter, norm=norm)
    z = z0
    for _ in range(max_iter):
        fz = f(z)
        residual = fz - z
        if progress.record(z, fz, residual):
            break
        z = progress.advance(fz if damping == 1 else z + damping * residual)
    return progress.solution()
