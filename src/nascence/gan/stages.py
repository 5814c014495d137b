"""The stages with which a growing supernet of generators begins."""

import copy
from typing import Any

from nascence.spaces import Growing
from nascence.spaces.gan_cell import Stages
from nascence.supernets import SuperNet


def first_stages(supernet: SuperNet, stages: int) -> SuperNet:
    """Return the supernet of the first ``stages`` cells, which shares its storage with this one.

    Training it trains these cells, and the layers before and after all cells, of the whole.

    Raises:
        ValueError: a supernet of another space, or more stages than it has.
    """
    space = supernet.space
    if not isinstance(space, Growing):
        raise ValueError(f"{type(space).__name__} has no stages; give supernets of GeneratorSpace")
    memo: dict[int, Any] = {id(each): each for each in supernet.parameters()}
    memo |= {id(each): each for each in supernet.buffers()}
    part = copy.deepcopy(supernet, memo | {id(space): space.grown(stages)})
    cells = part.network.get_submodule("cells")
    assert isinstance(cells, Stages)
    del cells[stages:]
    part.choices = supernet.choices[: len(part.space.decisions)]
    return part
