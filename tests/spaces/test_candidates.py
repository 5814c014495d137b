"""One definition of a network: built, restricted, and made for images."""

import pytest
import torch

from nascence.spaces import (
    NB201,
    CandidateSpace,
    Darts,
    GeneratorSpace,
    Mobile,
    ShuffleNetSpace,
    SmallSpace,
    Zero,
)
from nascence.supernets import SuperNet
from nascence.supernets.paths import uniform_paths


@pytest.mark.parametrize("kind", [NB201, SmallSpace, Darts])
def test_spaces_for_images(kind: type[CandidateSpace]) -> None:
    space = kind.for_images((1, 32, 32), classes=3, width=4)
    model = space.build(space.sample(generator=torch.Generator().manual_seed(0))).eval()
    assert model(torch.zeros(2, 1, 32, 32)).shape == (2, 3)
    with pytest.raises(TypeError, match="wings"):
        kind.for_images((1, 32, 32), classes=3, wings=2)


def test_generators_make_images_of_the_shape() -> None:
    space = GeneratorSpace.for_images((1, 16, 16), classes=3, width=4, latent=8)
    model = space.build(space.sample(generator=torch.Generator().manual_seed(0))).eval()
    assert model(torch.zeros(2, 8)).shape == (2, 1, 16, 16)
    for shape in ((3, 16, 32), (3, 24, 24), (3, 4, 4)):
        with pytest.raises(ValueError, match="give squares of 8, 16, 32"):
            GeneratorSpace.for_images(shape, classes=1)


def test_what_has_no_effect_is_not_built() -> None:
    space = SmallSpace(width=4)
    dead = (2, 3, 0, 3)  # the first branch ends in none
    choose = space.chooser(dead)
    assert isinstance(choose("edge_0_1", []), Zero)
    assert choose("edge_0_2", [None, None, None, lambda: torch.nn.Identity()]) is not None


def test_what_is_left_can_be_restricted_again() -> None:
    space = NB201(width=4, cells=1)
    left = space.restricted([(1, 2, 4)] * 6).restricted([(0, 2)] * 6)
    assert [choices for _, choices in left.decisions] == [("skip_connect", "avg_pool_3x3")] * 6
    wide = left.widen((0, 1, 0, 1, 0, 1))
    assert left.space.widen(wide) == (1, 4, 1, 4, 1, 4)
    darts = Darts(width=4, cells=3).restricted([(0, 1, 2, 3)] * 28).restricted([(0, 2, 3)] * 28)
    assert darts.size == (1 * 3 * 6 * 10 * 2**8) ** 2


@pytest.mark.parametrize(
    ("kind", "settings"),
    [
        (Darts, {"width": 4, "cells": 4}),
        (Mobile, {"width": 0.25, "depths": (1, 2, 1, 2, 1, 2), "last": 24}),
        (ShuffleNetSpace, {"width": 0.125, "depths": (1, 2, 2, 1), "last": 24}),
    ],
)
def test_a_supernet_computes_its_paths(
    kind: type[CandidateSpace], settings: dict, generator: torch.Generator
) -> None:
    space = kind.for_images((1, 16, 16), classes=7, **settings)
    torch.manual_seed(0)
    supernet = SuperNet(space).eval()
    images = torch.randn(2, 1, 16, 16, generator=generator)
    (path,) = uniform_paths(space, supernet.choices, generator=generator)
    outputs = supernet(images, path)
    assert outputs.shape == (2, 7)
    torch.testing.assert_close(supernet.extract(path)(images), outputs)
    built = space.build(path).state_dict().keys()
    assert supernet.extract(path).state_dict().keys() <= built
    one_hot = torch.from_numpy(space.codes([path])[0]).split(
        [len(d.choices) for d in space.decisions]
    )
    torch.testing.assert_close(supernet(images, one_hot), outputs)
