"""Deriving networks: the spaces' rules, also where a supernet holds only some of the choices."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from nascence.gradient.derivation import check_derivable, derive, entropy, skips
from nascence.spaces import NB201, Darts, Mobile, SmallSpace
from nascence.spaces.darts import INCOMING
from nascence.supernets import SuperNet, split

DARTS = SuperNet(Darts(width=4, cells=3))
CELLS = SuperNet(NB201(width=4, cells=1))
PART = split(CELLS, {"edge_0_2": [(1, 3), (0, 2, 4)]})[0]


def weights_of(supernet: SuperNet, seed: int) -> list[torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    return [torch.rand(len(held), generator=generator) for held in supernet.choices]


def test_of_a_whole_cell_the_strongest_of_each_edge() -> None:
    weights = weights_of(CELLS, 0)
    assert derive(CELLS, weights) == tuple(int(vector.argmax()) for vector in weights)


@given(st.integers(0, 10_000))
@settings(max_examples=20, deadline=None)
def test_of_a_part_the_strongest_of_what_is_held(seed: int) -> None:
    weights = weights_of(PART, seed)
    expected = [held[int(v.argmax())] for held, v in zip(PART.choices, weights, strict=True)]
    assert list(derive(PART, weights)) == expected


@given(st.integers(0, 10_000))
@settings(max_examples=20, deadline=None)
def test_darts_keeps_the_two_strongest_edges(seed: int) -> None:
    weights = weights_of(DARTS, seed)
    derived = derive(DARTS, weights)
    assert derived == DARTS.space.derive(weights)  # type: ignore[attr-defined]
    for _, node, start in INCOMING:
        strengths = sorted((float(weights[start + k][1:].max()) for k in range(node)), reverse=True)
        kept = [place for place in range(start, start + node) if derived[place]]
        assert [float(weights[place][1:].max()) >= strengths[1] for place in kept] == [True] * 2


def test_a_part_where_an_edge_is_fixed_keeps_it_and_one_of_none_leaves_it_out() -> None:
    place = [name for name, _ in DARTS.space.decisions].index("normal_3_5")
    for part in split(DARTS, {"normal_3_5": [(0,), tuple(range(1, 8))]}):
        for seed in range(10):
            derived = derive(part, weights_of(part, seed))
            assert derived[place] in part.choices[place]
            assert DARTS.space.canonical(derived)


@pytest.mark.parametrize("names", [["normal_0_2"], ["reduce_0_4", "reduce_1_4", "reduce_2_4"]])
def test_a_split_of_what_the_genotype_needs_whole(names: list[str]) -> None:
    """Both edges into the first node; or all of the second, where a part keeps three."""
    only = (0,) if len(names) == 1 else tuple(range(1, 8))
    part = DARTS.restrict(
        [only if name in names else tuple(range(8)) for name, _ in DARTS.space.decisions]
    )
    with pytest.raises(ValueError, match=rf"at '{names[0][:7]}.*needs that decision whole"):
        check_derivable(part)


def test_a_space_without_a_rule() -> None:
    class Bare(SuperNet):
        pass

    supernet = Bare(SmallSpace(width=4))
    supernet.space = object()  # type: ignore[assignment]
    with pytest.raises(ValueError, match="no method derive"):
        derive(supernet, [])


def test_any_space_of_independent_decisions() -> None:
    supernet = SuperNet(Mobile(width=0.1, classes=10, last=16))
    weights = weights_of(supernet, 0)
    assert derive(supernet, weights) == tuple(int(vector.argmax()) for vector in weights)


def test_entropy() -> None:
    even, sure, alone = torch.full((5,), 0.2), torch.tensor([0.0, 1.0]), torch.ones(1)
    assert entropy([even]) == pytest.approx(1)
    assert entropy([even, sure, alone]) == pytest.approx(0.5)
    assert entropy([alone]) == 0


def test_identities_are_counted_in_the_normal_cell() -> None:
    assert skips(CELLS, (1, 1, 0, 3, 1, 2)) == 3
    index = DARTS.space.decisions[0].choices.index("skip_connect")
    assert skips(DARTS, (index,) * 28) == 14
