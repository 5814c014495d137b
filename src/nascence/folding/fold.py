"""``nascence.fold``: a module or an ONNX file with fewer operators that computes the same."""

from pathlib import Path
from typing import Any

import numpy as np
from torch import Tensor, nn

from nascence import reparam
from nascence.folding.model import fold_onnx
from nascence.onnx_files import read_onnx
from nascence.onnx_files.running import free_inputs
from nascence.reparam import FoldReport


def fold(model: Any, *inputs: Tensor, verify: bool = True) -> Any:
    """A new network that computes what ``model`` computes when it is used, with fewer operators.

    BatchNorms, parallel linear branches, sequences of linear operators, scales, paddings and
    poolings become single convolutions or linear layers wherever that is exact.

    Args:
        model: A module in evaluation mode, as for :func:`nascence.reparam.fold`, which says more;
            or the path of an ONNX file, or an ``onnx.ModelProto``. It is not changed.
        inputs: Example tensors, one for each argument, of the shapes that the network takes. A
            module needs them to be checked; for ONNX, random ones of several sizes are drawn if
            none are given.
        verify: Whether to compare the two, and to undo what fails.

    Returns:
        A module for a module, an ``onnx.ModelProto`` for ONNX.

    Raises:
        ValueError: If the model is in train mode, does not run on the inputs, or if a file cannot
            be understood.
        OSError: If a file cannot be read.
    """
    if isinstance(model, nn.Module):
        return reparam.fold(model, *inputs, verify=verify)
    return fold_with_report(model, *inputs, verify=verify, repeats=0)[0]


def fold_with_report(
    model: Any, *inputs: Tensor, verify: bool = True, repeats: int = 10
) -> tuple[Any, FoldReport]:
    """``fold``, and what was folded, what was left and why, and the cost before and after.

    The inputs are of the shapes that the network takes; latency is the median of ``repeats`` runs,
    0 leaves it out.
    """
    if not isinstance(model, str | Path) and type(model).__name__ != "ModelProto":
        return reparam.fold_with_report(model, *inputs, verify=verify, repeats=repeats)
    source = read_onnx(Path(model)) if isinstance(model, str | Path) else model
    examples = [named(source, inputs)] if inputs else []
    found = fold_onnx(source, inputs=examples, verify=verify, repeats=repeats)
    return found.model, found.report


def named(model: Any, inputs: tuple[Tensor, ...]) -> dict[str, np.ndarray[Any, Any]]:
    """Example inputs, of the shapes that an ONNX model takes, by its names for them.

    Raises:
        ValueError: There are more or fewer of them.
    """
    names = [value.name for value in free_inputs(model)]
    if len(names) != len(inputs):
        raise ValueError(f"the network takes {', '.join(names)}; got {len(inputs)} inputs")
    return {name: np.asarray(x) for name, x in zip(names, inputs, strict=True)}
