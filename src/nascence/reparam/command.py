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


class FoldJob(NamedTuple):
    """Outcome of ``fold_network``: the folded model, its report, its files and other forms."""

    model: nn.Module
    report: FoldReport
    files: tuple[Path, ...]
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

    The example input of ``shape`` is drawn from ``generator``. ``onnx`` and ``weights``
    (``.safetensors``) are files to write; ``try_deployment`` also tries the forms of ``try_forms``
    and one layer at a time in int8; ``repeats`` passes are timed, none with 0.
    """
    x = torch.randn(shape, generator=generator)
    folded, report = fold_with_report(
        copy.deepcopy(model).eval(), x, verify=verify, repeats=repeats
    )
    files = []
    if weights is not None:
        write_weights(weights, folded.state_dict(), metadata={}, parents=False)
        files.append(weights)
    if onnx is not None:
        export_onnx(folded, (x,), onnx)
        files.append(onnx)
    forms = tuple(try_forms(folded, x, repeats=repeats)) if try_deployment else ()
    int8 = tuple(diagnose_int8(folded, x)) if try_deployment else ()
    return FoldJob(folded, report, tuple(files), forms, int8)
