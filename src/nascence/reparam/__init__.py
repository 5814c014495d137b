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
from nascence.reparam.command import FoldJob, fold_network
from nascence.reparam.deploy import Attempt, LayerError, diagnose_int8, try_forms
from nascence.reparam.expand import expand
from nascence.reparam.fold import fold, fold_with_report
from nascence.reparam.networks import MobileOne, RepVGG
from nascence.reparam.rep_optimizer import (
    BranchScales,
    RepAdamW,
    RepSGD,
    branch_masks,
    merged_weight,
)

__all__ = [
    "AsymmetricBlock",
    "Attempt",
    "BranchScales",
    "BranchedConvolution",
    "Cost",
    "DiverseBranchBlock",
    "FoldJob",
    "FoldReport",
    "LargeKernelBlock",
    "LayerError",
    "MobileOne",
    "MobileOneBlock",
    "QARepVGGBlock",
    "Refusal",
    "RepAdamW",
    "RepSGD",
    "RepVGG",
    "RepVGGBlock",
    "Rewrite",
    "branch_masks",
    "count_kernels",
    "count_norms",
    "diagnose_int8",
    "expand",
    "fold",
    "fold_network",
    "fold_with_report",
    "merged_weight",
    "try_forms",
]
