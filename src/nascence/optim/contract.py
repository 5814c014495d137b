"""What an optimizer is here: a module whose parameters are learned, and two pure functions."""

from abc import ABC, abstractmethod
from typing import Any, ClassVar, TypedDict

import torch
from torch import Tensor, nn
from torch.func import functional_call, vmap

from nascence.params import Params


class State(TypedDict):
    """What an optimizer remembers between steps.

    ``tensors`` has one entry for each parameter tensor, which depends on that tensor alone, so
    that tensors can be added later; ``shared`` is what the whole network has in common. Every
    leaf is a tensor.
    """

    tensors: dict[str, Params]
    shared: Params


class LearnedOptimizer(nn.Module, ABC):
    """An optimizer whose own parameters, theta, are what meta-training learns.

    `init` and `update` are pure: they never write into their arguments, hold nothing, and work
    under ``torch.func.vmap``, so that many thetas and many tasks are run side by side.

    Attributes:
        source: The C++ of the compiled step, where there is one (`nascence.optim.native`).
        compiled: Whether the step on a CPU is that one.
    """

    source: ClassVar[str | None] = None
    compiled: bool = False

    @property
    def settings(self) -> dict[str, Any]:
        """The keyword arguments that make another one of the same form."""
        return {}

    @abstractmethod
    def init(self, params: Params, *, num_steps: Tensor | float | None = None) -> State:
        """The state before the first step.

        ``num_steps`` is how many steps the training will have, or None where that is unknown.
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
        """One step: what to add to every parameter that has a gradient, and the next state.

        ``grads`` may lack names that are in ``params``; those parameters and their state stay.
        ``loss`` ``()`` is the training loss where the gradient was taken, and ``valid_loss``
        ``()`` one on held-out data; an optimizer that uses them goes on without them.
        """

    @property
    def uses_loss(self) -> bool:
        """Whether a loss given to `update` changes anything."""
        return False

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
        """`update` in place: ``rates[name]`` times the update is added to every parameter.

        ``params`` and ``state`` are changed. Architectures replace it by a faster form.
        """
        updates, following = self.update(grads, state, params, loss=loss, valid_loss=valid_loss)
        for name, update in updates.items():
            params[name].add_(update, alpha=rates[name])
        _write({**following, "tensors": {n: following["tensors"][n] for n in updates}}, state)

    def forward(
        self,
        grads: Params,
        state: State,
        params: Params,
        loss: Tensor | None = None,
        valid_loss: Tensor | None = None,
    ) -> tuple[Params, State]:
        """`update`, in the form that ``torch.func.functional_call`` needs."""
        return self.update(grads, state, params, loss=loss, valid_loss=valid_loss)

    def init_stacked(self, params: Params, *, num_steps: Tensor) -> State:
        """`init` for N networks: parameters ``(N, ...)``, ``num_steps`` ``(N,)`` or infinite."""
        return vmap(lambda one, steps: self.init(one, num_steps=steps))(params, num_steps)

    def update_stacked(
        self, theta: Params, grads: Params, state: State, params: Params, *, loss: Tensor
    ) -> tuple[Params, State]:
        """`update` for N networks, each with its own theta: every tensor is ``(N, ...)``."""

        def one(theta: Params, grads: Params, state: State, params: Params, loss: Tensor) -> Any:
            return functional_call(self, theta, (grads, state, params, loss))

        updates, following = vmap(one)(theta, grads, state, params, loss)
        return updates, following

    @torch.no_grad()
    def step_stacked_(
        self, theta: Params, grads: Params, state: State, params: Params, *, loss: Tensor
    ) -> None:
        """`update_stacked` in place: ``params`` and ``state`` are changed."""
        updates, following = self.update_stacked(theta, grads, state, params, loss=loss)
        _write(following, state)
        for name, update in updates.items():
            params[name] += update


def _write(following: State, state: State) -> None:
    for name, slots in following["tensors"].items():
        for key, value in slots.items():
            state["tensors"][name][key].copy_(value)
    for key, value in following["shared"].items():
        state["shared"][key].copy_(value)


def copied(state: State) -> State:
    """A copy that `LearnedOptimizer.step_stacked_` may change."""
    tensors = {
        name: {key: value.clone() for key, value in slots.items()}
        for name, slots in state["tensors"].items()
    }
    return {
        "tensors": tensors,
        "shared": {key: value.clone() for key, value in state["shared"].items()},
    }


def horizon(num_steps: Tensor | float | None) -> Tensor:
    """``num_steps`` as a float tensor, infinite where it is unknown.

    Raises ValueError unless it is positive.
    """
    if num_steps is None:
        return torch.tensor(torch.inf)
    if isinstance(num_steps, Tensor):
        return num_steps.float()
    if not num_steps > 0:
        raise ValueError(f"num_steps is {num_steps}; it must be positive, or None if unknown")
    return torch.tensor(float(num_steps))
