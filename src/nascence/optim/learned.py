"""A learned optimizer in the place of any ``torch.optim`` optimizer."""

import copy
import warnings
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.optim import Optimizer

from nascence.optim.checkpoint import load
from nascence.optim.contract import LearnedOptimizer, State, kernel_of
from nascence.optim.learned_state import (
    IDENTITY,
    SHARED,
    as_rate,
    check_group,
    check_state,
    in_current_form,
    shared_in,
)
from nascence.optim.native import compiled as compiled_form
from nascence.optim.processes import agree, as_scalar
from nascence.optim.sharded import is_sharded, local, whole, write_
from nascence.optim.theta import digest
from nascence.params import Params

# Weight decay is in units of this learning rate, so that the numbers used with AdamW carry over.
DECAY_RATE = 1e-3
_ARRAYS = ("momenta", "seconds", "second", "first", "momentum")
_NO_LOSS = (
    "the optimizer uses the training loss and did not get one; call step(loss=loss), give step() a "
    "closure, or set `loss` before step() on the optimizer itself: where Accelerate, Fabric or "
    "Lightning hand back a wrapper, that is optimizer.optimizer.loss = loss"
)


class Learned(Optimizer):
    """A learned optimizer with the interface of ``torch.optim``.

    The loss, which the hierarchical optimizer uses, comes from the closure, from
    ``step(loss=...)`` or from setting `loss` before ``step()``; without one it goes on, and warns
    once. A validation loss likewise, when there is one.

    Where ``torch.distributed`` is initialised, all processes of the default group step together:
    losses are averaged, and a step with a gradient that is not finite in any of them is skipped
    by all; a RuntimeWarning says so, and `skipped_steps` counts. Sharded parameters (``DTensor``,
    as ``fully_shard`` makes them) are gathered for the step and take that of the whole model;
    every process then keeps the whole state.

    Args:
        params: Parameters, or parameter groups with ``lr`` and ``weight_decay``.
        weights: The name of released weights, a ``.safetensors`` file of `nascence.optim.save`,
            or a `LearnedOptimizer`.
        num_steps: How many steps the training will have, if that is known; the optimizer then
            slows towards the end. Beyond it, it stays as at the end.
        lr: A factor of the learned step; 1 is what was learned, 0 freezes. Schedulers move it.
        weight_decay: Decoupled, in units of a learning rate of 0.001: each step takes
            ``lr * 0.001 * weight_decay`` of a parameter away.
        state_dtype: Of the averages that are kept for each parameter; ``torch.bfloat16`` halves
            them.
        compiled: Take the compiled step of the small or the hierarchical optimizer, several times
            faster on a CPU. It needs a C++ compiler, for some seconds when it is first used on a
            machine.
        together: False for a process that trains alone although ``torch.distributed`` is
            initialised.

    Raises:
        ValueError: For complex or integer parameters, and settings that are not allowed.
        OSError: If there is no compiler for ``compiled``.
    """

    def __init__(
        self,
        params: Any,
        *,
        weights: str | Path | LearnedOptimizer = "optimizer-small",
        num_steps: int | None = None,
        lr: float = 1.0,
        weight_decay: float = 0.0,
        state_dtype: torch.dtype = torch.float32,
        compiled: bool = False,
        together: bool = True,
    ) -> None:
        if state_dtype not in (torch.float32, torch.bfloat16):
            raise ValueError(f"state_dtype is {state_dtype}; it must be float32 or bfloat16")
        if isinstance(weights, LearnedOptimizer):
            self.learned = copy.deepcopy(weights).requires_grad_(False)
        else:
            self.learned = load(weights).requires_grad_(False)
        if compiled:
            self.learned = compiled_form(self.learned)
        self.num_steps = num_steps
        self.state_dtype = state_dtype
        self.together = together
        self.skipped_steps = 0
        self.loss: Tensor | float | None = None
        self.valid_loss: Tensor | float | None = None
        self._warned = False
        self._first_shared: Params = self.learned.init({}, num_steps=num_steps)["shared"]
        self._identity = f"{type(self.learned).__name__} {digest(self.learned)}"
        defaults = {"lr": lr, "weight_decay": weight_decay, IDENTITY: self._identity}
        super().__init__(params, defaults)

    def add_param_group(self, param_group: dict[str, Any]) -> None:
        """Add parameters with settings of their own.

        Raises:
            ValueError: For complex or integer parameters, and settings that are not allowed.
        """
        super().add_param_group(param_group)
        try:
            check_group(self.param_groups[-1], negative=False)
        except ValueError:
            del self.param_groups[-1]
            raise

    @property
    def shared(self) -> Params:
        """What the whole network has in common of the state, such as the steps taken."""
        for group in self.param_groups:
            for value in group["params"]:
                if found := shared_in(self.state.get(value, {})):
                    return found
        return self._first_shared

    def step(
        self,
        closure: Callable[[], Any] | None = None,
        *,
        loss: Tensor | float | None = None,
        valid_loss: Tensor | float | None = None,
    ) -> Any:
        """Take one step.

        Args:
            closure: Computes the gradients, or just the loss, and returns the loss.
            loss: The training loss, a number or one-element tensor such as ``()``.
            valid_loss: The loss on held-out data, likewise.

        Returns:
            What the closure returns.

        Raises:
            ValueError: If a loss is not one number, a rate is not finite, or the state that was
                loaded is of other weights.
            RuntimeError: If a gradient is sparse, or another process refuses the step.
        """
        result = None
        if closure is not None:
            with torch.enable_grad():
                result = closure()
        loss = next((x for x in (loss, self.loss, result) if x is not None), None)
        valid_loss = self.valid_loss if valid_loss is None else valid_loss
        self.loss = self.valid_loss = None
        with torch.no_grad():
            self._step(loss, valid_loss)
        return result

    def _step(self, loss: Tensor | float | None, valid_loss: Tensor | float | None) -> None:
        """Agree with the other processes, then step; nothing else here waits for them."""
        params, rates = self._moving()
        grads = {name: value.grad for name, value in params.items() if value.grad is not None}
        refusal: Exception | None = None
        told: list[Tensor | None] = [None, None]
        try:
            self._check_step(grads.values())
            if self.learned.uses_loss:
                told = [as_scalar(loss), as_scalar(valid_loss)]
        except (ValueError, RuntimeError) as error:
            refusal = error
        agreed = agree(
            finite=refusal is not None or _finite(grads.values()),
            refused=refusal is not None,
            loss=told[0],
            valid_loss=told[1],
            device=next((value.device for value in params.values()), torch.device("cpu")),
            together=self.together,
        )
        if refusal is not None:
            raise refusal
        if agreed.refused:
            raise RuntimeError("another process refuses the step; it says why")
        if not agreed.finite:
            self.skipped_steps += 1
            self._warn("a gradient is not finite: the step of the learned optimizer was skipped")
        elif params:
            if self.learned.uses_loss and agreed.loss is None and any(rates.values()):
                if not self._warned:
                    self._warn(_NO_LOSS)
                self._warned = True
            self._decay()
            self._update(grads, params, rates, agreed.loss, agreed.valid_loss)

    def _moving(self) -> tuple[Params, dict[str, float]]:
        """Parameters that have a gradient, and their rates."""
        params: Params = {}
        rates: dict[str, float] = {}
        for number, group in enumerate(self.param_groups):
            for index, value in enumerate(group["params"]):
                if value.grad is not None and value.numel():
                    params[f"{number}.{index}"] = value
                    rates[f"{number}.{index}"] = as_rate(group["lr"])
        return params, rates

    def _warn(self, message: str) -> None:
        warnings.warn(message, RuntimeWarning, stacklevel=5)

    def _check_step(self, grads: Iterable[Tensor]) -> None:
        for group in self.param_groups:
            check_group(group)
            if group.get(IDENTITY, self._identity) != self._identity:
                raise ValueError(
                    f"the state is of {group[IDENTITY]}, and this is {self._identity}; construct "
                    "the optimizer with the weights that it had"
                )
        if any(grad.layout != torch.strided for grad in grads):
            raise RuntimeError("a gradient is sparse; learned optimizers need dense ones")

    def _decay(self) -> None:
        for group in self.param_groups:
            if shrink := float(group["lr"]) * DECAY_RATE * float(group["weight_decay"]):
                held = [local(value) for value in group["params"] if value.grad is not None]
                if held := [value for value in held if value.numel()]:
                    torch._foreach_mul_(held, 1 - min(shrink, 1.0))

    def _update(
        self,
        grads: Params,
        params: Params,
        rates: dict[str, float],
        loss: Tensor | None,
        valid_loss: Tensor | None,
    ) -> None:
        """Run the optimizer on float32 views or copies, and write back where they are copies."""
        device = next(iter(params.values())).device
        if any(value.device != device for value in self.learned.parameters()):
            self.learned.to(device)
        shared = {key: value.to(device) for key, value in self.shared.items()}
        values, before, tensors = {}, {}, {}
        for name, value in params.items():
            values[name] = _in_float32(whole(value.detach())).contiguous()
            if value.dtype == torch.float64:
                before[name] = values[name].clone()
            tensors[name] = self._slots(value, values[name])
        told = {
            key: None if x is None else x.to(device)
            for key, x in (("loss", loss), ("valid_loss", valid_loss))
        }
        state: State = {"tensors": tensors, "shared": shared}
        gradients = {name: _in_float32(whole(grad), half=True) for name, grad in grads.items()}
        kernel_of(self.learned).step_(gradients, state, values, rates=rates, **told)
        for name, value in params.items():
            if name in before:  # float32 holds the change, not the value
                write_(value, whole(value.detach()) + (values[name] - before[name]).double())
            elif is_sharded(value) or values[name].data_ptr() != value.data_ptr():
                write_(value, values[name])
            self._keep(value, tensors[name], shared)

    def _slots(self, value: Tensor, plain: Tensor) -> Params:
        """What is kept for a parameter, in float32 on its device; at first that of `init`."""
        held = self.state[value]
        if not held:
            held |= {
                key: slot.to(self.state_dtype) if key in _ARRAYS else slot
                for key, slot in self.learned.init({"": plain})["tensors"][""].items()
            }
        return {
            key: slot.to(value.device, torch.float32)
            for key, slot in held.items()
            if not key.startswith(SHARED)
        }

    def _keep(self, value: Tensor, slots: Params, shared: Params) -> None:
        """Put what a step changed into the state, which all parameters share a part of."""
        held = self.state[value]
        for key, slot in slots.items():
            held[key] = slot.to(held[key].dtype)
        held.update({SHARED + key: slot for key, slot in shared.items()})

    @torch.no_grad()
    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Go on from `state_dict`, which is left as it is.

        Raises:
            ValueError: If it is of another optimizer, other weights or other parameters; nothing
                is changed then.
        """
        state_dict = in_current_form(state_dict)
        ours = [value for group in self.param_groups for value in group["params"]]
        check_state(state_dict, self._identity, [self._blank(value) for value in ours])
        for group in state_dict["param_groups"]:
            check_group({**group, "params": []})
        super().load_state_dict(state_dict)
        # The parent turns every state into the dtype of its parameter; this one keeps its own.
        held = state_dict["state"]
        saved = [index for group in state_dict["param_groups"] for index in group["params"]]
        for index, value in zip(saved, ours, strict=True):
            if index in held:
                self.state[value] = {
                    key: slot.detach().clone().to(value.device) for key, slot in held[index].items()
                }

    def _blank(self, value: Tensor) -> Params:
        """A state of the shapes that one of this parameter has."""
        blank = torch.zeros((), device="meta").expand(value.shape)
        slots = self.learned.init({"": blank})["tensors"][""]
        return slots | {SHARED + key: slot for key, slot in self._first_shared.items()}

    def __getstate__(self) -> dict[str, Any]:
        """For copies and pickles, which the parent would strip of all but its own."""
        names = ("learned", "num_steps", "state_dtype", "together", "skipped_steps")
        private = ("_warned", "_first_shared", "_identity")
        extra = {name: getattr(self, name) for name in (*names, *private)}
        return {**super().__getstate__(), **extra, "loss": None, "valid_loss": None}


def _in_float32(value: Tensor, *, half: bool = False) -> Tensor:
    """Return a tensor in float32, cut to what that can hold; ``half`` leaves 16 bits as is."""
    if value.dtype == torch.float64:
        largest = torch.finfo(torch.float32).max
        return value.clamp(-largest, largest).float()
    return value if half else value.float()


def _finite(grads: Iterable[Tensor]) -> bool:
    """Whether every entry that this process holds is finite, by the largest of each gradient."""
    if held := [part for part in map(local, grads) if part.numel()]:
        largest = torch._foreach_norm(held, ord=torch.inf)
        return bool(torch.stack([torch.isfinite(value) for value in largest]).all())
    return True
