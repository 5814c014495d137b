"""What is left of a space is a space: compared with the whole, filtered."""

import pytest
import torch

from nascence.spaces import NB201, Darts, Mobile, SearchSpace
from nascence.supernets import SuperNet
from nascence.supernets import restricted_paths as paths

CHOICES = ((0, 3), (1, 2, 3), (0, 4), (1,), (2, 3), (0, 1, 2, 3, 4))


def darts():
    space = Darts(width=4, cells=3)
    left = [(0, 1 + place % 7, 1 + (place + 3) % 7) for place in range(len(space.decisions))]
    return space.restricted(left)


def mobile():
    space = Mobile(classes=5, width=0.1, depths=(2, 1, 1, 1, 1, 1), last=16)
    return space.restricted([(0, 5), (2, 6), *[(1, 3)] * 5])


def nb201():
    return NB201(width=4, cells=1).restricted(CHOICES)


@pytest.mark.parametrize("make", [darts, mobile, nb201])
def test_everything_stays_within_what_is_left(make):
    left = make()
    assert isinstance(left, SearchSpace)
    generator = torch.Generator().manual_seed(0)
    known = [left.sample(generator=generator) for _ in range(10)]
    for architecture in known:
        other = left.mutate(architecture, generator=generator)
        assert other != architecture
        assert left.check(other) == other
        mixed = left.crossover(architecture, other, generator=generator)
        assert all(index in (a, b) for index, a, b in zip(mixed, architecture, other, strict=True))
        assert left.narrow(left.widen(architecture)) == architecture
        assert left.parse(left.format(architecture)) == architecture
        assert left.from_json(left.to_json(architecture)) == architecture
        whole = left.widen(architecture)
        assert left.macs(architecture) == left.space.macs(whole)
        assert left.parameters(architecture) == left.space.parameters(whole)
        assert other in left.neighbours(architecture)
        (path,) = paths(left.space, left.choices, generator=generator)
        assert left.widen(left.narrow(path)) == path
    assert len(set(known)) > 5


def test_is_the_whole_space_filtered():
    left = nb201()
    within = {
        each for each in left.space if all(i in k for i, k in zip(each, CHOICES, strict=True))
    }
    assert {left.widen(each) for each in left} == within
    assert left.size == len(within) == 120
    classes = {left.space.canonical(each) for each in within}
    own = {left.canonical(each) for each in left}
    assert len(own) == len(classes)
    assert all(left.canonical(each) == each for each in own)


def test_counts_what_is_left_of_darts():
    space = Darts(width=4, cells=3)
    whole = space.restricted([tuple(range(8))] * 28)
    assert whole.size == space.size
    assert darts().size == (1 * 3 * 6 * 10 * 2**8) ** 2


def test_a_supernet_of_what_is_left_holds_nothing_else():
    left = nb201()
    torch.manual_seed(0)
    supernet = SuperNet(left)
    assert [len(held) for held in supernet.choices] == [len(kept) for kept in CHOICES]
    architecture = left.sample(generator=torch.Generator().manual_seed(1))
    images = torch.randn(2, 3, 8, 8)
    names = {name for name, _ in left.build(architecture).named_modules()}
    assert names == {name for name, _ in supernet.extract(architecture).named_modules()}
    assert supernet(images, architecture).shape == (2, 10)


def test_derives_among_what_is_left_and_asks_the_whole_spaces_evaluator():
    left = nb201()
    weights = [torch.arange(float(len(kept))) for kept in CHOICES]
    assert left.widen(left.derive(weights)) == tuple(kept[-1] for kept in CHOICES)
    assert left.scored(lambda whole: whole[0])((1, 0, 0, 0, 0, 0)) == 3


def test_bad_choices():
    space = NB201()
    with pytest.raises(ValueError, match="5 lists of choices for 6"):
        space.restricted([(0,)] * 5)
    with pytest.raises(ValueError, match="one or more of \\(0, 1, 2, 3, 4\\)"):
        space.restricted([(), *[(0,)] * 5])
    with pytest.raises(ValueError, match="one or more of \\(0, 1, 2, 3, 4\\)"):
        space.restricted([(5,), *[(0,)] * 5])
    with pytest.raises(ValueError, match="leave none"):
        Darts().restricted([(1, 2)] * 28)
    with pytest.raises(ValueError, match="what is left is"):
        nb201().narrow((1,) * 6)
