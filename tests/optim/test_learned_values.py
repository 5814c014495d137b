"""Values, types and settings at the edge of what `Learned` takes."""

import math
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from nascence.optim import FeedForward, Hierarchical, Learned, LearnedOptimizer, Small
from nascence.optim.native import compiled

KINDS = {
    "small": Small,
    "hierarchical": Hierarchical,
    "feed-forward": FeedForward,
    "small, compiled": lambda: compiled(Small()),
    "hierarchical, compiled": lambda: compiled(Hierarchical()),
}


@pytest.fixture(params=KINDS)
def learned(request: pytest.FixtureRequest) -> LearnedOptimizer:
    made: LearnedOptimizer = KINDS[request.param]()
    return made


def parameter(value: float = 1.0, shape: tuple[int, ...] = (4, 5), **kind: Any) -> nn.Parameter:
    return nn.Parameter(torch.full(shape, value, **kind))


def step(optimizer: Learned, times: int = 1, *, grad: float = 1.0) -> None:
    for count in range(times):
        for group in optimizer.param_groups:
            for value in group["params"]:
                if value.requires_grad:
                    value.grad = torch.full_like(value, grad)
        optimizer.step(loss=1.0 / (1 + count))


def test_a_frozen_group_beside_weight_decay_stays(learned: LearnedOptimizer) -> None:
    moving, frozen, empty = parameter(), parameter().requires_grad_(False), parameter(shape=(0, 3))
    groups = [{"params": [moving]}, {"params": [frozen]}, {"params": [empty]}]
    step(Learned(groups, weights=learned, weight_decay=0.1), 3)
    assert (frozen == 1).all()
    assert (moving < 1).all()


def test_decay_takes_no_more_than_all() -> None:
    value = parameter()
    step(Learned([value], weights=Small(), weight_decay=1e9), 3)
    assert value.abs().max() < 0.1


def test_float64_goes_as_float32_and_keeps_what_float32_cannot(learned: LearnedOptimizer) -> None:
    single, double = parameter(), parameter(dtype=torch.float64)
    for value in (single, double):
        step(Learned([value], weights=learned), 5)
    torch.testing.assert_close(double.detach().float(), single.detach())
    tiny = nn.Parameter(torch.full((4, 5), 1 + 1e-12, dtype=torch.float64))
    optimizer = Learned([tiny], weights=learned, lr=0.0)
    step(optimizer)
    assert (tiny == 1 + 1e-12).all()
    huge = parameter(1e300, dtype=torch.float64)
    step(Learned([huge], weights=learned), 3, grad=1e300)
    assert huge.isfinite().all()


@pytest.mark.parametrize("setting", ["lr", "weight_decay"])
@pytest.mark.parametrize("bad", [math.inf, math.nan])
def test_rates_that_are_not_finite_are_refused_wherever_they_come_in(
    setting: str, bad: float
) -> None:
    value = parameter()
    with pytest.raises(ValueError, match=f"{setting}={bad}.*finite"):
        Learned([value], weights=Small(), **{setting: bad})
    optimizer = Learned([value], weights=Small())
    with pytest.raises(ValueError, match="finite"):
        optimizer.add_param_group({"params": [parameter()], setting: bad})
    assert len(optimizer.param_groups) == 1
    state = optimizer.state_dict()
    state["param_groups"][0][setting] = bad
    with pytest.raises(ValueError, match="finite"):
        optimizer.load_state_dict(state)
    step(optimizer)
    held = value.detach().clone()
    optimizer.param_groups[0][setting] = bad  # as a scheduler would
    with pytest.raises(ValueError, match="finite"):
        step(optimizer)
    assert torch.equal(value, held)


@pytest.mark.parametrize("size", [1e15, 1e20, 1e30, 1e38])
def test_huge_weights_stay_finite(learned: LearnedOptimizer, size: float) -> None:
    values = [parameter(size), parameter(-size, (7,)), parameter(size, ())]
    step(Learned(values, weights=learned), 30)
    assert all(value.isfinite().all() for value in values)


def test_the_first_step_without_a_loss_warns_once() -> None:
    value = parameter()
    optimizer = Learned([value], weights=Hierarchical())
    value.grad = torch.ones_like(value)
    with pytest.warns(RuntimeWarning, match="did not get one"):
        optimizer.step()
    optimizer.step()
    frozen = Learned([value], weights=Hierarchical(), lr=0.0)
    frozen.step()
    other = Learned([value], weights=Small())
    other.step()


def test_a_wrapper_that_keeps_the_loss_to_itself_is_told_of() -> None:
    class Wrapper(torch.optim.Optimizer):
        """As those of Accelerate, Fabric and Lightning: attributes stay on it."""

        def __init__(self, optimizer: Learned) -> None:
            self.optimizer = optimizer
            self.param_groups = optimizer.param_groups

        def step(self, closure: Any = None) -> Any:
            return self.optimizer.step(closure)

    def told(wrapper: Wrapper) -> Tensor:
        return wrapper.optimizer.shared["train_weight"]

    value = parameter()
    value.grad = torch.ones_like(value)
    wrapper: Any = Wrapper(Learned([value], weights=Hierarchical()))
    wrapper.loss = torch.tensor(2.0)
    with pytest.warns(RuntimeWarning, match=r"optimizer\.optimizer\.loss = loss"):
        wrapper.step()
    assert told(wrapper) == 0
    wrapper.optimizer.loss = torch.tensor(2.0)
    wrapper.step()
    assert told(wrapper) > 0
