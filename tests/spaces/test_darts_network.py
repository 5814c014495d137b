"""Cells, operations and heads of the DARTS network against what they are defined to compute."""

from collections.abc import Callable, Sequence

import pytest
import torch
from torch import nn

from nascence.graph import count_macs, count_parameters
from nascence.spaces import Darts, set_drop_path_
from nascence.spaces.darts_genotype import NODES, OPERATIONS
from nascence.spaces.darts_network import (
    AuxiliaryHead,
    DropPath,
    FactorizedReduce,
    StridedZero,
    operation,
    operation_cost,
    places,
)

SPACE = Darts(width=4, cells=5, classes=3)


@pytest.mark.parametrize("name", OPERATIONS)
@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("pool_norm", [True, False])
def test_every_operation_keeps_shapes_and_has_its_cost(
    name: str, stride: int, pool_norm: bool
) -> None:
    images = torch.randn(2, 6, 8, 8)
    made = operation(name, 6, stride, pool_norm=pool_norm).eval()
    out = 8 // stride
    assert made(images).shape == (2, 6, out, out)
    cost = operation_cost(name, 6, stride, out)
    assert cost == (count_parameters(made), count_macs(made, images[:1]))


def test_dilated_convolutions_see_twice_as_far() -> None:
    made = operation("dil_conv_5x5", 2, 1).eval()
    x = torch.ones(1, 2, 17, 17, requires_grad=True)
    made(x)[0, 0, 8, 8].backward()
    assert x.grad is not None
    touched = x.grad.abs().sum((0, 1)).nonzero()
    assert touched.min() == 4
    assert touched.max() == 12
    assert len(touched) == 25


def test_factorised_reduction_reads_both_diagonals(generator: torch.Generator) -> None:
    layer = FactorizedReduce(3, 4).eval()
    x = torch.randn(2, 3, 6, 6, generator=generator)
    positive = x.clamp(min=0)
    even = torch.einsum("oi,bihw->bohw", layer.even.weight[:, :, 0, 0], positive[..., ::2, ::2])
    odd = torch.einsum("oi,bihw->bohw", layer.odd.weight[:, :, 0, 0], positive[..., 1::2, 1::2])
    torch.testing.assert_close(layer(x), layer.norm(torch.cat((even, odd), 1)))


def test_cells_compute_their_genotype(generator: torch.Generator) -> None:
    architecture = SPACE.sample(generator=generator)
    genotype = SPACE.genotype(architecture)
    model = SPACE.build(architecture).eval()
    for kind, cell, side in (("normal", model.cells[0], 8), ("reduce", model.cells[1], 8)):
        first = torch.randn(2, 12, side, side, generator=generator)
        second = torch.randn(2, 12 if kind == "normal" else 16, side, side, generator=generator)
        states = [cell.first(first), cell.second(second)]
        for place, node in enumerate(NODES):
            pairs = getattr(genotype, kind)[2 * place : 2 * place + 2]
            left, right = (cell.edges[f"{source}_{node}"](states[source]) for _, source in pairs)
            states.append(left + right)
        torch.testing.assert_close(cell(first, second), torch.cat(states[2:], 1))
        assert len(cell.edges) == 8


def test_reductions_stand_at_one_and_two_thirds() -> None:
    kinds = [place.kind for place in places(width=36, cells=20, stem="cifar")]
    assert [number for number, kind in enumerate(kinds) if kind == "reduce"] == [6, 13]
    assert [place.channels for place in places(width=4, cells=3, stem="cifar")] == [4, 8, 16]


class Sum(nn.Module):
    """All candidates of an edge at once."""

    def __init__(self, candidates: Sequence[nn.Module]) -> None:
        super().__init__()
        self.candidates = nn.ModuleList(candidates)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.stack([candidate(x) for candidate in self.candidates]).sum(0)


def test_every_place_of_a_decision_is_asked_for() -> None:
    asked: list[str] = []

    def choose(name: str, builders: Sequence[Callable[[], nn.Module]]) -> nn.Module:
        asked.append(name)
        return Sum([builder() for builder in builders])

    model = SPACE.network(choose)
    assert model(torch.randn(2, 3, 16, 16)).shape == (2, 3)
    normal, reduction = SPACE.decisions[:14], SPACE.decisions[14:]
    kinds = (normal, reduction, normal, reduction, normal)
    assert asked == [decision.name for kind in kinds for decision in kind]


def test_none_is_left_out_and_is_zero() -> None:
    assert torch.equal(StridedZero(2)(torch.full((1, 2, 5, 5), torch.nan)), torch.zeros(1, 2, 3, 3))


@pytest.mark.parametrize(("stem", "side"), [("cifar", 32), ("imagenet", 224)])
def test_auxiliary_head_is_the_published_one(stem: str, side: int) -> None:
    space = Darts(width=2, cells=3, stem=stem, auxiliary=True, classes=5)
    model = space.build(space.sample(generator=torch.Generator().manual_seed(0)))
    images = torch.randn(2, 3, side, side)
    logits, auxiliary = model(images)
    assert logits.shape == auxiliary.shape == (2, 5)
    assert model.eval()(images).shape == (2, 5)
    least = {"cifar": 8, "imagenet": 14}[stem]
    features = model.auxiliary.features(torch.randn(2, 32, least, least))
    # at the published size the average is over what the published head flattens, or nothing
    assert features.shape[:2] == (2, 768)
    assert features.shape[2] == {"cifar": 1, "imagenet": 4}[stem]


def test_auxiliary_head_of_small_images_says_so() -> None:
    head = AuxiliaryHead(4, 2, stem="cifar")
    with pytest.raises(ValueError, match="needs 8 a side, images of 32; build the space with"):
        head(torch.zeros(1, 4, 4, 4))


def test_drop_path_drops_images_and_keeps_the_mean() -> None:
    torch.manual_seed(0)
    layer, x = DropPath(0.25), torch.ones(4000, 2, 1, 1)
    y = layer(x)
    assert torch.equal(y[:, 0], y[:, 1])
    assert set(y.unique().tolist()) == {0.0, torch.tensor(1 / 0.75).item()}
    assert float(y.mean()) == pytest.approx(1, abs=5 * (1 / 3 / 4000) ** 0.5)
    assert layer.eval()(x) is x


def test_drop_path_spares_identities_and_is_set_as_a_whole() -> None:
    space = Darts(width=4, cells=3, drop_path=0.5)
    identity = space.parse(
        "Genotype(normal=[('skip_connect', 0), ('skip_connect', 1), ('skip_connect', 0), "
        "('skip_connect', 1), ('skip_connect', 0), ('skip_connect', 1), ('skip_connect', 0), "
        "('skip_connect', 1)], normal_concat=[2, 3, 4, 5], reduce=[('max_pool_3x3', 0), "
        "('max_pool_3x3', 1), ('max_pool_3x3', 0), ('max_pool_3x3', 1), ('max_pool_3x3', 0), "
        "('max_pool_3x3', 1), ('max_pool_3x3', 0), ('max_pool_3x3', 1)], "
        "reduce_concat=[2, 3, 4, 5])"
    )
    torch.manual_seed(0)
    model = space.build(identity)
    normal, reduction = model.cells[0], model.cells[1]
    x = torch.randn(8, 12, 4, 4)
    assert torch.equal(normal(x, x), normal(x, x))
    second = torch.randn(8, 16, 4, 4)
    assert not torch.equal(reduction(x, second), reduction(x, second))
    set_drop_path_(model, 0.0)
    assert torch.equal(reduction(x, second), reduction(x, second))
