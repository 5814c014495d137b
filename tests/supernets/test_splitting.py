"""Parts of a split supernet against the supernet."""

from itertools import product

import pytest
import torch

from nascence.spaces import NB201, SmallSpace
from nascence.supernets import SuperNet, split

SPACE = NB201(width=4, cells=1)
IMAGES = torch.randn(4, 3, 8, 8, generator=torch.Generator().manual_seed(1))


@pytest.fixture
def supernet() -> SuperNet:
    torch.manual_seed(0)
    supernet = SuperNet(SPACE)
    with torch.no_grad():
        for parameter in supernet.parameters():
            parameter.add_(0.1 * torch.randn(parameter.shape))
    return supernet


@pytest.mark.parametrize("decision", range(6))
def test_every_fresh_part_computes_what_the_supernet_computes(
    supernet: SuperNet, decision: int, generator: torch.Generator
) -> None:
    """Also for the last choices, whose index among what is left differs from their index."""
    name = SPACE.decisions[decision].name
    parts = split(supernet, [name])
    assert [part.choices[decision] for part in parts] == [(index,) for index in range(5)]
    for index, part in enumerate(parts):
        for _ in range(3):
            path = list(SPACE.sample(generator=generator))
            path[decision] = index
            assert torch.equal(part(IMAGES, tuple(path)), supernet(IMAGES, tuple(path)))
            extracted = part.extract(tuple(path))(IMAGES)
            torch.testing.assert_close(extracted, supernet(IMAGES, tuple(path)))


def test_parts_hold_the_weights_of_their_choices_by_name(supernet: SuperNet) -> None:
    own = supernet.state_dict()
    for part, key in zip(split(supernet, ["edge_0_3"]), "01234", strict=True):
        state = part.state_dict()
        assert all(torch.equal(value, own[name]) for name, value in state.items())
        gone = {name for name in own if name not in state}
        assert all(".edges.0_3.candidates." in name for name in gone)
        assert not any(f".0_3.candidates.{key}." in name for name in gone)


def test_nested_and_joint_splits_are_the_same(supernet: SuperNet) -> None:
    singles, groups = [(index,) for index in range(5)], [(0, 3), (1, 2, 4)]
    joint = split(supernet, {"edge_0_1": singles, "edge_2_3": groups})
    nested = [
        sub_supernet
        for part in split(supernet, ["edge_0_1"])
        for sub_supernet in split(part, {"edge_2_3": groups})
    ]
    assert len(joint) == 10
    assert [part.choices for part in joint] == [part.choices for part in nested]
    assert [(p.choices[0], p.choices[5]) for p in joint] == [
        ((a,), b) for a, b in product(range(5), groups)
    ]
    for one, other in zip(joint, nested, strict=True):
        states = one.state_dict(), other.state_dict()
        assert states[0].keys() == states[1].keys()
        assert all(torch.equal(states[0][key], states[1][key]) for key in states[0])


def test_parts_are_independent_copies(supernet: SuperNet) -> None:
    first, second = split(supernet, {"edge_0_1": [(0, 4), (1, 2, 3)]})
    assert first.choices[0] == (0, 4)
    assert second.choices[0] == (1, 2, 3)
    assert first.space is supernet.space
    before = {name: value.clone() for name, value in supernet.state_dict().items()}
    with torch.no_grad():
        for parameter in first.parameters():
            parameter.zero_()
    assert all(torch.equal(value, before[name]) for name, value in supernet.state_dict().items())
    assert all(torch.equal(value, before[name]) for name, value in second.state_dict().items())


def test_mixture_of_a_part_takes_a_weight_for_each_choice_it_holds(supernet: SuperNet) -> None:
    part = split(supernet, {"edge_0_1": [(0, 1), (2, 3, 4)]})[1]
    weights = [torch.tensor([0.2, 0.5, 0.3]), *[torch.full((5,), 0.2)] * 5]
    whole = [torch.tensor([0.0, 0.0, 0.2, 0.5, 0.3]), *weights[1:]]
    torch.testing.assert_close(part(IMAGES, weights), supernet(IMAGES, whole))


def test_two_edges_of_six_operations_give_36_parts() -> None:
    supernet = SuperNet(SmallSpace(width=2))
    names = [decision.name for decision in supernet.space.decisions]
    assert len(split(supernet, names[:2])) == 36


@pytest.mark.parametrize(
    ("decisions", "message"),
    [
        (["edge_9_9"], "no decision 'edge_9_9' to split; use edge_0_1, "),
        (["edge_0_2"], "'edge_0_2' was already split: this supernet holds only 'nor_conv_1x1'"),
        (["edge_0_1", "edge_0_1"], "given twice"),
        ([], "no decision to split"),
        ("edge_0_1", "give a list of names"),
        ({"edge_0_1": [(0, 1), (1, 2, 3, 4)]}, "hold each of the choices"),
        ({"edge_0_1": [(0, 1), (2, 3)]}, "hold each of the choices"),
        ({"edge_0_1": [(0, 1, 2, 3, 4)]}, "two or more"),
        ({"edge_0_1": [(0, 1, 2, 3, 4), ()]}, "two or more"),
    ],
)
def test_impossible_splits_are_named(supernet: SuperNet, decisions: object, message: str) -> None:
    part = split(supernet, ["edge_0_2"])[2]
    with pytest.raises(ValueError, match=message) as caught:
        split(part, decisions)
    assert "\n" not in str(caught.value)
