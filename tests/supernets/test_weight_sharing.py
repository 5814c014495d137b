"""What both kinds of supernets have in common."""

import pytest
import torch

from nascence.spaces import ElasticMobile, SmallSpace, Stage
from nascence.supernets import ElasticSuperNet, SuperNet, WeightSharing, split

ELASTIC = ElasticMobile(
    classes=3,
    stages=(Stage(8, 2),),
    depths=(1, 2),
    kernels=(3, 5),
    expansions=(2, 3),
    resolutions=(6, 8),
    final=8,
    last=8,
)


@pytest.fixture(params=["candidates", "slices"])
def supernet(request: pytest.FixtureRequest) -> WeightSharing:
    torch.manual_seed(0)
    return (
        SuperNet(SmallSpace(width=4)) if request.param == "candidates" else ElasticSuperNet(ELASTIC)
    )


def test_a_part_refuses_what_it_does_not_hold(supernet: WeightSharing) -> None:
    first = supernet.space.decisions[0]
    parts = split(supernet, [first.name])
    assert len(parts) == len(first.choices)
    for index, part in enumerate(parts):
        held = (index, *(0 for _ in supernet.space.decisions[1:]))
        assert part.check(held) == held
        assert type(part) is type(supernet)
        with pytest.raises(ValueError, match=f"holds only {first.choices[index]}; ask"):
            part.check((1 - min(index, 1), *held[1:]))


def test_parts_compute_what_the_whole_does(supernet: WeightSharing) -> None:
    images = torch.randn(4, 3, 8, 8)
    supernet.eval()
    for index, part in enumerate(split(supernet, [supernet.space.decisions[0].name])):
        architecture = (index, *(1 for _ in supernet.space.decisions[1:]))
        assert torch.equal(part(images, architecture), supernet(images, architecture))


def test_restricting_names_what_is_wrong(supernet: WeightSharing) -> None:
    with pytest.raises(ValueError, match="1 lists of choices for"):
        supernet.restrict([(0,)])
    with pytest.raises(ValueError, match="give one or more of"):
        supernet.restrict([(99,), *supernet.choices[1:]])
    with pytest.raises(ValueError, match="give one or more of"):
        supernet.restrict([(), *supernet.choices[1:]])


def test_wrong_architectures_are_refused(supernet: WeightSharing) -> None:
    with pytest.raises(ValueError, match="this space has"):
        supernet(torch.zeros(2, 3, 8, 8), (0,))


def test_parameters_of_a_single_choice_are_not_shared(supernet: WeightSharing) -> None:
    """Those without a gradient on a path that takes another choice, and no others."""
    shared = supernet.shared_parameters(supernet.space.decisions[0].name)
    assert {id(each) for each in shared} <= {id(each) for each in supernet.parameters()}
    own = [each for each in supernet.parameters() if all(each is not other for other in shared)]
    assert bool(own) == isinstance(supernet, SuperNet)
