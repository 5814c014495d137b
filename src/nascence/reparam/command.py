"""The work of ``nascence fold``: a network folded, checked and written, and tried elsewhere."""

import copy
from pathlib import Path
from typing import NamedTuple

import torch
from torch import nn

from nascence.core.weights import write_weights
from nascence.reparam.accounting import FoldReport
from nascence.reparam.deploy import Attempt, LayerError, diagnose_int8, export_onnx, try_forms
from nascence.reparam.fold import fold_with_report
from nascence.reparam.verification import first_line


class FoldJob(NamedTuple):
    """Outcome of ``fold_network``.

    Attributes:
        model: The folded network.
        report: What was folded, what was left, and the cost.
        files: What was written.
        limits: What a written file is limited to, such as a batch size.
        forms: Other forms of the network that were tried.
        int8: Layers by how much they suffer in int8, the worst first.
    """

    model: nn.Module
    report: FoldReport
    files: tuple[Path, ...]
    limits: tuple[str, ...]
    forms: tuple[Attempt, ...]
    int8: tuple[LayerError, ...]


def fold_network(
    model: nn.Module,
    *,
    shape: tuple[int, ...] = (1, 3, 224, 224),
    verify: bool = True,
    onnx: Path | None = None,
    weights: Path | None = None,
    try_deployment: bool = False,
    repeats: int = 10,
    generator: torch.Generator | None = None,
) -> FoldJob:
    """Fold a copy of ``model`` in evaluation mode, and write what is asked for.

    Args:
        model: The network, in any mode; it is not changed.
        shape: Shape of the example input, the batch first.
        verify: Whether to compare with ``model``, and to undo what fails.
        onnx: ONNX file to write, for any batch size where the exporter can.
        weights: Safetensors file to write.
        try_deployment: Whether to try the forms of ``try_forms`` and one layer at a time in int8.
        repeats: Timed passes, none with 0.
        generator: Draws the example input.

    Raises:
        ValueError: If no input of ``shape`` can be made, or the network cannot be copied, folded
            or exported.
        WriteError: If a file cannot be written.
    """
    try:
        x = torch.randn(shape, generator=generator)
    except (RuntimeError, TypeError, OverflowError, MemoryError) as reason:
        sizes = ",".join(map(str, shape))
        raise ValueError(f"no input of shape {sizes} can be made: {first_line(reason)}") from reason
    try:
        own = copy.deepcopy(model).eval()
    except (RuntimeError, TypeError) as reason:  # RecursionError is a RuntimeError
        raise ValueError(f"the network cannot be copied: {first_line(reason)}") from reason
    folded, report = fold_with_report(own, x, verify=verify, repeats=repeats)
    files, limits = [], []
    if weights is not None:
        write_weights(weights, folded.state_dict(), metadata={})
        files.append(weights)
    if onnx is not None:
        limit = export_onnx(folded, (x,), onnx)
        limits += [] if limit is None else [f"{onnx}: {limit}"]
        files.append(onnx)
    forms = tuple(try_forms(folded, x, repeats=repeats)) if try_deployment else ()
    int8 = tuple(diagnose_int8(folded, x)) if try_deployment else ()
    return FoldJob(folded, report, tuple(files), tuple(limits), forms, int8)
