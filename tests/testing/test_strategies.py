"""The checks pass random search, and catch what breaks a promise."""

import pytest
import torch

from nascence.search import RandomSearch
from nascence.spaces import NB201
from nascence.testing.strategies import check_strategy

SPACE = NB201(width=4, cells=1)


class Global(RandomSearch):
    def ask(self):
        return self.space.sample(generator=torch.default_generator)


class Repeating(RandomSearch):
    def ask(self):
        return (0, 1, 2, 3, 4, 0)


class Unseeded(RandomSearch):
    def __init__(self, space, **settings):
        super().__init__(space, **settings)
        self.description = "Unseeded()"


class Unlimited(RandomSearch):
    def __init__(self, space, *, generator, allowed=None):
        super().__init__(space, generator=generator)


class Forgetful(RandomSearch):
    def tell(self, architecture, score):
        pass


class Fragile(RandomSearch):
    def tell(self, architecture, score):
        super().tell(architecture, score)
        if score < -1e9:
            raise AssertionError("no such score")


class Unsendable(RandomSearch):
    def __getstate__(self):
        return {**self.__dict__, "_generator": torch.Generator().manual_seed(0)}


def test_random_search_passes() -> None:
    check_strategy(RandomSearch, SPACE)


@pytest.mark.parametrize(
    "broken", [Global, Repeating, Unseeded, Unlimited, Forgetful, Fragile, Unsendable]
)
def test_broken_promises_are_caught(broken: type[RandomSearch]) -> None:
    with pytest.raises(AssertionError):
        check_strategy(broken, SPACE)
