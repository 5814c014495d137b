"""The result of a fixed-point solve, and how failures are reported."""

import warnings
from dataclasses import dataclass
from enum import IntEnum
from typing import Literal

from torch import Tensor

State = Tensor | tuple[Tensor, ...]
Norm = Literal["relative", "absolute"]


class Status(IntEnum):
    """How the solve of one sample ended, as stored in ``Solution.status``."""

    CONVERGED = 0
    STALLED = 1  # the evaluations were used up, or the residual no longer fell
    DIVERGED = 2  # the residual grew beyond the scale that the solve started from
    NON_FINITE = 3  # f gave an infinity or a NaN
    UNCHECKED = 4  # a fixed number of iterations, without a tolerance to judge by


class ConvergenceWarning(UserWarning):
    """A fixed point was not reached; the status of each sample gives the reason."""


class ConvergenceError(ArithmeticError):
    """A fixed point was not reached and ``strict=True`` was asked for."""


@dataclass(frozen=True)
class Solution:
    """A fixed point, sample by sample.

    ``state`` is shaped like ``z0``. ``residuals`` (B,) are those of ``state``: the norm of
    f(z) - z over a sample, divided by that of f(z) where the norm is relative. ``status`` (B,)
    holds values of :class:`Status`. ``evaluations`` counts calls of f on the whole batch and
    ``history`` (residuals, B) holds the residuals on the way, one row for each state that was
    judged, at most one an evaluation; a finished sample keeps its last.
    """

    state: State
    residuals: Tensor
    evaluations: int
    status: Tensor
    history: Tensor

    @property
    def converged(self) -> Tensor:
        """Whether each sample converged, (B,) bool."""
        return self.status == Status.CONVERGED


_REMEDY = {
    Status.STALLED: "raise max_iter or tol, or choose another solver",
    Status.DIVERGED: "the map does not contract: regularise its Jacobian, use damping, or use "
    "a solver that does not need a contraction (broyden, newton_krylov)",
    Status.NON_FINITE: "f gave an infinity or a NaN, and the last finite state is returned",
}


def report(solution: Solution, *, strict: bool, warn: bool, what: str) -> None:
    """Raise or warn where a sample did not converge.

    With ``warn=False``, stalled samples are not reported (the solve was cut off on purpose), but
    diverged and non-finite ones are. The message contains no numbers, so that Python shows it only
    once.

    Raises:
        ConvergenceError: A sample did not converge and ``strict`` is set.
    """
    status = solution.status
    # ascending severity: the worst decides what is said
    worst = int(status.where(status != Status.UNCHECKED, 0).max())
    if worst == Status.CONVERGED:
        return
    name, remedy = Status(worst).name.lower().replace("_", "-"), _REMEDY[Status(worst)]
    if strict:
        samples = (status == worst).nonzero().flatten().tolist()
        listed = ", ".join(map(str, samples[:8])) + (", ..." if len(samples) > 8 else "")
        raise ConvergenceError(
            f"{what} is {name} in {len(samples)} of {len(status)} samples ({listed}) after "
            f"{solution.evaluations} evaluations, with residuals up to "
            f"{solution.residuals.max().item():.3g}; {remedy}"
        )
    if warn or worst != Status.STALLED:
        warnings.warn(
            f"{what} is {name} in some samples, see Solution.status; {remedy}",
            ConvergenceWarning,
            stacklevel=3,
        )
