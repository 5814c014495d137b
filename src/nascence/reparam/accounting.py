"""What folding did, what it left alone and why, and the cost of the network before and after."""

from collections import Counter
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode

from nascence.core.modes import evaluation_mode
from nascence.graph import Latency, count_macs, count_parameters, measure_latency
from nascence.reparam.channel_scale import ChannelScale


class Rewrite(NamedTuple):
    """One exact rewrite: the rule, the node that it replaced, and the result."""

    rule: str
    where: str
    result: str


class Refusal(NamedTuple):
    """One layer or pattern left as it was, and the reason."""

    where: str
    reason: str


class Cost(NamedTuple):
    """Parameters, multiply-adds and kernels of one forward pass, BatchNorms, seconds.

    ``nodes`` and ``size``, the bytes of all weights, are those of an ONNX model; it has no kernels.
    """

    parameters: int
    macs: int | None
    kernels: int | None
    batch_norms: int | None
    latency: Latency | None
    nodes: int | None = None
    size: int | None = None


class KernelCounter(TorchDispatchMode):
    """Counts operators that compute something, not those that only change a view."""

    def __init__(self) -> None:
        super().__init__()
        self.kernels = 0
        self.norms = 0

    def __torch_dispatch__(
        self, func: Any, types: Any, args: Any = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        result = func(*args, **(kwargs or {}))
        if not func.is_view and func.namespace == "aten" and func._opname not in FREE:
            self.kernels += 1
            self.norms += "batch_norm" in func._opname
        return result


FREE = {"_to_copy", "detach", "empty", "lift_fresh", "sym_size", "_unsafe_view", "dropout"}


def count_kernels(model: nn.Module, *inputs: Tensor) -> int:
    """Number of operators that one forward pass in evaluation mode launches, views left out.

    The inputs are of the shapes that the network takes.
    """
    own = [x.clone() for x in inputs]
    with evaluation_mode(model), KernelCounter() as counter:
        model(*own)
    return counter.kernels


def count_norms(model: nn.Module, *inputs: Tensor) -> int:
    """Number of BatchNorms that one forward pass launches, those left as ``ChannelScale`` too.

    The inputs are of the shapes that the network takes.
    """
    own = [x.clone() for x in inputs]
    with evaluation_mode(model), KernelCounter() as counter:
        model(*own)
    return counter.norms + sum(isinstance(layer, ChannelScale) for layer in model.modules())


def cost_of(model: nn.Module, inputs: tuple[Tensor, ...], repeats: int) -> Cost:
    """Cost of a forward pass, without ``inputs`` the parameters alone.

    The inputs are of the shapes that the network takes; ``repeats`` 0 leaves the latency out.
    """
    if not inputs:
        return Cost(count_parameters(model), None, None, None, None)
    inputs = tuple(x.clone() for x in inputs)  # a network may overwrite its input
    return Cost(
        count_parameters(model),
        count_macs(model, *inputs),
        count_kernels(model, *inputs),
        count_norms(model, *inputs),
        measure_latency(model, *inputs, repeats=repeats) if repeats else None,
    )


@dataclass(frozen=True)
class FoldReport:
    """The outcome of one folding.

    ``error`` is the relative error in float64 before the weights are rounded back to the model's
    dtype, None where nothing was verified; ``error_in_dtype`` that of the folded model as it is
    returned, ``original_in_dtype`` that of the original one, both against the original model in
    float64. ``notes`` say what could not be tried.
    """

    folded: tuple[Rewrite, ...]
    left: tuple[Refusal, ...]
    notes: tuple[str, ...]
    before: Cost
    after: Cost
    error: float | None = None
    error_in_dtype: float | None = None
    original_in_dtype: float | None = None

    def __str__(self) -> str:
        lines = []
        counts = Counter(rewrite.rule for rewrite in self.folded)
        done = ", ".join(f"{count} {rule}" for rule, count in counts.items()) or "nothing"
        lines.append(f"folded: {done}")
        for name in ("parameters", "macs", "kernels", "nodes", "batch_norms", "size"):
            before, after = getattr(self.before, name), getattr(self.after, name)
            if before is not None and after is not None:
                lines.append(f"{name}: {before} -> {after}")
        if self.before.latency and self.after.latency:
            before, after = self.before.latency.median, self.after.latency.median
            lines.append(
                f"latency: {1e3 * before:.2f} ms -> {1e3 * after:.2f} ms ({before / after:.2f}x)"
            )
        if self.error is not None:
            lines.append(f"relative error: {self.error:.1e} before rounding to the model's dtype")
        if self.error_in_dtype is not None:
            lines.append(
                f"in the model's dtype: {self.error_in_dtype:.1e}, "
                f"the original {self.original_in_dtype:.1e}"
            )
        lines += [f"left: {where}: {reason}" for where, reason in self.left]
        lines += [f"note: {note}" for note in self.notes]
        return "\n".join(lines)


def norms_left(model: nn.Module) -> list[Refusal]:
    """Normalisations that never fold, by kind."""
    kinds = (nn.LayerNorm, nn.GroupNorm, nn.modules.instancenorm._InstanceNorm)
    counts = Counter(type(m).__name__ for m in model.modules() if isinstance(m, kinds))
    return [
        Refusal(f"{count} {kind}", "its statistics depend on the input")
        for kind, count in counts.items()
    ]


def is_quantised(model: nn.Module) -> bool:
    """Whether a layer or tensor is of an integer format already."""
    for layer in model.modules():
        if ".quantized" in type(layer).__module__ or ".intrinsic" in type(layer).__module__:
            return True
    return any(
        value.is_quantized for value in model.state_dict().values() if torch.is_tensor(value)
    )
