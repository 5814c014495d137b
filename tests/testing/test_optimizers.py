"""Every optimizer of the package passes the contract, and what breaks it is found."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from nascence import registry
from nascence.optim import SGD, Adam8p, Hierarchical, LearnedOptimizer, NAdamWCosine, create
from nascence.optim.contract import State
from nascence.optim.native import compiled
from nascence.params import Params
from nascence.testing.optimizers import CHECKS, Make, check_extreme_values, check_kernel

MAKERS: dict[str, Make] = {
    **{name: lambda name=name: create(name) for name in registry.names("optimizer")},  # type: ignore[misc]
    "adam8p": lambda: Adam8p(l1=1e-3, l2=1e-3, linear=1e-5, exponential=1e-5),
    "nadamw-cosine": lambda: NAdamWCosine(warmup=0.1, floor=0.1, constant=0.5, weight_decay=0.01),
    "hierarchical without a nominal step": lambda: Hierarchical(nominal=None),
    "small, compiled": lambda: compiled(create("small")),
    "hierarchical, compiled": lambda: compiled(create("hierarchical")),
}


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
@pytest.mark.parametrize("name", MAKERS)
def test_contract(name: str, check: Callable[[Make], None]) -> None:
    check(MAKERS[name])


class Impure(SGD):
    def update(
        self,
        grads: Params,
        state: State,
        params: Params,
        *,
        loss: Tensor | None = None,
        valid_loss: Tensor | None = None,
    ) -> tuple[Params, State]:
        state["tensors"]["matrix"]["momentum"].add_(grads["matrix"])
        return super().update(grads, state, params)


def test_an_update_that_writes_into_its_arguments_is_found() -> None:
    with pytest.raises(AssertionError):
        CHECKS[0](Impure)


class Doubled(SGD):
    def _kernel(self) -> object:  # type: ignore[override]
        kernel = super()._kernel()
        kernel.optimizer = SGD(0.2)
        return kernel


def test_a_kernel_that_is_not_the_plain_form_is_found() -> None:
    with pytest.raises(AssertionError):
        check_kernel(Doubled)


class Overflowing(SGD):
    def rule(self, grad: Tensor, slots: Params, value: Tensor, num_steps: Tensor) -> object:  # type: ignore[override]
        return -grad * grad.square().mean(), slots


def test_an_overflow_is_found() -> None:
    def make() -> LearnedOptimizer:
        return Overflowing()

    with pytest.raises(AssertionError, match="gradients of 1e"):
        check_extreme_values(make)
    assert torch.get_default_dtype() == torch.float32
