"""Whether two modules compute the same, by relative error."""

import copy
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._pytree import tree_leaves

TOLERANCE = {
    torch.float64: 1e-9,
    torch.float32: 1e-4,
    torch.bfloat16: 5e-2,
    torch.float16: 1e-2,
}

Inputs = tuple[Tensor, ...]


def relative_error(value: Any, truth: Any) -> float:
    """Largest ‖value - truth‖ / ‖truth‖ over the tensors of two outputs.

    Infinite if they differ in structure, shape or in where they are not a number.
    """
    mine, theirs = tree_leaves(value), tree_leaves(truth)
    if len(mine) != len(theirs):
        return float("inf")
    return max((_error(a, b) for a, b in zip(mine, theirs, strict=True)), default=0.0)


def _error(value: Any, truth: Any) -> float:
    if not isinstance(value, Tensor) or not isinstance(truth, Tensor):
        return 0.0 if type(value) is type(truth) and value == truth else float("inf")
    if value.shape != truth.shape:
        return float("inf")
    a, b = value.detach().double(), truth.detach().double()
    if not torch.equal(torch.isfinite(a), torch.isfinite(b)):
        return float("inf")
    a, b = torch.nan_to_num(a, 0, 0, 0), torch.nan_to_num(b, 0, 0, 0)
    size = float(b.norm())
    distance = float((a - b).norm())
    return distance / size if size > 0 else (0.0 if distance == 0 else float("inf"))


def widened(inputs: Inputs) -> Inputs:
    """Floating-point inputs in float64."""
    return tuple(x.double() if x.is_floating_point() else x for x in inputs)


def disturbed(inputs: Inputs) -> Inputs:
    """The inputs with noise, so that a constant example does not hide a difference."""
    generator = torch.Generator().manual_seed(0)
    noisy = []
    for x in inputs:
        if x.is_floating_point():
            spread = float(x.double().std()) if x.numel() > 1 else 0.0
            noise = torch.randn(x.shape, generator=generator, dtype=torch.float64)
            x = x + (noise.to(x.device) * (spread or 1.0)).to(x.dtype)
        noisy.append(x)
    return tuple(noisy)


class Truth:
    """Outputs of a model on an example and on a noisy copy of it, in float64 where it can.

    ``wide`` is False where the model does not run in float64; then its own dtype is the measure.
    """

    def __init__(self, model: nn.Module, inputs: Inputs) -> None:
        self.wide = True
        self.given = (inputs, disturbed(inputs))
        self.native = 0.0
        with torch.no_grad():
            try:
                reference = copy.deepcopy(model)
                single = all(p.dtype == torch.float32 for p in model.parameters())
                own = _outputs(reference, self.given) if single else None
                reference = reference.double()
                self.inputs = (widened(self.given[0]), widened(self.given[1]))
                self.outputs = [reference(*copied(x)) for x in self.inputs]
                if own is not None:
                    self.native = max(map(relative_error, own, self.outputs))
            except (RuntimeError, TypeError):
                self.wide = False
                reference = copy.deepcopy(model)
                self.inputs = self.given
                self.outputs = [reference(*copied(x)) for x in self.inputs]

    @property
    def tolerance(self) -> float:
        """Largest relative error of a rewrite in the precision of the check.

        Where the network itself amplifies rounding (its own error in float32 says how much), so
        may the rewrite.
        """
        if self.wide:
            ratio = torch.finfo(torch.float64).eps / torch.finfo(torch.float32).eps
            return min(max(TOLERANCE[torch.float64], 100 * ratio * self.native), 1e-6)
        kinds = [x.dtype for x in self.inputs[0] if x.is_floating_point()]
        return max((TOLERANCE.get(kind, 1e-4) for kind in kinds), default=1e-4)

    def error(self, candidate: nn.Module) -> float:
        """Relative error of ``candidate``, infinite where it fails to run."""
        worst = 0.0
        with torch.no_grad():
            for inputs, truth in zip(self.inputs, self.outputs, strict=True):
                try:
                    worst = max(worst, relative_error(candidate(*copied(inputs)), truth))
                except (RuntimeError, TypeError, ValueError, IndexError, AttributeError):
                    return float("inf")
        return worst

    def error_in_dtype(self, candidate: nn.Module) -> float | None:
        """Relative error of ``candidate`` as it is, None where its dtype does not run here."""
        worst = 0.0
        with torch.no_grad():
            for inputs, truth in zip(self.given, self.outputs, strict=True):
                try:
                    worst = max(worst, relative_error(candidate(*copied(inputs)), truth))
                except (RuntimeError, TypeError, ValueError, IndexError, AttributeError):
                    return None
        return worst

    def holds(self, candidate: nn.Module) -> bool:
        """Whether ``candidate`` runs as it is and is correct to the precision of its dtype."""
        kinds = [x.dtype for x in candidate.parameters() if x.is_floating_point()]
        bound = max((TOLERANCE.get(kind, 1e-4) for kind in kinds), default=self.tolerance)
        error = self.error_in_dtype(candidate)
        return error is not None and error <= max(bound, 20 * self.native)


def _outputs(model: nn.Module, examples: tuple[Inputs, ...]) -> list[Any] | None:
    """What a model gives on each example, or None where its dtype does not run here."""
    try:
        return [model(*copied(inputs)) for inputs in examples]
    except (RuntimeError, TypeError, ValueError, IndexError, AttributeError):
        return None


def first_line(reason: BaseException) -> str:
    """The message of an exception, without what follows its first line."""
    return next(iter(str(reason).strip().splitlines()), type(reason).__name__)


def copied(inputs: Inputs) -> Inputs:
    """Clones: a network may overwrite its input."""
    return tuple(x.clone() for x in inputs)
