"""The checks pass a space that is written from the docs, and catch what breaks a promise."""

import pytest
import torch
from torch import nn

from nascence.spaces import CandidateSpace, Decision, SearchSpace, Zero
from nascence.testing.spaces import check_space


class TwoLayers(CandidateSpace):
    """Three things written, as docs/spaces.md has it; the rest follows."""

    description = "TwoLayers()"

    def __init__(self) -> None:
        super().__init__((Decision("first", (1, 3, 5)), Decision("second", ("none", 3))))

    def network(self, choose):
        def convolution(inputs, kernel):
            return lambda: nn.Conv2d(inputs, 4, kernel, padding=kernel // 2)

        return nn.Sequential(
            choose("first", [convolution(3, kernel) for kernel in (1, 3, 5)]),
            choose("second", [Zero, convolution(4, 3)]),
            nn.AdaptiveAvgPool2d(1),
            nn.Flatten(),
            nn.Linear(4, 2),
        )


class Bare:
    """Not a bit more than :class:`SearchSpace`."""

    description = "Bare()"

    def __init__(self) -> None:
        whole = TwoLayers()
        self.decisions, self.sample, self.mutate = whole.decisions, whole.sample, whole.mutate
        self.canonical, self.format, self.build = whole.canonical, whole.format, whole.build


def test_a_space_of_ones_own_passes() -> None:
    check_space(TwoLayers())
    assert isinstance(Bare(), SearchSpace)
    check_space(Bare())


class GlobalSamples(TwoLayers):
    def sample(self, *, generator):
        return (int(torch.randint(3, ())), 0)


class NoStep(TwoLayers):
    def mutate(self, architecture, *, generator):
        return architecture


class Restless(TwoLayers):
    def canonical(self, architecture):
        first, second = self.check(architecture)
        return ((first + 1) % 3, second)


class OneLine(TwoLayers):
    def format(self, architecture):
        self.check(architecture)
        return "a network"


class Careless(TwoLayers):
    def built(self, architecture):
        return (True, True)


class GlobalWeights(TwoLayers):
    def build(self, architecture):
        model = super().build(architecture)
        torch.manual_seed(id(model))
        nn.init.normal_(model[-1].weight)
        return model


class Unreadable(TwoLayers):
    def parse(self, text):
        return super().parse(text)[::-1]


class Miscounted(TwoLayers):
    def index(self, architecture):
        return 5 - super().index(architecture)


class OwnNeighbour(TwoLayers):
    def neighbours(self, architecture):
        return [architecture, *super().neighbours(architecture)]


class Wilful(TwoLayers):
    def derive(self, weights):
        return (0, 0)


class Blind(TwoLayers):
    def codes(self, architectures):
        return super().codes(architectures)[:, :3]


class Cheap(TwoLayers):
    def parameters(self, architecture):
        return super().parameters(architecture) - 1


class Fast(TwoLayers):
    def macs(self, architecture, *, side=None):
        return super().macs(architecture, side=side) - 1


class Fixed(TwoLayers):
    def network(self, choose):
        return super().network(lambda name, builders: builders[0]() if name == "second"
                               else choose(name, builders))  # fmt: skip


class Unsendable(TwoLayers):
    def __init__(self) -> None:
        super().__init__()
        self.secret = lambda: 0


@pytest.mark.parametrize(
    "broken",
    [GlobalSamples, NoStep, Restless, OneLine, Careless, GlobalWeights, Unreadable, Miscounted,
     OwnNeighbour, Wilful, Blind, Cheap, Fast, Fixed, Unsendable],
)  # fmt: skip
def test_broken_promises_are_caught(broken: type[TwoLayers]) -> None:
    with pytest.raises(AssertionError):
        check_space(broken())
