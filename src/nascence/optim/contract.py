"""The contract of an optimizer: a module whose parameters are learned, and two pure functions."""

import math
from abc import ABC, abstractmethod
from typing import Any, ClassVar, TypedDict

import torch
from torch import Tensor, nn
from torch.func import functional_call, vmap

from nascence.params import Params


class State(TypedDict):
    """What an optimizer remembers between steps; every leaf is a tensor.

    Attributes:
        tensors: One entry for each parameter tensor, which depends on that tensor alone, so that
            tensors can be added later.
        shared: What the whole network has in common.
    """

    tensors: dict[str, Params]
    shared: Params


Losses = tuple[Tensor | None, Tensor | None]
"""Of training and of held-out data, where they are known."""


class LearnedOptimizer(nn.Module, ABC):
    """An optimizer whose own parameters, theta, are what meta-training learns.

    `init` and `update` are the contract. They are pure: they never write into their arguments,
    hold nothing, and work under ``torch.func.vmap``, so that many thetas and many tasks run side
    by side. How a training takes its steps in place, and fast, is a private `Kernel`.

    Attributes:
        source: The C++ of a compiled kernel, where there is one (`nascence.optim.native`).
        compiled: Whether steps on a CPU use it.
    """

    source: ClassVar[str | None] = None
    compiled: bool = False

    @property
    def settings(self) -> dict[str, Any]:
        """The keyword arguments that make another instance of the same form."""
        return {}

    @property
    def uses_loss(self) -> bool:
        """Whether `update` makes use of a loss that it is given."""
        return False

    @abstractmethod
    def init(self, params: Params, *, num_steps: Tensor | float | None = None) -> State:
        """Return the state before the first step.

        Args:
            params: Parameters of any shape, by name.
            num_steps: How many steps the training will take, a number or ``()``; None or infinity
                if that is unknown.

        Raises:
            ValueError: If ``num_steps`` is a number that is not positive.
        """

    @abstractmethod
    def update(
        self,
        grads: Params,
        state: State,
        params: Params,
        *,
        loss: Tensor | None = None,
        valid_loss: Tensor | None = None,
    ) -> tuple[Params, State]:
        """Return what to add to every parameter that has a gradient, and the next state.

        Args:
            grads: Gradients, each of the shape of its parameter. Parameters without one, and
                their state, stay as they are.
            state: What `init` or the last `update` returned.
            params: The parameters at which the gradients were taken.
            loss: The training loss ``()`` there, if it is known.
            valid_loss: A loss ``()`` on held-out data, if it is known.
        """

    def forward(
        self, grads: Params, state: State, params: Params, loss: Tensor | None = None
    ) -> tuple[Params, State]:
        """`update` in the form that ``torch.func.functional_call`` needs; ``loss`` is ``()``."""
        return self.update(grads, state, params, loss=loss)

    def _kernel(self) -> "Kernel":
        return Kernel(self)


class Kernel:
    """The step as trainings take it: into its arguments, for one network or for many.

    This one is the plain form, `LearnedOptimizer.update`. Architectures have faster ones, private
    to them, which a test holds to the plain form (`nascence.testing.optimizers`).
    """

    def __init__(self, optimizer: LearnedOptimizer) -> None:
        self.optimizer = optimizer

    @torch.no_grad()
    def step_(
        self,
        grads: Params,
        state: State,
        params: Params,
        *,
        rates: dict[str, float],
        loss: Tensor | None = None,
        valid_loss: Tensor | None = None,
    ) -> None:
        """Add ``rates[name]`` times the update to every parameter that has a gradient.

        ``params``, contiguous float32 of any shape, and ``state`` are changed.
        """
        self._step_one_(grads, state, params, rates, (loss, valid_loss))

    def _step_one_(
        self, grads: Params, state: State, params: Params, rates: dict[str, float], losses: Losses
    ) -> None:
        updates, following = self.optimizer.update(
            grads, state, params, loss=losses[0], valid_loss=losses[1]
        )
        for name, update in updates.items():
            params[name].add_(update, alpha=rates[name])
        _write({**following, "tensors": {n: following["tensors"][n] for n in updates}}, state)

    @torch.no_grad()
    def step_stacked_(
        self, theta: Params, grads: Params, state: State, params: Params, *, loss: Tensor
    ) -> None:
        """Take a step of N networks, each with its own theta: every tensor is ``(N, ...)``.

        ``params`` and ``state`` are changed.
        """

        def one(theta: Params, *arguments: Any) -> Any:
            return functional_call(self.optimizer, theta, arguments)

        updates, following = vmap(one)(theta, grads, state, params, loss)
        _write(following, state)
        for name, update in updates.items():
            params[name] += update


def _write(following: State, state: State) -> None:
    for name, slots in following["tensors"].items():
        for key, value in slots.items():
            state["tensors"][name][key].copy_(value)
    for key, value in following["shared"].items():
        state["shared"][key].copy_(value)


def kernel_of(optimizer: LearnedOptimizer) -> Kernel:
    """Return the fastest form of an optimizer's step that there is on this machine."""
    return optimizer._kernel()


def init_stacked(optimizer: LearnedOptimizer, params: Params, *, num_steps: Tensor) -> State:
    """Return the state of N networks, of which a `Kernel` may change every tensor.

    Args:
        optimizer: Whose state it is.
        params: Parameters ``(N, ...)``.
        num_steps: Lengths of the trainings ``(N,)``, infinite where unknown.
    """
    state = vmap(lambda one, steps: optimizer.init(one, num_steps=steps))(params, num_steps)
    return copied(state)


def copied(state: State) -> State:
    """Return a copy that a `Kernel` may change."""
    tensors = {
        name: {key: value.clone() for key, value in slots.items()}
        for name, slots in state["tensors"].items()
    }
    shared = {key: value.clone() for key, value in state["shared"].items()}
    return {"tensors": tensors, "shared": shared}


def horizon(num_steps: Tensor | float | None) -> Tensor:
    """Return ``num_steps`` as float in its own shape, ``()`` for a number; infinite if unknown.

    Raises:
        ValueError: If it is a number that is not positive.
    """
    if isinstance(num_steps, Tensor):
        return num_steps.float()
    steps = math.inf if num_steps is None else float(num_steps)
    if not steps > 0:
        raise ValueError(f"num_steps is {num_steps}; it must be positive, or None if unknown")
    return torch.tensor(steps)


class TensorWise(LearnedOptimizer, ABC):
    """An optimizer that treats every tensor alone: a rule for one tensor is all of it."""

    @abstractmethod
    def slots(self, shape: torch.Size) -> dict[str, tuple[int, ...]]:
        """Return shapes, by name, of what is kept for a tensor; all starts at zero.

        The steps taken, ``step`` ``()``, are kept besides.
        """

    @abstractmethod
    def rule(
        self, grad: Tensor, slots: Params, value: Tensor, num_steps: Tensor
    ) -> tuple[Tensor, Params]:
        """Return the update of one tensor and its next slots.

        Args:
            grad: Gradient in float32, of any shape.
            slots: What is kept for the tensor; ``step`` ``()`` counts from 1.
            value: The tensor in float32, of the shape of ``grad``.
            num_steps: Length of the training ``()``, infinite if unknown.
        """

    def init(self, params: Params, *, num_steps: Tensor | float | None = None) -> State:
        """Return the state for parameters of any shape; see `LearnedOptimizer.init`."""
        tensors = {}
        for name, value in params.items():
            shapes = {"step": (), **self.slots(value.shape)}
            tensors[name] = {
                key: value.new_zeros(shape, dtype=torch.float32) for key, shape in shapes.items()
            }
        return {"tensors": tensors, "shared": {"num_steps": horizon(num_steps)}}

    def update(
        self,
        grads: Params,
        state: State,
        params: Params,
        *,
        loss: Tensor | None = None,
        valid_loss: Tensor | None = None,
    ) -> tuple[Params, State]:
        """Return updates, of the shapes of ``grads``, and state; see `LearnedOptimizer.update`."""
        updates, tensors = {}, dict(state["tensors"])
        for name, grad in grads.items():
            old = state["tensors"][name]
            slots = {**old, "step": old["step"] + 1}
            updates[name], new = self.rule(
                grad.float(), slots, params[name].float(), state["shared"]["num_steps"]
            )
            tensors[name] = {**slots, **new}
        return updates, {"tensors": tensors, "shared": state["shared"]}
