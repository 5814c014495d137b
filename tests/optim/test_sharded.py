"""Parameters of FSDP2: the step of the model that is not sharded, also where a shard is empty."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.distributed.checkpoint.state_dict import (
    get_optimizer_state_dict,
    set_optimizer_state_dict,
)
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import fully_shard

from nascence.optim import FeedForward, Hierarchical, Learned, LearnedOptimizer, Small
from nascence.optim.sharded import is_sharded, local, whole, write_

pytestmark = [
    pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::FutureWarning"),
]
InTwo = Callable[..., list[Any]]
KINDS: dict[str, Callable[[], LearnedOptimizer]] = {
    "small": Small,
    "hierarchical": Hierarchical,
    "feed-forward": FeedForward,
}


def network() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(8, 16), nn.ReLU(), nn.Linear(16, 1))


def train(model: nn.Module, optimizer: Learned, steps: range, *, bad: bool = False) -> None:
    for step in steps:
        inputs = torch.randn(32, 8, generator=torch.Generator().manual_seed(step))
        optimizer.zero_grad()
        loss = (model(inputs) - inputs.sum(1, keepdim=True)).square().mean()
        loss.backward()
        if bad:
            held = local(next(model.parameters()).grad)
            if torch.distributed.get_rank() == 0:
                held.fill_(torch.nan)
        optimizer.step(loss=loss)


def full(model: nn.Module) -> list[Tensor]:
    return [whole(value.detach()).clone() for value in model.parameters()]


def _sharded(rank: int, kind: str) -> Any:
    def make() -> tuple[nn.Module, Learned]:
        model = network()
        fully_shard(model, mesh=init_device_mesh("cpu", (2,)))
        return model, Learned(model.parameters(), weights=KINDS[kind](), num_steps=8)

    model, optimizer = make()
    sizes = [local(value).numel() for value in model.parameters()]
    train(model, optimizer, range(3))
    kept = get_optimizer_state_dict(model, optimizer)
    other, again = make()
    other.load_state_dict(model.state_dict())
    set_optimizer_state_dict(other, again, kept)
    train(model, optimizer, range(3, 5))
    train(other, again, range(3, 5))
    ends = full(model), full(other)
    with pytest.warns(RuntimeWarning, match="not finite"):
        train(model, optimizer, range(1), bad=True)
    return sizes, *ends, full(model), optimizer.skipped_steps


@pytest.mark.parametrize("kind", KINDS)
def test_the_step_is_that_of_the_whole_model_and_resumes(kind: str, in_two: InTwo) -> None:
    model = network()
    train(model, Learned(model.parameters(), weights=KINDS[kind](), num_steps=8), range(5))
    found = in_two(_sharded, kind)
    assert 0 in found[1][0]  # the second process holds nothing of the last bias
    for _, ends, resumed, after, skipped in found:
        torch.testing.assert_close(ends, full(model), rtol=1e-5, atol=1e-6)
        torch.testing.assert_close(resumed, ends, rtol=0, atol=0)
        torch.testing.assert_close(after, ends, rtol=0, atol=0)
        assert skipped == 1


def _written(rank: int) -> Any:
    from torch.distributed.tensor import Shard, distribute_tensor

    mesh = init_device_mesh("cpu", (2,))
    value = distribute_tensor(torch.zeros(3, 2), mesh, [Shard(0)])
    content = torch.arange(6.0).view(3, 2)
    write_(value, content.double())
    return is_sharded(value), local(value).clone(), whole(value).clone()


def test_each_process_keeps_its_own_part(in_two: InTwo) -> None:
    content = torch.arange(6.0).view(3, 2)
    for rank, (sharded, mine, everything) in enumerate(in_two(_written)):
        assert sharded
        assert torch.equal(mine, content[:2] if rank == 0 else content[2:])
        assert torch.equal(everything, content)


def test_a_plain_tensor_is_its_own_whole() -> None:
    value = torch.zeros(3)
    assert not is_sharded(value)
    assert local(value) is value
    assert whole(value) is value
    write_(value, torch.ones(3))
    assert (value == 1).all()
