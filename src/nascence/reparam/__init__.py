"""Structural re-parameterisation: blocks with many branches, and folding of any model."""

from nascence.reparam.accounting import Cost, FoldReport, Refusal, Rewrite, count_kernels
from nascence.reparam.blocks import (
    AsymmetricBlock,
    BranchedConvolution,
    DiverseBranchBlock,
    LargeKernelBlock,
    MobileOneBlock,
    QARepVGGBlock,
    RepVGGBlock,
)
from nascence.reparam.fold import fold, fold_with_report

__all__ = [
    "AsymmetricBlock",
    "BranchedConvolution",
    "Cost",
    "DiverseBranchBlock",
    "FoldReport",
    "LargeKernelBlock",
    "MobileOneBlock",
    "QARepVGGBlock",
    "Refusal",
    "RepVGGBlock",
    "Rewrite",
    "count_kernels",
    "fold",
    "fold_with_report",
]
