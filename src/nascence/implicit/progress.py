"""The bookkeeping that all solvers share: residuals, best states, finished samples."""

import torch
from torch import Tensor

from nascence.implicit.solution import Norm, Solution, Status

_RUNNING = -1
_PATIENCE = 30  # evaluations without a lower residual after which a sample has stalled
_BLOW_UP = 1e4  # growth of the residual over the scale of the start that ends a sample


class Progress:
    """Follows the samples of one solve on flat states ``(B, N)``.

    A sample stops on its own when it converges, diverges, stalls or becomes non-finite, and its
    state then stays at the best iterate. Without a tolerance, no decision depends on values, as
    compilers and exporters require, and the last iterate is the result.
    """

    def __init__(self, z0: Tensor, *, tol: float | None, max_iter: int, norm: Norm) -> None:
        self.tol, self.max_iter, self.relative = tol, max_iter, norm == "relative"
        self.best = z0
        self.evaluations = 0
        self.history: list[Tensor] = []
        self._all_running = True
        self._z0 = z0

    @property
    def left(self) -> int:
        """Number of evaluations left."""
        return self.max_iter - self.evaluations

    @property
    def running(self) -> Tensor:
        """Which samples are not finished, ``(B,)`` bool."""
        return self.status == _RUNNING

    def spend(self) -> None:
        """Count an evaluation that is not an iterate."""
        self.evaluations += 1

    def record(self, z: Tensor, fz: Tensor, residual: Tensor) -> bool:
        """Note an evaluation, with ``residual`` = fz - z, ``(B, N)``; whether the solve is over."""
        self.evaluations += 1
        absolute = torch.linalg.vector_norm(residual, dim=1)
        scale = torch.linalg.vector_norm(fz, dim=1)
        size = absolute / (scale + torch.finfo(z.dtype).tiny) if self.relative else absolute
        if not self.history:
            self._start(absolute, scale, size)
        if self.tol is None:
            self.last_absolute = absolute
            self.history.append(size)
            return False
        return self._judge(z, absolute, size, self.tol)

    def _start(self, absolute: Tensor, scale: Tensor, size: Tensor) -> None:
        self.reference = torch.maximum(absolute, scale)
        self.status = torch.full_like(size, _RUNNING, dtype=torch.int64)
        self.residuals = torch.full_like(size, torch.inf)
        self.since_best = torch.zeros_like(self.status)
        self.last_absolute = absolute

    def _judge(self, z: Tensor, absolute: Tensor, size: Tensor, tol: float) -> bool:
        running = self.status == _RUNNING
        finite = torch.isfinite(absolute) & torch.isfinite(size)
        improved = running & finite & (size < self.residuals)
        self.residuals = torch.where(improved, size, self.residuals)
        self.since_best = torch.where(improved, 0, self.since_best + 1)
        self.last_absolute = torch.where(running, absolute, self.last_absolute)
        self.history.append(torch.where(running, size, self.history[-1] if self.history else size))
        ended = torch.where(self.since_best > _PATIENCE, Status.STALLED, _RUNNING)
        ended = torch.where(absolute > _BLOW_UP * self.reference, Status.DIVERGED, ended)
        ended = torch.where(finite, ended, Status.NON_FINITE)
        ended = torch.where(size <= tol, Status.CONVERGED, ended)
        self.status = torch.where(running, ended, self.status)
        kept = improved | ~running
        left = self.status == _RUNNING
        # one look at the values for all three questions
        all_kept, any_left, all_left = torch.stack([kept.all(), left.any(), left.all()]).tolist()
        # rows of finished samples in z already are their best ones
        self.best = z if all_kept else torch.where(improved.unsqueeze(1), z, self.best)
        self._all_running = all_left
        return not any_left or self.left <= 0

    def advance(self, z: Tensor) -> Tensor:
        """The next iterate ``(B, N)``: ``z`` where a sample runs, its best state elsewhere."""
        if self.tol is None:
            self.best = z
            return z
        if self._all_running:
            return z
        return torch.where((self.status == _RUNNING).unsqueeze(1), z, self.best)

    def solution(self) -> Solution:
        """The solution found."""
        grown = self.last_absolute > 2 * self.reference
        if self.tol is None:
            residuals = self.history[-1]
            status = torch.where(grown, Status.DIVERGED, Status.UNCHECKED)
            finite = torch.isfinite(residuals) & torch.isfinite(self.best).all(dim=1)
            status = torch.where(finite, status, Status.NON_FINITE)
        else:
            residuals = self.residuals
            open_end = torch.where(grown, Status.DIVERGED, Status.STALLED)
            status = torch.where(self.status == _RUNNING, open_end, self.status)
        return Solution(self.best, residuals, self.evaluations, status, torch.stack(self.history))
