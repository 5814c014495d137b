"""Pairs of convolution and BatchNorm in source code."""

import torch
from torch import Tensor, nn

from nascence.reparam.patterns import normalised_pairs


class Pairs(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        for name in ("a", "b", "c", "d", "e", "f", "g", "h"):
            setattr(self, name, nn.Identity())

    def forward(self, x: Tensor) -> Tensor:
        x = self.b(self.a(x))
        y = self.c(x)
        y = self.d(y)
        if y.sum() > 0:
            y = self.f(self.e(y))
        z = self.g(y)
        return self.h(z) + self.other(x) + z

    def other(self, x: Tensor) -> Tensor:
        return self.e(x)


def test_pairs_that_hold_on_every_path() -> None:
    assert normalised_pairs(Pairs()) == [("a", "b"), ("c", "d")]


def test_a_module_without_source_has_no_pairs() -> None:
    made = type("Made", (nn.Module,), {"forward": lambda self, x: x})
    assert normalised_pairs(made()) == []
    assert normalised_pairs(torch.nn.ReLU()) == []
