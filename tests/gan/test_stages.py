"""The first stages of a supernet of generators are views of the whole."""

import pytest
import torch
from torch import Tensor

from nascence.gan.stages import first_stages
from nascence.spaces import GeneratorSpace, SmallSpace
from nascence.supernets import SuperNet, split

SPACE = GeneratorSpace(stages=3, width=4, latent=8)


def supernet_of() -> SuperNet:
    torch.manual_seed(0)
    return SuperNet(SPACE)


def vectors() -> Tensor:
    return torch.randn(4, SPACE.latent, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize("stages", [1, 2, 3])
def test_first_stages_share_their_storage_with_the_whole(
    stages: int, generator: torch.Generator
) -> None:
    whole = split(supernet_of(), ["stage_1_order"])[1]
    before = whole.choices
    part = first_stages(whole, stages)
    space = SPACE.grown(stages)
    assert part.choices == whole.choices[: len(space.decisions)]
    assert part.space.description == space.description
    own = {id(parameter) for parameter in whole.parameters()}
    assert {id(parameter) for parameter in part.parameters()} <= own
    assert (len(list(part.parameters())) == len(own)) == (stages == 3)
    path = (1, *space.sample(generator=generator)[1:])
    images = part(vectors(), path)
    assert images.shape == (4, 3, 4 * 2**stages, 4 * 2**stages)
    with torch.no_grad():
        whole.get_parameter("network.image.bias").add_(1)
    assert not torch.equal(part(vectors(), path), images)
    assert whole.choices == before
    assert len(list(whole.network.get_submodule("cells").children())) == 3


def test_first_stages_of_something_else() -> None:
    with pytest.raises(ValueError, match="SmallSpace has no stages"):
        first_stages(SuperNet(SmallSpace(width=4)), 1)
    with pytest.raises(ValueError, match="stages is 4; give 1 to 3"):
        first_stages(supernet_of(), 4)
