"""Fixed points of any map between tensors, with gradients."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from nascence.graph import is_tracing, loop
from nascence.implicit.backward import (
    Backward,
    Phantom,
    Solver,
    Tensors,
    Unrolled,
    attach,
    backward_of,
    damped,
    pack,
    solver_of,
    unpack,
)
from nascence.implicit.solution import Norm, Solution, State, Status, report
from nascence.implicit.transforms import unmapped


def fixed_point(
    f: Callable[[Any], Any],
    z0: State,
    *,
    solver: str | Solver = "anderson",
    backward: str | Backward = "implicit",
    tol: float | None = 1e-4,
    max_iter: int = 40,
    norm: Norm = "relative",
    strict: bool = False,
    warn: bool = True,
) -> Solution:
    """Find z with z = f(z), sample by sample, and attach its gradient.

    Each sample is solved until the norm of f(z) - z is at most ``tol``, and then left alone.
    Failures are reported in ``Solution.status``, by a :class:`ConvergenceWarning` and, with
    ``strict=True``, by a :class:`ConvergenceError`; the best iterate is returned.

    Layers of f that have a state see every evaluation: BatchNorm in training mode mixes samples and
    updates its running statistics each time; use GroupNorm. Plain dropout draws a new mask at each
    evaluation, so that there is no fixed point; use :class:`SolveDropout`.

    Args:
        f: Takes a state and returns one of the same shapes. It may read anything else, inputs and
            parameters, from where it was defined: all of it gets gradients. It must treat samples
            apart.
        z0: A tensor ``(B, ...)``, whose first axis holds samples, or a tuple of them.
        solver: "picard", "anderson", "broyden", "newton_krylov", "gmres" (for affine f), or a
            function like :func:`nascence.implicit.anderson`, say a ``functools.partial`` of it
            with other settings.
        backward: "implicit", "phantom", "one_step", "unrolled", or an :class:`Implicit`,
            :class:`Phantom` or :class:`Unrolled` with settings of its own.
        tol: Norm of f(z) - z at which a sample is done. None runs exactly ``max_iter`` evaluations
            and looks at no value, which is the form that ``torch.compile``, ``torch.export`` and
            ONNX can take; compiled training needs a phantom or unrolled gradient with it.
            Parameters read by f are then those of the moment.
        max_iter: Most evaluations of f; the one that records the gradient comes on top.
        norm: "relative", to the norm of f(z), or "absolute".
        strict: Raise where a sample did not converge.
        warn: False leaves out the warning of samples that were merely cut off, here or in the
            backward solve.

    Returns:
        The solution, its state like ``z0``.

    Raises:
        ValueError: Impossible settings, a ``z0`` that requires gradients where the solution does
            not depend on it, an f that changes shape, dtype or device, a call in
            ``torch.func.vmap`` (unless unrolled), or another of its transforms with an implicit
            gradient.
        ConvergenceError: With ``strict``, a sample did not converge.
    """
    chosen, solve = backward_of(backward), solver_of(solver)
    states = _checked(z0, chosen, tol, max_iter, norm)
    single = isinstance(z0, Tensor)
    apply = _Map(f, states, single)
    if is_tracing():
        return _traced(apply, states, single)
    if isinstance(chosen, Unrolled):
        return _unrolled(apply, states, chosen, single)
    compiling = torch.compiler.is_compiling()
    if not compiling and not states[0].shape[0]:
        return _empty(apply(states), single)
    with torch.no_grad(), unmapped():
        solution = solve(
            lambda flat: pack(apply(unpack(flat, states))),
            pack(states).detach(),
            tol=tol,
            max_iter=max_iter,
            norm=norm,
        )
        if not compiling:
            report(solution, strict=strict, warn=warn, what="the fixed point")
    assert isinstance(solution.state, Tensor)
    found = unpack(solution.state, states)
    if isinstance(chosen, Phantom):
        found = damped(apply, found, chosen.steps, chosen.damping) if _learning() else found
    elif _learning():
        if compiling:
            raise ValueError(
                "an implicit gradient cannot be compiled; use backward='phantom', 'one_step' or "
                "'unrolled', or compile under torch.no_grad()"
            )
        found = attach(apply, found, chosen, strict=strict, warn=warn)
    return replace(solution, state=found[0] if single else found)


def _learning() -> bool:
    """Whether gradients are needed; an exported model is for inference, whatever its mode."""
    return torch.is_grad_enabled() and not torch.compiler.is_exporting()


class _Map:
    """f on tuples of tensors, whose results are checked."""

    def __init__(self, f: Callable[[Any], Any], like: Tensors, single: bool) -> None:
        self.f, self.single = f, single
        self.kinds = [(tensor.shape, tensor.dtype, tensor.device) for tensor in like]

    def __call__(self, states: Tensors) -> Tensors:
        images = self.f(states[0] if self.single else states)
        images = (images,) if isinstance(images, Tensor) else tuple(images)
        if len(images) != len(self.kinds):
            raise ValueError(
                f"f gave {len(images)} tensors for a state of {len(self.kinds)}; "
                "it must give as many as z0 has"
            )
        return tuple(map(self._checked, images, self.kinds))

    def _checked(self, image: Tensor, kind: tuple[Any, ...]) -> Tensor:
        shape, dtype, device = kind
        if image.shape != shape:
            raise ValueError(
                f"f gave a tensor of shape {tuple(image.shape)} for a state of shape "
                f"{tuple(shape)}; a fixed point needs f to keep the shape of z0"
            )
        if image.device != device:
            raise ValueError(
                f"f gave a tensor on {image.device} for a state on {device}; "
                "put z0 where the parameters of f are"
            )
        if image.dtype != dtype:
            if not torch.is_autocast_enabled(device.type):
                raise ValueError(
                    f"f gave {image.dtype} for a state of {dtype}; give z0 the dtype that f gives"
                )
            # mixed precision: the cell computes in half, the state stays as it is
            image = image.to(dtype)
        return image


def _checked(
    z0: State, backward: Backward, tol: float | None, max_iter: int, norm: Norm
) -> Tensors:
    """The tensors of z0, once all settings have been checked."""
    states = (z0,) if isinstance(z0, Tensor) else tuple(z0)
    if not states or not all(isinstance(state, Tensor) for state in states):
        raise ValueError("z0 must be a tensor or a tuple of tensors, at least one")
    if max_iter < 1:
        raise ValueError(f"max_iter is {max_iter}; at least one evaluation of f is needed")
    if tol is not None and not tol > 0:
        raise ValueError(
            f"tol is {tol}; it must be above 0, or None for a fixed number of iterations"
        )
    if norm not in ("relative", "absolute"):
        raise ValueError(f"norm is {norm!r}; it must be 'relative' or 'absolute'")
    first = states[0]
    for state in states:
        if state.ndim < 1 or not state.is_floating_point():
            raise ValueError(
                f"z0 has shape {tuple(state.shape)} and {state.dtype}; it must have a sample "
                "axis and real floating-point values"
            )
        if (state.shape[0], state.dtype, state.device) != (
            first.shape[0],
            first.dtype,
            first.device,
        ):
            raise ValueError(
                "the tensors of z0 differ in number of samples, dtype or device: "
                f"{[(tuple(s.shape), s.dtype, str(s.device)) for s in states]}"
            )
    learned = torch.is_grad_enabled() and any(state.requires_grad for state in states)
    if learned and not isinstance(backward, Unrolled):
        raise ValueError(
            "z0 requires gradients, but a fixed point does not depend on where its solve "
            "starts; pass z0.detach(), or backward='unrolled' to learn through the start"
        )
    return states


def _unrolled(apply: _Map, states: Tensors, backward: Unrolled, single: bool) -> Solution:
    found = damped(apply, states, backward.steps, backward.damping)
    return _unchecked(found, backward.steps, single)


def _empty(images: Tensors, single: bool) -> Solution:
    """The solution of an empty batch; one evaluation connects it to everything that f reads."""
    none = images[0].detach().new_empty(0)
    status = torch.zeros(0, dtype=torch.long, device=none.device)
    return Solution(images[0] if single else images, none, 1, status, none.new_empty(1, 0))


def _traced(apply: _Map, states: Tensors, single: bool) -> Solution:
    """One evaluation of f, recorded as a cell that feeds itself, level by level."""
    images: Tensors = states

    def level(known: Tensors) -> Tensors:
        if len(known) == len(states):
            return apply(known)
        nonlocal images
        index = len(known)

        def cell(state: Tensor) -> Tensor:
            nonlocal images
            images = level((*known, state))
            return images[index]

        loop(cell, states[index])
        return images

    return _unchecked(level(()), 1, single)


def _unchecked(found: Tensors, evaluations: int, single: bool) -> Solution:
    """A solution without a measured residual."""
    count = found[0].shape[0]
    unknown = torch.full((count,), torch.nan)
    status = torch.full((count,), int(Status.UNCHECKED))
    state = found[0] if single else found
    return Solution(state, unknown, evaluations, status, unknown.new_empty(0, count))
