"""How gradients pass a fixed point: implicit, phantom, unrolled."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import torch
from torch import Tensor

from nascence import registry
from nascence.implicit.anderson import anderson
from nascence.implicit.broyden import broyden
from nascence.implicit.newton_krylov import newton_krylov
from nascence.implicit.picard import picard
from nascence.implicit.solution import Norm, Solution, report
from nascence.implicit.transforms import is_mapped, transforms

Solver = Callable[..., Solution]
Flat = Callable[[Tensor], Tensor]
Tensors = tuple[Tensor, ...]

SOLVERS: dict[str, Solver] = {
    "picard": picard,
    "anderson": anderson,
    "broyden": broyden,
    "newton_krylov": newton_krylov,
    "gmres": partial(newton_krylov, affine=True),
}


@dataclass(frozen=True)
class Implicit:
    """The gradient of the fixed point itself, by the implicit function theorem.

    u = u J + g is solved with ``solver`` on products of the cell's one recorded evaluation (Bai et
    al. 2019, theorem 1), so nothing is saved that grows with iterations. It is as exact as the two
    solves. ``order`` says how many times the result may be differentiated; each order records one
    more evaluation, and exceeding it raises RuntimeError.
    """

    solver: str | Solver = "gmres"
    tol: float = 1e-5
    max_iter: int = 40
    norm: Norm = "relative"
    order: int = 1


@dataclass(frozen=True)
class Phantom:
    """``steps`` damped evaluations behind the solve, and the gradient through those alone.

    z <- damping f(z) + (1 - damping) z from the detached solution (Geng et al. 2021, eq. 6).
    Steps of 1 without damping are the one-step gradient (Fung et al. 2022).
    """

    steps: int = 5
    damping: float = 0.7


@dataclass(frozen=True)
class Unrolled:
    """No solve, but ``steps`` evaluations from z0, all of them differentiated."""

    steps: int = 10
    damping: float = 1.0


Backward = Implicit | Phantom | Unrolled
BACKWARDS: dict[str, Backward] = {
    "implicit": Implicit(),
    "phantom": Phantom(),
    "one_step": Phantom(steps=1, damping=1.0),
    "unrolled": Unrolled(),
}


def backward_of(name: str | Backward) -> Backward:
    """The backward pass called ``name``, checked; raises ValueError."""
    backward = BACKWARDS.get(name) if isinstance(name, str) else name
    if not isinstance(backward, (Implicit, Phantom, Unrolled)):
        raise ValueError(
            f"backward is {name!r}; it must be one of {', '.join(BACKWARDS)}, "
            "or an Implicit, Phantom or Unrolled"
        )
    if isinstance(backward, Implicit):
        solver_of(backward.solver)
        if backward.max_iter < 1 or backward.order < 1 or not backward.tol > 0:
            raise ValueError(
                f"max_iter={backward.max_iter}, order={backward.order}, tol={backward.tol} of "
                "the backward solve; they must be at least 1, at least 1 and above 0"
            )
    elif backward.steps < 1 or not 0 < backward.damping <= 1:
        raise ValueError(
            f"steps={backward.steps}, damping={backward.damping} of the backward pass; "
            "they must be at least 1 and in (0, 1]"
        )
    return backward


def solver_of(name: str | Solver) -> Solver:
    """The solver called ``name``; raises ValueError."""
    if callable(name):
        return name
    if name in SOLVERS:
        return SOLVERS[name]
    if name not in (known := registry.names("solver")):
        raise ValueError(
            f"solver is {name!r}; it must be one of {', '.join(known)}, "
            "or a function like nascence.implicit.anderson"
        )
    found: Solver = registry.find(name, "solver").load()
    return found


def pack(tensors: Sequence[Tensor]) -> Tensor:
    """One flat state ``(B, N)``, at least float32, of tensors ``(B, ...)``."""
    # not reshape(B, -1), which is undefined for a batch of no samples
    flat = [tensor.flatten(1) if tensor.ndim > 1 else tensor[:, None] for tensor in tensors]
    joined = flat[0] if len(flat) == 1 else torch.cat(flat, dim=1)
    return joined.float() if joined.dtype in (torch.float16, torch.bfloat16) else joined


def unpack(flat: Tensor, like: Sequence[Tensor]) -> Tensors:
    """The tensors ``(B, ...)`` of a flat state ``(B, N)``, shaped and typed like ``like``."""
    if len(like) == 1:
        return (flat.reshape(like[0].shape).to(like[0].dtype),)
    sizes = [math.prod(tensor.shape[1:]) for tensor in like]
    pieces = flat.split(sizes, dim=1)
    return tuple(
        piece.reshape(tensor.shape).to(tensor.dtype)
        for piece, tensor in zip(pieces, like, strict=True)
    )


def transposed_product(
    images: Tensors, inputs: Tensors, rows: Tensors, *, create_graph: bool
) -> Tensors:
    """``rows`` times the Jacobian of ``images`` by ``inputs``; zero without dependence."""
    pairs = [pair for pair in zip(images, rows, strict=True) if pair[0].requires_grad]
    if not pairs:
        return tuple(torch.zeros_like(state) for state in inputs)
    products = torch.autograd.grad(
        [image for image, _ in pairs],
        inputs,
        [row for _, row in pairs],
        retain_graph=True,
        create_graph=create_graph,
        allow_unused=True,
    )
    found = zip(products, inputs, strict=True)
    return tuple(torch.zeros_like(state) if p is None else p for p, state in found)


def damped(f: Callable[[Tensors], Tensors], states: Tensors, steps: int, damping: float) -> Tensors:
    """The states after ``steps`` damped evaluations."""
    for _ in range(steps):
        images = f(states)
        if damping == 1:
            states = images
        else:
            pairs = zip(states, images, strict=True)
            states = tuple(torch.lerp(state, image, damping) for state, image in pairs)
    return states


def attach(
    f: Callable[[Tensors], Tensors],
    states: Tensors,
    backward: Implicit,
    *,
    strict: bool,
    warn: bool,
) -> Tensors:
    """``states`` ``(B, ...)``, a fixed point of f, with the implicit gradient of what f depends on.

    Raises:
        ValueError: A transform of ``torch.func`` that cannot take an implicit gradient.
    """
    if transforms():
        raise ValueError(
            f"torch.func's {transforms()[-1]} cannot take an implicit gradient; use torch.autograd "
            "(torch.autograd.functional.jacobian for jacrev), or backward='phantom'"
        )
    found, below = states, None
    for order in range(backward.order):
        inputs = found if order else tuple(state.detach().requires_grad_() for state in found)
        images = f(inputs)
        if not (order or _depends_beyond(images, inputs)):
            return states  # all that f reads is frozen
        below = _Linear(inputs, images, backward, strict, warn, below)
        # the first inputs are constants: what is sent to them would only be thrown away
        found = _FixedPoint.apply(below, *images, *(inputs if order else ()))
    return found


def _depends_beyond(images: Tensors, inputs: Tensors) -> bool:
    """Whether the graph of ``images`` has a leaf that is none of ``inputs``."""
    own = set(map(id, inputs))
    waiting = [image.grad_fn for image in images if image.grad_fn is not None]
    if any(image.requires_grad and image.grad_fn is None for image in images):
        return True  # a leaf that f gives back as it is
    seen = set(waiting)
    while waiting:
        node = waiting.pop()
        leaf = getattr(node, "variable", None)
        if leaf is not None and id(leaf) not in own:
            return True
        new = {before for before, _ in node.next_functions if before is not None} - seen
        seen |= new
        waiting += new
    return False


@dataclass
class _Linear:
    """The linear system u = u J + g at a fixed point, and the evaluation it is taken from."""

    inputs: Tensors
    images: Tensors
    settings: Implicit
    strict: bool
    warn: bool
    below: "_Linear | None"  # the system at the same point that ``inputs`` come from
    unsolved: Tensor | float = 0.0  # size of what the solve above sends here in place of zero

    def solve(self, gradients: Tensors) -> Tensors:
        """Solve for u, given g; differentiable where gradients are recorded."""
        settings = self.settings

        def products(u: Tensors) -> Tensors:
            recorded = torch.is_grad_enabled()
            return transposed_product(self.images, self.inputs, u, create_graph=recorded)

        def image(u: Tensors) -> Tensors:
            pairs = zip(products(u), gradients, strict=True)
            return tuple(product + row for product, row in pairs)

        with torch.no_grad():
            solution = solver_of(settings.solver)(
                lambda flat: pack(image(unpack(flat, gradients))),
                pack(gradients).detach(),
                tol=settings.tol,
                max_iter=settings.max_iter,
                norm=settings.norm,
            )
        report(solution, strict=self.strict, warn=self.warn, what="the backward solve")
        assert isinstance(solution.state, Tensor)
        u = unpack(solution.state, gradients)
        if self.below is not None:
            size = torch.linalg.vector_norm(solution.state)
            rounding = 1e3 * torch.finfo(solution.state.dtype).eps
            self.below.unsolved = (10 * settings.tol + rounding) * size
        if torch.is_grad_enabled():
            once_less = replace(settings, order=settings.order - 1)
            return attach(image, u, once_less, strict=self.strict, warn=self.warn)
        return u


class _FixedPoint(torch.autograd.Function):
    """Values of the solution z, gradient of one Newton step z + (1 - J)^-1 (f(z) - z) from it.

    The step does not move a solution, and its derivative with respect to z is zero, which
    leaves that of the implicit function theorem. Taken from a z that carries its own first
    derivative, the step's second derivative is right too, and so on.
    """

    @staticmethod
    def forward(ctx: Any, linear: _Linear, *tensors: Tensor) -> Tensors:
        ctx.linear = linear
        ctx.linked = len(tensors) > len(linear.images)
        return tuple(z.detach().clone() for z in linear.inputs)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Any:
        linear = ctx.linear
        if any(map(is_mapped, gradients)):
            raise ValueError(
                "an implicit gradient is solved for one set of gradients at a time; leave out "
                "vectorize=True and is_grads_batched=True, or use backward='phantom'"
            )
        nothing = (None,) * (1 + len(gradients) * (2 if ctx.linked else 1))
        negligible, linear.unsolved = linear.unsolved, 0.0
        if bool(torch.linalg.vector_norm(pack(gradients)) <= negligible):
            return nothing  # the derivative by z of the step above, which is zero
        if torch.is_grad_enabled() and not ctx.linked:
            raise RuntimeError(
                "the implicit gradient is differentiated more often than it was recorded for; "
                "pass backward=Implicit(order=...) with a higher order"
            )
        u = linear.solve(gradients)
        if not ctx.linked:
            return (None, *u)
        return (None, *u, *(g - row for g, row in zip(gradients, u, strict=True)))
