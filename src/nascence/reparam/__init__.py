"""Structural re-parameterisation: blocks with many branches, and folding of any model."""

from nascence.reparam.blocks import (
    AsymmetricBlock,
    BranchedConvolution,
    DiverseBranchBlock,
    LargeKernelBlock,
    MobileOneBlock,
    QARepVGGBlock,
    RepVGGBlock,
)
from nascence.reparam.fold import fold

__all__ = [
    "AsymmetricBlock",
    "BranchedConvolution",
    "DiverseBranchBlock",
    "LargeKernelBlock",
    "MobileOneBlock",
    "QARepVGGBlock",
    "RepVGGBlock",
    "fold",
]
