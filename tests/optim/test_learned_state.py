"""What is saved of a `Learned`, through everything that saves optimizers, and what is refused."""

import copy
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.distributed.checkpoint.state_dict import (
    StateDictOptions,
    get_optimizer_state_dict,
    set_optimizer_state_dict,
)

from nascence.optim import FeedForward, Hierarchical, Learned, Small
from nascence.optim.theta import digest

KINDS: dict[str, Callable[[], Any]] = {
    "small": Small,
    "hierarchical": Hierarchical,
    "feed-forward": FeedForward,
}


def network(seed: int = 0, width: int = 8) -> nn.Module:
    torch.manual_seed(seed)
    return nn.Sequential(nn.Linear(6, width), nn.Tanh(), nn.Linear(width, 1))


def train(model: nn.Module, optimizer: torch.optim.Optimizer, steps: range) -> list[Tensor]:
    for step in steps:
        inputs = torch.randn(16, 6, generator=torch.Generator().manual_seed(step))
        optimizer.zero_grad()
        loss = (model(inputs) - inputs.sum(1, keepdim=True)).square().mean()
        loss.backward()
        optimizer.step(lambda loss=loss: loss)
    return [value.detach().clone() for value in model.parameters()]


@pytest.fixture(params=KINDS)
def make(request: pytest.FixtureRequest) -> Callable[[nn.Module], Learned]:
    return lambda model: Learned(model.parameters(), weights=KINDS[request.param](), num_steps=12)


@pytest.mark.parametrize("flat", [False, True])
def test_a_distributed_checkpoint_goes_on_exactly(
    make: Callable[[nn.Module], Learned], flat: bool
) -> None:
    options = StateDictOptions(flatten_optimizer_state_dict=flat)
    whole, first, second = network(), network(), network(1)
    expected = train(whole, make(whole), range(6))
    optimizer = make(first)
    train(first, optimizer, range(3))
    kept = copy.deepcopy(get_optimizer_state_dict(first, optimizer, options=options))
    second.load_state_dict(first.state_dict())
    other = make(second)
    set_optimizer_state_dict(second, other, kept, options=options)
    torch.testing.assert_close(train(second, other, range(3, 6)), expected, rtol=0, atol=0)
    stranger = Learned(second.parameters(), weights=Small(hidden=3))
    with pytest.raises(ValueError, match=r"other weights|load it into"):
        set_optimizer_state_dict(second, stranger, kept, options=options)


def test_only_state_and_groups_are_needed(make: Callable[[nn.Module], Learned]) -> None:
    model = network()
    optimizer = make(model)
    train(model, optimizer, range(3))
    saved = optimizer.state_dict()
    assert saved.keys() == {"state", "param_groups"}
    again = network()
    again.load_state_dict(model.state_dict())
    other = make(again)
    other.load_state_dict(saved)
    expected = train(model, optimizer, range(3, 6))
    torch.testing.assert_close(train(again, other, range(3, 6)), expected, rtol=0, atol=0)


def test_a_state_of_an_earlier_version_goes_on_exactly(
    make: Callable[[nn.Module], Learned],
) -> None:
    """Version 0.1.0 kept the weights' digest and the shared state beside state and groups."""
    model = network()
    optimizer = make(model)
    train(model, optimizer, range(3))
    saved = copy.deepcopy(optimizer.state_dict())
    shared = dict(optimizer.shared)
    old = {
        "state": {
            index: {key: slot for key, slot in slots.items() if not key.startswith("shared.")}
            for index, slots in saved["state"].items()
        },
        "param_groups": [
            {key: value for key, value in group.items() if key != "learned"}
            for group in saved["param_groups"]
        ],
        "learned": {
            "architecture": type(optimizer.learned).__name__,
            "weights": digest(optimizer.learned),
        },
        "shared": {key: value.clone() for key, value in shared.items()},
    }
    again = network()
    again.load_state_dict(model.state_dict())
    other = make(again)
    other.load_state_dict(old)
    expected = train(model, optimizer, range(3, 6))
    torch.testing.assert_close(train(again, other, range(3, 6)), expected, rtol=0, atol=0)
    old["learned"]["weights"] = "0" * 16
    with pytest.raises(ValueError, match="other weights"):
        other.load_state_dict(old)


def without(state: dict[str, Any], key: str) -> dict[str, Any]:
    return {name: value for name, value in state.items() if name != key}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda state: {}, "of no optimizer"),
        (lambda state: without(state, "state"), "of no optimizer"),
        (lambda state: {**state, "state": {0: without(state["state"][0], "momenta")}}, "it needs"),
        (lambda state: {**state, "state": {0: {**state["state"][0], "x": 1}}}, "it needs"),
    ],
)
def test_a_state_that_lacks_something_is_refused(
    change: Callable[[dict[str, Any]], dict[str, Any]], message: str
) -> None:
    model = network()
    optimizer = Learned(model.parameters(), weights=Small())
    train(model, optimizer, range(2))
    before = copy.deepcopy(optimizer.state_dict())
    with pytest.raises(ValueError, match=message):
        optimizer.load_state_dict(change(copy.deepcopy(before)))
    after = optimizer.state_dict()
    torch.testing.assert_close(after["state"], before["state"], rtol=0, atol=0)
    assert after["param_groups"] == before["param_groups"]


def test_a_state_of_other_shapes_is_refused_and_nothing_changes(
    make: Callable[[nn.Module], Learned],
) -> None:
    model, wider = network(), network(width=9)
    optimizer, other = make(model), make(wider)
    train(model, optimizer, range(2))
    train(wider, other, range(2))
    before = copy.deepcopy(other.state_dict())
    with pytest.raises(ValueError, match="parameter 0 is of another shape: its momenta"):
        other.load_state_dict(optimizer.state_dict())
    torch.testing.assert_close(other.state_dict()["state"], before["state"], rtol=0, atol=0)
    fewer = Learned(list(model.parameters())[:2], weights=optimizer.learned)
    with pytest.raises(ValueError, match="of 4 parameters, and this optimizer has 2"):
        fewer.load_state_dict(optimizer.state_dict())


@pytest.mark.parametrize(
    ("value", "message"),
    [("words", "is no tensor but a str"), (torch.full((), torch.nan), "not a number")],
)
def test_a_damaged_state_is_refused(value: Any, message: str) -> None:
    first, second = network(), network()
    trained, new = Learned(first.parameters()), Learned(second.parameters())
    train(first, trained, range(2))
    found = copy.deepcopy(trained.state_dict())
    slots = found["state"][0]
    key = next(iter(slots))
    slots[key] = value.expand(slots[key].shape) if isinstance(value, Tensor) else value
    with pytest.raises(ValueError, match=message):
        new.load_state_dict(found)
    with pytest.raises(ValueError, match="the state is a list"):
        new.load_state_dict([found])  # type: ignore[arg-type]
    assert not new.state


@pytest.mark.parametrize("rate", [1e308, -1e39, 10**400, float("nan")])
def test_a_rate_beyond_float32_is_refused_where_it_comes_from(rate: float) -> None:
    model = network()
    for name in ("lr", "weight_decay"):
        with pytest.raises(ValueError, match="finite in float32"):
            Learned([{"params": [*model.parameters()], name: rate}])
        optimizer = Learned(model.parameters())
        optimizer.param_groups[0][name] = rate
        with pytest.raises(ValueError, match="finite in float32"):
            train(model, optimizer, range(1))
