"""Structural re-parameterisation: blocks with many branches, and folding of any model."""

from nascence.reparam.accounting import (
    Cost,
    FoldReport,
    Refusal,
    Rewrite,
    count_kernels,
    count_norms,
)
from nascence.reparam.blocks import (
    AsymmetricBlock,
    BranchedConvolution,
    DiverseBranchBlock,
    LargeKernelBlock,
    MobileOneBlock,
    QARepVGGBlock,
    RepVGGBlock,
)
from nascence.reparam.expand import expand
from nascence.reparam.fold import fold, fold_with_report
from nascence.reparam.networks import MobileOne, RepVGG

__all__ = [
    "AsymmetricBlock",
    "BranchedConvolution",
    "Cost",
    "DiverseBranchBlock",
    "FoldReport",
    "LargeKernelBlock",
    "MobileOne",
    "MobileOneBlock",
    "QARepVGGBlock",
    "Refusal",
    "RepVGG",
    "RepVGGBlock",
    "Rewrite",
    "count_kernels",
    "count_norms",
    "expand",
    "fold",
    "fold_with_report",
]
