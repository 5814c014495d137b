"""One kernel with a gradient mask against branches with constant scales, step by step."""

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from nascence.reparam import BranchScales, RepAdamW, RepSGD, merged_weight
from nascence.reparam.rep_optimizer import branch_mask


def setting() -> tuple[BranchScales, Tensor, Tensor, list[Tensor]]:
    generator = torch.Generator().manual_seed(0)

    def draw(*shape: int) -> Tensor:
        return torch.randn(shape, generator=generator, dtype=torch.float64)

    scales = BranchScales(0.5 + draw(4).abs(), 0.5 + draw(4).abs(), 0.5 + draw(4).abs())
    return scales, draw(4, 4, 3, 3), draw(4, 4, 1, 1), [draw(2, 4, 6, 6) for _ in range(50)]


def train_branches(make, scales: BranchScales, dense: Tensor, pointwise: Tensor, batches) -> Tensor:
    dense, pointwise = dense.clone().requires_grad_(), pointwise.clone().requires_grad_()
    diagonal = torch.ones(4, dtype=torch.float64, requires_grad=True)
    optimizer = make([dense, pointwise, diagonal])

    def weight() -> Tensor:
        total = dense * scales.dense[:, None, None, None]
        point = pointwise * scales.pointwise[:, None, None, None]
        identity = torch.diag(diagonal * scales.identity)[:, :, None, None]
        return total + F.pad(point + identity, (1, 1, 1, 1))

    run(lambda: weight(), optimizer, batches)
    return weight().detach()


def train_single(make, weight: Tensor, batches) -> Tensor:
    weight = weight.clone().requires_grad_()
    optimizer = make(weight)
    run(lambda: weight, optimizer, batches)
    return weight.detach()


def run(weight, optimizer, batches) -> None:
    for x in batches:
        optimizer.zero_grad()
        F.conv2d(x, weight(), padding=1).tanh().sub(x).square().mean().backward()
        optimizer.step()


@pytest.mark.parametrize("kind", ["sgd", "adamw"])
def test_fifty_steps_equal_those_of_the_branches(kind: str, distance) -> None:
    scales, dense, pointwise, batches = setting()
    start = merged_weight(dense, scales, pointwise)
    mask = branch_mask(start, scales, power=2 if kind == "sgd" else 1)
    if kind == "sgd":
        common = {"lr": 0.05, "momentum": 0.9, "weight_decay": 1e-3, "nesterov": True}
        branches = train_branches(
            lambda p: torch.optim.SGD(p, **common), scales, dense, pointwise, batches
        )
        single = train_single(lambda w: RepSGD([w], {w: mask}, **common), start, batches)
    else:
        common = {"lr": 1e-3, "eps": 1e-16, "weight_decay": 1e-2}
        branches = train_branches(
            lambda p: torch.optim.AdamW(p, **common), scales, dense, pointwise, batches
        )
        single = train_single(lambda w: RepAdamW([w], {w: mask}, **common), start, batches)
    assert distance(start, branches) > 1e-2
    assert distance(single, branches) < 1e-9


def test_mask_of_a_hand_worked_block() -> None:
    ones = torch.ones(2)
    mask = branch_mask(torch.zeros(2, 2, 3, 3), BranchScales(2 * ones, 3 * ones, ones), power=2)
    assert mask[0, 1, 0, 0] == 4
    assert mask[0, 1, 1, 1] == 4 + 9
    assert mask[1, 1, 1, 1] == 4 + 9 + 1


def test_impossible_masks_are_named() -> None:
    with pytest.raises(ValueError, match="odd sizes"):
        branch_mask(torch.zeros(2, 2, 2, 2), BranchScales(torch.ones(2)), power=2)
    with pytest.raises(ValueError, match=r"need \(2,\)"):
        branch_mask(torch.zeros(2, 2, 3, 3), BranchScales(torch.ones(3)), power=2)
