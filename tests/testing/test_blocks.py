"""Every block of the package passes the contract, and what breaks it is found."""

import pytest
from torch import Tensor, nn

from nascence import reparam
from nascence.reparam.blocks import BranchedConvolution
from nascence.testing.blocks import CHECKS, check_every_branch_trains, check_shape

BLOCKS = [
    kind
    for name in reparam.__all__
    if isinstance(kind := getattr(reparam, name), type) and issubclass(kind, BranchedConvolution)
    and kind is not BranchedConvolution
]  # fmt: skip


def test_all_blocks_are_found() -> None:
    assert len(BLOCKS) == 6


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
@pytest.mark.parametrize("block", BLOCKS, ids=lambda block: block.__name__)
def test_contract(block, check) -> None:
    check(block)


class Wrong(reparam.RepVGGBlock):
    """Pads one more than it says, and has a branch without effect."""

    def add_branches(self) -> None:
        super().add_branches()
        self.idle = nn.Conv2d(1, 1, 1)

    def forward(self, x: Tensor) -> Tensor:
        return nn.functional.pad(super().forward(x), (1, 1))


@pytest.mark.parametrize("check", [check_shape, check_every_branch_trains])
def test_a_wrong_block_is_found(check) -> None:
    with pytest.raises(AssertionError):
        check(Wrong)
