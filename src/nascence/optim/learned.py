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
from nascence.optim.native import compiled as compiled_form
from nascence.optim.theta import digest
from nascence.params import Params

# Weight decay is in units of this learning rate, so that the numbers used with AdamW carry over.
DECAY_RATE = 1e-3
_ARRAYS = ("momenta", "seconds", "second", "first", "momentum")


class Learned(Optimizer):
    """A learned optimizer with the interface of ``torch.optim``.

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

    The loss, which the hierarchical optimizer uses, comes from the closure, from
    ``step(loss=...)`` or from setting `loss` before ``step()``; without one it goes on. A
    validation loss likewise, when there is one. Among several processes losses are averaged.

    A step with a gradient that is not finite is skipped: a RuntimeWarning says so, and
    `skipped_steps` counts.

    Raises ValueError for complex or integer parameters, and settings that are not allowed; OSError
    if there is no compiler for ``compiled``.
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
    ) -> None:
        if not lr >= 0 or not weight_decay >= 0:
            raise ValueError(f"lr={lr}, weight_decay={weight_decay}; neither may be negative")
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
        self.skipped_steps = 0
        self.loss: Tensor | float | None = None
        self.valid_loss: Tensor | float | None = None
        self.shared: Params = self.learned.init({}, num_steps=num_steps)["shared"]
        super().__init__(params, {"lr": lr, "weight_decay": weight_decay})

    def add_param_group(self, param_group: dict[str, Any]) -> None:
        super().add_param_group(param_group)
        for value in self.param_groups[-1]["params"]:
            if not value.is_floating_point():
                del self.param_groups[-1]
                raise ValueError(
                    f"a parameter is {value.dtype}; a learned optimizer needs real floating-point "
                    "parameters (torch.view_as_real gives such a view of a complex one)"
                )

    def step(
        self,
        closure: Callable[[], Any] | None = None,
        *,
        loss: Tensor | float | None = None,
        valid_loss: Tensor | float | None = None,
    ) -> Any:
        """One step; returns what the closure returns, which may compute the gradients."""
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
        params: Params = {}
        rates: dict[str, float] = {}
        for number, group in enumerate(self.param_groups):
            for index, value in enumerate(group["params"]):
                if value.grad is None or not value.numel():
                    continue
                if value.grad.is_sparse:
                    raise RuntimeError("a gradient is sparse; learned optimizers need dense ones")
                params[f"{number}.{index}"] = value
                rates[f"{number}.{index}"] = float(group["lr"])
        if not params:
            return
        grads = {name: value.grad for name, value in params.items() if value.grad is not None}
        if not _finite(grads.values()):
            self.skipped_steps += 1
            warnings.warn(
                "a gradient is not finite: the step of the learned optimizer was skipped",
                RuntimeWarning,
                stacklevel=3,
            )
            return
        used = self.learned.uses_loss
        first = next(iter(params.values()))
        told = {
            "loss": _mean_over_processes(loss, first.device) if used else None,
            "valid_loss": _mean_over_processes(valid_loss, first.device) if used else None,
        }
        self._decay()
        self._update(grads, params, rates, told, first.device)

    def _decay(self) -> None:
        for group in self.param_groups:
            if shrink := float(group["lr"]) * DECAY_RATE * group["weight_decay"]:
                held = [value for value in group["params"] if value.grad is not None]
                torch._foreach_mul_(held, 1 - shrink)

    def _update(
        self,
        grads: Params,
        params: Params,
        rates: dict[str, float],
        told: dict[str, Tensor | None],
        device: torch.device,
    ) -> None:
        """Run the optimizer on float32 views or copies, and write back where they are copies."""
        if next(self.learned.parameters()).device != device:
            self.learned.to(device)
        self.shared = {key: value.to(device) for key, value in self.shared.items()}
        values, tensors = {}, {}
        for name, value in params.items():
            if not self.state[value]:
                self.state[value] = self._slots(value)
            plain = value.dtype == torch.float32 and value.is_contiguous()
            values[name] = value.detach() if plain else value.detach().float().contiguous()
            tensors[name] = {
                key: held if held.dtype == torch.float32 else held.float()
                for key, held in self.state[value].items()
            }
        state: State = {"tensors": tensors, "shared": self.shared}
        kernel_of(self.learned).step_(grads, state, values, rates=rates, **told)
        for name, value in params.items():
            if values[name].data_ptr() != value.data_ptr():
                value.copy_(values[name])
            for key, held in self.state[value].items():
                if held.dtype != torch.float32:
                    held.copy_(tensors[name][key])

    def _slots(self, value: Tensor) -> Params:
        """The first state of one parameter."""
        slots = self.learned.init({"": value.detach().float()})["tensors"][""]
        return {
            key: held.to(self.state_dtype) if key in _ARRAYS else held
            for key, held in slots.items()
        }

    def state_dict(self) -> dict[str, Any]:
        """Everything an exact resume needs, but for the weights of the optimizer itself."""
        return {**super().state_dict(), "learned": self._identity(), "shared": dict(self.shared)}

    def _identity(self) -> dict[str, str]:
        return {"architecture": type(self.learned).__name__, "weights": digest(self.learned)}

    @torch.no_grad()
    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Go on from `state_dict`; it is left as it is.

        Raises ValueError, and changes nothing, if it is of another optimizer.
        """
        identity = self._identity()
        theirs = state_dict.get("learned", {"architecture": "another optimizer"})
        if theirs.get("architecture") != identity["architecture"]:
            raise ValueError(
                f"the state is of {theirs.get('architecture')}, and this is "
                f"{identity['architecture']}; load it into the optimizer that wrote it"
            )
        if theirs.get("weights") != identity["weights"]:
            raise ValueError(
                f"the state was written with other weights ({theirs.get('weights')}, not "
                f"{identity['weights']}); construct the optimizer with the same weights"
            )
        super().load_state_dict(state_dict)
        # The parent turns every state into the dtype of its parameter; this one keeps its own.
        held = state_dict["state"]
        saved = [index for group in state_dict["param_groups"] for index in group["params"]]
        ours = [value for group in self.param_groups for value in group["params"]]
        for index, value in zip(saved, ours, strict=True):
            if index in held:
                self.state[value] = {
                    key: slot.detach().clone().to(value.device) for key, slot in held[index].items()
                }
        self.shared = {key: value.clone() for key, value in state_dict["shared"].items()}

    def __getstate__(self) -> dict[str, Any]:
        """For copies and pickles, which the parent would strip of all but its own."""
        names = ("learned", "num_steps", "state_dtype", "skipped_steps", "shared")
        extra = {name: getattr(self, name) for name in names}
        return {**super().__getstate__(), **extra, "loss": None, "valid_loss": None}


def _finite(grads: Iterable[Tensor]) -> bool:
    """Whether every entry is finite, from one pass: the largest magnitude of each."""
    largest = torch._foreach_norm(list(grads), ord=torch.inf)
    return all(bool(torch.isfinite(value)) for value in largest)


def _mean_over_processes(loss: Tensor | float | None, device: torch.device) -> Tensor | None:
    """The loss as ``()`` float32, averaged if training runs in several processes."""
    if loss is None:
        return None
    value = torch.as_tensor(loss, dtype=torch.float32).detach().to(device)
    if value.numel() != 1:
        raise ValueError(f"the loss has shape {tuple(value.shape)}; it must be one number")
    value = value.reshape(()).clone()
    distributed = torch.distributed
    if distributed.is_available() and distributed.is_initialized():
        distributed.all_reduce(value)
        value /= distributed.get_world_size()
    return value
