"""Fold any model: every linear operator that its neighbours can absorb, exactly."""

import copy
from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode
from torch.utils._pytree import tree_leaves

from nascence.graph.trace import not_eager
from nascence.reparam.accounting import (
    FoldReport,
    cost_of,
    is_quantised,
    norms_left,
)
from nascence.reparam.attributes import uncompiled
from nascence.reparam.folding import Outcome, fold_module
from nascence.reparam.verification import TOLERANCE, Truth, copied, first_line


def fold(model: nn.Module, *inputs: Tensor, verify: bool = True) -> nn.Module:
    """A new module that computes what ``model`` computes in evaluation mode, with fewer kernels.

    BatchNorms, parallel linear branches, sequences of linear operators, scales, paddings and
    poolings become single convolutions or linear layers wherever that is exact, at the border
    too, and takes no more multiply-adds (Ding et al., CVPR 2021, transforms I to VI, in general
    geometry). The algebra is done in float64; ``model`` is not changed, and the result keeps its
    dtype and device.

    ``inputs`` are example tensors for the forward of ``model``. With ``verify`` the result is
    compared with ``model`` on them, in float64 where it runs, by relative error; a rewrite that
    fails is undone. Without inputs less can be folded, for shapes are then unknown.

    Raises ValueError for a model in train mode, for ``verify`` without inputs, and where the
    model does not run on them.
    """
    return _fold(model, inputs, verify)[0]


def fold_with_report(
    model: nn.Module, *inputs: Tensor, verify: bool = True, repeats: int = 10
) -> tuple[nn.Module, FoldReport]:
    """``fold``, and what was folded, what was left and why, and the cost before and after.

    Latency is the median of ``repeats`` forward passes on ``inputs``, of the shapes that the model
    takes; 0 leaves it out.
    """
    folded, outcome = _fold(model, inputs, verify)
    model = copy.deepcopy(uncompiled(model))  # which may count its calls
    notes = list(outcome.notes)
    try:
        before, after = cost_of(model, inputs, repeats), cost_of(folded, inputs, repeats)
    except Exception as reason:  # whatever the model raises
        notes.append(f"cost not measured: {first_line(reason)}")
        before, after = cost_of(model, (), 0), cost_of(folded, (), 0)
    report = FoldReport(
        tuple(outcome.rewrites),
        (*outcome.refusals, *norms_left(model)),
        tuple(notes),
        before,
        after,
        outcome.error,
        outcome.error_in_dtype,
        outcome.original_in_dtype,
    )
    return folded, report


def _fold(model: nn.Module, inputs: tuple[Tensor, ...], verify: bool) -> tuple[nn.Module, Outcome]:
    check(model, inputs, verify)
    outcome = Outcome()
    try:
        work = copy.deepcopy(plain := uncompiled(model))
    except (RuntimeError, TypeError) as reason:  # RecursionError is a RuntimeError
        raise ValueError(f"the model cannot be copied: {first_line(reason)}") from reason
    if plain is not model:
        outcome.notes.append("torch.compile is taken off; compile the folded model")
    model = plain
    if is_quantised(model):
        outcome.notes.append("the model is quantised already; it is returned as it was")
        return work, outcome
    try:
        strangers = inputs and borrows(work, model, inputs)
        truth = Truth(work, inputs) if verify else None
    except (Exception, SystemExit) as reason:  # whatever the model raises
        raise ValueError(
            f"the model does not run on the example input of shape "
            f"{', '.join(str(tuple(x.shape)) for x in inputs)}: {first_line(reason)}"
        ) from reason
    if strangers:
        raise ValueError(
            "a copy of the model still runs layers of the model, which a closure or lambda among "
            "its attributes holds; let its forward reach them as attributes"
        )
    folded = fold_module(work, inputs or None, truth, outcome).eval()
    if truth is not None and not approved(folded, model, truth, outcome):
        outcome.rewrites.clear()
        outcome.notes.append("the folded model failed the check; the model is returned as it was")
        return copy.deepcopy(model), outcome
    if folded is work:
        outcome.notes.append("nothing to fold")
    return folded, outcome


def approved(folded: nn.Module, model: nn.Module, truth: Truth, outcome: Outcome) -> bool:
    """The last check, on the weights as they are returned: rounded to the model's dtype."""
    kinds = [x.dtype for x in model.parameters() if x.is_floating_point()]
    bound = max((TOLERANCE.get(kind, 1e-4) for kind in kinds), default=truth.tolerance)
    # on a copy: a model may count its calls
    theirs = truth.error_in_dtype(copy.deepcopy(model))
    native = truth.error_in_dtype(folded)
    if native is None or theirs is None:
        outcome.notes.append(f"{kinds[0]} does not run on this device; checked in float64 only")
        return outcome.error is None or outcome.error <= bound
    outcome.error_in_dtype, outcome.original_in_dtype = native, theirs
    return native <= max(bound, 20 * theirs)


def borrows(work: nn.Module, model: nn.Module, inputs: tuple[Tensor, ...]) -> bool:
    """Whether ``work``, a copy of ``model``, computes with values of ``model`` itself.

    It is run on ``inputs``, of the shapes that it takes.
    """
    own = {id(value) for value in (*work.parameters(), *work.buffers())}
    theirs = {id(value) for value in (*model.parameters(), *model.buffers())} - own
    runner, example = copy.deepcopy(work), copied(inputs)
    with torch.no_grad(), Watch(theirs) as watch:
        runner(*example)
    return watch.found


class Watch(TorchFunctionMode):
    """Notes whether a function of torch is given one of the tensors with these ids."""

    def __init__(self, ids: set[int]) -> None:
        super().__init__()
        self.ids = ids
        self.found = False

    def __torch_function__(
        self, func: Any, types: Any, args: Any = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        """Run ``func``, its arguments looked at."""
        kwargs = kwargs or {}
        self.found |= any(id(value) in self.ids for value in tree_leaves((args, kwargs)))
        return func(*args, **kwargs)


def check(model: nn.Module, inputs: tuple[Tensor, ...], verify: bool) -> None:
    """Check that folding would mean what the caller expects.

    The inputs are of the shapes that the model takes.

    Raises:
        ValueError: It is no eager module in evaluation mode, an input is no tensor, or there is
            none to verify with.
    """
    if not isinstance(model, nn.Module):
        raise ValueError(f"got {type(model).__name__}; give a torch.nn.Module")
    if why := not_eager(model):
        raise ValueError(why)
    if any(not isinstance(x, Tensor) for x in inputs):
        raise ValueError("example inputs must be tensors, one per argument of the forward")
    if verify and not inputs:
        raise ValueError(
            "folding checks itself on an example input; give one, or verify=False to go without"
        )
    acts = (nn.modules.batchnorm._NormBase, nn.modules.dropout._DropoutNd)
    for name, layer in model.named_modules():
        if layer.training and (not name or isinstance(layer, acts)):
            where = f"its layer {name}" if name else "the model"
            raise ValueError(f"{where} is in train mode; call model.eval() before folding")
