"""Processes that train together: they agree, skip and resume together, and none waits for ever."""

import copy
import warnings
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from nascence.optim import Hierarchical, Learned, LearnedOptimizer, Small
from nascence.optim.processes import agree, as_scalar

distributed = torch.distributed
pytestmark = [
    pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning"),
    pytest.mark.filterwarnings("ignore:the optimizer uses the training loss"),
]
InTwo = Callable[..., list[Any]]
KINDS: dict[str, Callable[[], LearnedOptimizer]] = {"small": Small, "hierarchical": Hierarchical}


def network() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(6, 8), nn.Tanh(), nn.Linear(8, 1))


def backward(model: nn.Module, step: int) -> Tensor:
    inputs = torch.randn(16, 6, generator=torch.Generator().manual_seed(step))
    loss = (model(inputs) - inputs.sum(1, keepdim=True)).square().mean()
    loss.backward()
    return loss


def values(model: nn.Module) -> list[Tensor]:
    return [value.detach().clone() for value in model.parameters()]


def test_one_process_agrees_with_itself() -> None:
    device, loss = torch.device("cpu"), torch.tensor(3.0)
    told = agree(finite=True, refused=False, loss=loss, valid_loss=None, device=device)
    assert told == (True, False, loss, None)


@pytest.mark.parametrize("loss", [2, 2.0, torch.tensor([2.0]), torch.tensor(2.0).double()])
def test_a_loss_becomes_a_scalar(loss: Tensor | float) -> None:
    found = as_scalar(loss)
    assert found is not None
    assert (found.shape, found.dtype, found.item()) == ((), torch.float32, 2.0)


def test_several_losses_are_refused() -> None:
    with pytest.raises(ValueError, match=r"shape \(2,\); it must be one number"):
        as_scalar(torch.ones(2))
    assert as_scalar(None) is None


def _agreed(rank: int) -> Any:
    loss = torch.tensor(4.0) if rank else None
    device = torch.device("cpu")
    first = agree(finite=True, refused=False, loss=loss, valid_loss=None, device=device)
    second = agree(finite=rank == 0, refused=rank == 1, loss=loss, valid_loss=loss, device=device)
    alone = agree(
        finite=rank == 0, refused=False, loss=None, valid_loss=None, device=device, together=False
    )
    return [tuple(each) for each in (first, second, alone)]


def test_what_is_agreed_on_is_the_same_everywhere(in_two: InTwo) -> None:
    for rank, (first, second, alone) in enumerate(in_two(_agreed)):
        assert first == (True, False, torch.tensor(4.0), None)
        assert second == (False, True, torch.tensor(4.0), torch.tensor(4.0))
        assert alone[0] is (rank == 0)


def _parallel(rank: int) -> Any:
    model = DistributedDataParallel(network())
    optimizer = Learned(model.parameters(), weights=Hierarchical())
    for step in range(3):
        optimizer.zero_grad()
        loss = backward(model, 10 * step + rank)  # another batch, so another loss
        optimizer.step(loss=loss)
    return values(model)


def test_processes_that_train_together_stay_together(in_two: InTwo) -> None:
    first, second = in_two(_parallel)
    torch.testing.assert_close(first, second, rtol=0, atol=0)


def _zero(model: nn.Module, weights: LearnedOptimizer) -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of what torch imports with it
        from torch.distributed.optim import ZeroRedundancyOptimizer

    return ZeroRedundancyOptimizer(
        model.parameters(), optimizer_class=Learned, weights=weights, num_steps=12
    )


def _with_a_bad_step(rank: int, kind: str) -> Any:
    model = DistributedDataParallel(network())
    optimizer = _zero(model, KINDS[kind]())
    for step in range(3):
        optimizer.zero_grad()
        loss = backward(model, step)
        if step == 1:
            next(model.parameters()).grad[0, 0] = torch.nan  # type: ignore[index]
            held = values(model)
            with pytest.warns(RuntimeWarning, match="not finite"):
                optimizer.step(loss=loss)
            torch.testing.assert_close(values(model), held, rtol=0, atol=0)
        else:
            optimizer.step(loss=loss)
    return optimizer.optim.skipped_steps, values(model)


@pytest.mark.parametrize("kind", KINDS)
def test_all_skip_a_bad_step_together_though_one_holds_it(kind: str, in_two: InTwo) -> None:
    (skipped, first), (also, second) = in_two(_with_a_bad_step, kind)
    assert skipped == also == 1
    torch.testing.assert_close(first, second, rtol=0, atol=0)


def _resumed(rank: int, kind: str) -> Any:
    def train(model: nn.Module, optimizer: Any, steps: range) -> None:
        for step in steps:
            optimizer.zero_grad()
            optimizer.step(loss=backward(model, step))

    model = DistributedDataParallel(network())
    optimizer = _zero(model, KINDS[kind]())
    train(model, optimizer, range(3))
    optimizer.consolidate_state_dict(to=0)
    box = [optimizer.state_dict() if rank == 0 else None]
    distributed.broadcast_object_list(box, 0)
    other = DistributedDataParallel(network())
    other.load_state_dict(model.state_dict())
    again = _zero(other, KINDS[kind]())
    again.load_state_dict(copy.deepcopy(box[0]))
    train(model, optimizer, range(3, 6))
    train(other, again, range(3, 6))
    stranger = _zero(other, Small(hidden=3))
    stranger.load_state_dict(copy.deepcopy(box[0]))
    backward(other, 7)
    with pytest.raises(ValueError, match="construct the optimizer with the weights"):
        stranger.step()
    return values(model), values(other)


@pytest.mark.parametrize("kind", KINDS)
def test_a_sharded_state_goes_on_exactly_and_names_its_weights(kind: str, in_two: InTwo) -> None:
    for whole, resumed in in_two(_resumed, kind):
        torch.testing.assert_close(resumed, whole, rtol=0, atol=0)


def _one_has_nothing_to_do(rank: int) -> Any:
    value = nn.Parameter(torch.ones(3))
    optimizer = Learned([value], weights=Hierarchical())
    if rank:
        value.grad = torch.ones(3)
    optimizer.step(loss=1.0 if rank else None)
    said = []
    for bad in (torch.sparse_coo_tensor([[0]], [1.0], (3,), check_invariants=True), None):
        value.grad = bad if rank else torch.ones(3)
        if rank and bad is None:
            optimizer.param_groups[0]["lr"] = torch.nan
        try:
            optimizer.step(loss=1.0)
        except (ValueError, RuntimeError) as error:
            said.append(str(error))
    return said


def test_none_waits_for_one_without_gradients_or_with_an_error(in_two: InTwo) -> None:
    first, second = in_two(_one_has_nothing_to_do)
    assert first == ["another process refuses the step; it says why"] * 2
    assert "sparse" in second[0]
    assert "finite" in second[1]


def _alone(rank: int) -> Any:
    value = nn.Parameter(torch.ones(3))
    if rank:
        value.grad = torch.ones(3)
        Learned([value], weights=Hierarchical(), together=False).step(loss=1.0)
    return value.detach()


def test_a_process_may_train_alone(in_two: InTwo) -> None:
    idle, moved = in_two(_alone)
    assert torch.equal(idle, torch.ones(3))
    assert (moved < 1).all()
