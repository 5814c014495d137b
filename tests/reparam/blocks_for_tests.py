"""The blocks with branches that fold to one convolution."""

from nascence.reparam import (
    AsymmetricBlock,
    DiverseBranchBlock,
    LargeKernelBlock,
    MobileOneBlock,
    QARepVGGBlock,
    RepVGGBlock,
)

BLOCKS = [
    AsymmetricBlock,
    DiverseBranchBlock,
    LargeKernelBlock,
    MobileOneBlock,
    QARepVGGBlock,
    RepVGGBlock,
]
