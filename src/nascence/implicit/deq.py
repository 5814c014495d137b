"""A layer whose output is the fixed point of a cell."""

import copy
from typing import Any

import torch
from torch import Tensor, nn

from nascence.implicit.backward import Backward, Solver, Unrolled, backward_of, solver_of
from nascence.implicit.dropout import SolveDropout
from nascence.implicit.fixed_point import fixed_point
from nascence.implicit.normalise import weights_once
from nascence.implicit.solution import Norm, Solution, State


class DEQ(nn.Module):
    """Deep equilibrium layer: z with ``z = cell(z, *inputs)``. Bai, Kolter, Koltun 2019.

    ``cell`` is any module that takes the state and the inputs and gives the state back; a state
    is a tensor (B, ...) or a tuple of them. It starts from ``z0`` where given (a warm start from
    an earlier state), else from ``cell.initial_state(*inputs)`` where the cell has that method,
    else from zeros like the first input. The other settings are those of :func:`fixed_point`.

    Normalised weights in the cell are computed once for a solve, and :class:`SolveDropout` in it
    draws one mask. The layer holds nothing of a solve, so it can be pickled and copied.
    """

    def __init__(
        self,
        cell: nn.Module,
        *,
        solver: str | Solver = "anderson",
        backward: str | Backward = "implicit",
        tol: float | None = 1e-3,
        max_iter: int = 24,
        norm: Norm = "relative",
        strict: bool = False,
        warn: bool = True,
    ) -> None:
        super().__init__()
        solver_of(solver)
        self.cell = cell
        self.solver, self.backward = solver, backward_of(backward)
        self.tol, self.max_iter, self.norm = tol, max_iter, norm
        self.strict, self.warn = strict, warn

    def forward(self, *inputs: Any, z0: State | None = None) -> State:
        """The fixed point, a state like ``z0``: a tensor ``(B, ...)`` or a tuple of them."""
        return self.solve(*inputs, z0=z0).state

    def solve(self, *inputs: Any, z0: State | None = None) -> Solution:
        """The fixed point, and the outcome of its solve."""
        for module in self.cell.modules():
            if isinstance(module, SolveDropout):
                module.renew()
        start = self._start(inputs) if z0 is None else z0
        with weights_once(self.cell):
            return fixed_point(
                lambda z: self.cell(z, *inputs),
                start,
                solver=self.solver,
                backward=self.backward,
                tol=self.tol,
                max_iter=self.max_iter,
                norm=self.norm,
                strict=self.strict,
                warn=self.warn,
            )

    def _start(self, inputs: tuple[Any, ...]) -> State:
        initial = getattr(self.cell, "initial_state", None)
        if initial is not None:
            return initial(*inputs)
        if not inputs or not isinstance(inputs[0], Tensor):
            raise ValueError(
                "there is no state to start from: pass z0=, give the cell a method "
                "initial_state(*inputs), or make the first input a tensor like the state"
            )
        return torch.zeros_like(inputs[0])

    def extra_repr(self) -> str:
        """Settings, for ``print``."""
        return f"solver={self.solver!r}, tol={self.tol}, max_iter={self.max_iter}"


def unrolled(model: nn.Module, steps: int, *, damping: float = 1.0) -> nn.Module:
    """A copy of ``model`` whose DEQ layers are ``steps`` layers with tied weights.

    The published start of training (Bai et al. 2020, section 4.2): a cell that has learned to be
    iterated a few times has a fixed point to continue from. Load the state back when done.
    """
    return _changed(model, {"backward": backward_of(Unrolled(steps, damping))})


def fixed_iterations(
    model: nn.Module,
    iterations: int,
    *,
    solver: str | Solver = "anderson",
    backward: str | Backward = "phantom",
) -> nn.Module:
    """A copy of ``model`` whose DEQ layers always make ``iterations`` evaluations.

    The form for ``torch.compile``, ``torch.export`` and ONNX. The picard, anderson and broyden
    solvers have it; so do phantom and unrolled gradients.

    Raises:
        ValueError: ``iterations`` is below 1.
    """
    if iterations < 1:
        raise ValueError(f"iterations is {iterations}; it must be at least 1")
    settings = {"solver": solver, "backward": backward_of(backward)}
    solver_of(solver)
    return _changed(model, {**settings, "tol": None, "max_iter": iterations})


def _changed(model: nn.Module, settings: dict[str, Any]) -> nn.Module:
    changed = copy.deepcopy(model)
    layers = [module for module in changed.modules() if isinstance(module, DEQ)]
    if not layers:
        raise ValueError(f"{type(model).__name__} has no DEQ layer")
    for layer in layers:
        layer.__dict__.update(settings)
    return changed
