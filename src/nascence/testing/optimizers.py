"""What every `nascence.optim.LearnedOptimizer` must do, as checks of a factory.

In a test of your own::

    @pytest.mark.parametrize("check", CHECKS)
    def test_contract(check):
        check(MyOptimizer)
"""

import copy
import pickle
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.utils._pytree import tree_leaves, tree_map

from nascence.core.resumable import load_checkpoint, save_checkpoint
from nascence.optim.contract import LearnedOptimizer, init_stacked, kernel_of
from nascence.optim.learned import Learned
from nascence.params import Params

Make = Callable[[], LearnedOptimizer]
SHAPES = {"matrix": (6, 5), "kernel": (4, 2, 3, 3), "vector": (7,), "scalar": (), "empty": (0, 3)}


def _random(generator: torch.Generator, *leading: int) -> Params:
    return {
        name: torch.randn((*leading, *shape), generator=generator) for name, shape in SHAPES.items()
    }


def _generator() -> torch.Generator:
    return torch.Generator().manual_seed(0)


def check_update_is_pure(make: Make) -> None:
    """`update` changes no argument, and the same arguments give the same result."""
    optimizer, generator = make(), _generator()
    params, grads = _random(generator), _random(generator)
    state = optimizer.init(params)
    held = tree_map(torch.clone, (params, grads, state))
    first = optimizer.update(grads, state, params, loss=torch.tensor(1.0))
    second = optimizer.update(grads, state, params, loss=torch.tensor(1.0))
    torch.testing.assert_close(first, second, rtol=0, atol=0)
    torch.testing.assert_close((params, grads, state), held, rtol=0, atol=0)


def check_shapes(make: Make) -> None:
    """Updates have the shapes of their parameters, and the state keeps its own."""
    optimizer, generator = make(), _generator()
    params, grads = _random(generator), _random(generator)
    state = optimizer.init(params, num_steps=10)
    updates, following = optimizer.update(grads, state, params)
    assert {n: tuple(u.shape) for n, u in updates.items()} == SHAPES
    shapes = [tree_map(lambda leaf: (leaf.shape, leaf.dtype), held) for held in (state, following)]
    assert shapes[0] == shapes[1], "a step changes shapes, types or names in the state"


def check_missing_gradients(make: Make) -> None:
    """A parameter without a gradient gets no update, and its state stays; so if none has one."""
    optimizer, generator = make(), _generator()
    params, grads = _random(generator), _random(generator)
    state = optimizer.init(params)
    del grads["kernel"]
    updates, following = optimizer.update(grads, state, params)
    assert updates.keys() == grads.keys()
    torch.testing.assert_close(following["tensors"]["kernel"], state["tensors"]["kernel"])
    updates, following = optimizer.update({}, following, params)
    assert not updates
    assert all(leaf.isfinite().all() for leaf in tree_leaves(following["tensors"]))


@torch.no_grad()
def check_kernel(make: Make) -> None:
    """The step in place is `update`, over several steps and at another rate."""
    optimizer, generator = make(), _generator()
    kernel, params = kernel_of(optimizer), _random(generator)
    params = {name: value for name, value in params.items() if value.numel()}
    held = {name: value.clone() for name, value in params.items()}
    state = optimizer.init(params, num_steps=20)
    mine = tree_map(torch.clone, state)
    rates = dict.fromkeys(params, 0.5)
    for _ in range(5):
        grads = {n: torch.randn(v.shape, generator=generator) for n, v in params.items()}
        loss = torch.rand((), generator=generator)
        updates, state = optimizer.update(grads, state, held, loss=loss)
        held = {name: value + 0.5 * updates[name] for name, value in held.items()}
        kernel.step_(grads, mine, params, rates=rates, loss=loss)
    torch.testing.assert_close(params, held, rtol=1e-5, atol=1e-6)
    torch.testing.assert_close(mine, state, rtol=1e-4, atol=1e-5)


@torch.no_grad()
def check_stacked_kernel(make: Make) -> None:
    """N networks side by side, each with its own theta, take the steps of `update` one by one."""
    optimizer, generator, count = make(), _generator(), 3
    theta = {
        name: value + 0.03 * torch.randn(count, *value.shape, generator=generator)
        for name, value in optimizer.named_parameters()
    }
    params = {n: v for n, v in _random(generator, count).items() if v.numel()}
    steps = torch.tensor([10.0, torch.inf, 3.0])
    state = init_stacked(optimizer, params, num_steps=steps)

    def of(values: Params, k: int) -> Params:
        return {name: value[k].clone() for name, value in values.items()}

    single = [optimizer.init(of(params, k), num_steps=steps[k]) for k in range(count)]
    expected = [of(params, k) for k in range(count)]
    for _ in range(3):
        grads = {n: torch.randn(v.shape, generator=generator) for n, v in params.items()}
        loss = torch.rand(count, generator=generator)
        kernel_of(optimizer).step_stacked_(theta, grads, state, params, loss=loss)
        for k in range(count):
            arguments = (of(grads, k), single[k], expected[k], loss[k])
            updates, single[k] = torch.func.functional_call(optimizer, of(theta, k), arguments)
            expected[k] = {name: value + updates[name] for name, value in expected[k].items()}
            torch.testing.assert_close(of(params, k), expected[k], rtol=1e-4, atol=1e-6)


@torch.no_grad()
def check_extreme_values(make: Make) -> None:
    """Large or vanishing gradients, large values and any loss leave finite parameters."""
    shapes = {name: shape for name, shape in SHAPES.items() if 0 not in shape}
    for value, size in ((1.0, 1e-30), (1.0, 1e15), (1e20, 1.0), (0.0, 0.0)):
        for in_place in (False, True):
            optimizer, generator = make(), _generator()
            params = {name: torch.full(shape, value) for name, shape in shapes.items()}
            state = optimizer.init(params, num_steps=5)
            rates = dict.fromkeys(params, 1.0)
            for loss in map(torch.tensor, (1.0, torch.nan, torch.inf, 1e38, 0.0, 2.0)):
                noise = {n: torch.randn(v.shape, generator=generator) for n, v in params.items()}
                grads = {name: size * normal for name, normal in noise.items()}
                if in_place:
                    kernel_of(optimizer).step_(grads, state, params, rates=rates, loss=loss)
                else:
                    updates, state = optimizer.update(grads, state, params, loss=loss)
                    params = {name: value + updates[name] for name, value in params.items()}
            finite = all(end.isfinite().all() for end in params.values())
            assert finite, f"values of {value:g} with gradients of {size:g} end at {params}"


def check_settings(make: Make) -> None:
    """`settings` make another one of the same form, and pickling and copying keep everything."""
    optimizer = make()
    again = type(optimizer)(**optimizer.settings)
    assert {n: v.shape for n, v in again.named_parameters()} == {
        n: v.shape for n, v in optimizer.named_parameters()
    }
    for copied in (copy.deepcopy(optimizer), pickle.loads(pickle.dumps(optimizer))):
        torch.testing.assert_close(
            dict(copied.named_parameters()), dict(optimizer.named_parameters()), rtol=0, atol=0
        )


def check_resume(make: Make) -> None:
    """`nascence.optim.Learned` with it goes on bit for bit from its state, read without pickle."""

    def train(optimizer: Learned, values: Sequence[Tensor], steps: range) -> None:
        for step in steps:
            for index, value in enumerate(values):
                generator = torch.Generator().manual_seed(100 * step + index)
                value.grad = torch.randn(value.shape, generator=generator)
            optimizer.step(loss=1.0 / (1 + step))

    values = [nn.Parameter(torch.ones(shape)) for shape in SHAPES.values()]
    optimizer = Learned(values, weights=make(), num_steps=10)
    train(optimizer, values, range(3))
    with tempfile.TemporaryDirectory() as folder:
        save_checkpoint(Path(folder) / "state.pt", optimizer.state_dict())
        saved = load_checkpoint(Path(folder) / "state.pt")
    resumed = [nn.Parameter(value.detach().clone()) for value in values]
    train(optimizer, values, range(3, 6))
    other = Learned(resumed, weights=make(), num_steps=10)
    other.load_state_dict(saved)
    train(other, resumed, range(3, 6))
    torch.testing.assert_close(resumed, values, rtol=0, atol=0)


CHECKS = (
    check_update_is_pure,
    check_shapes,
    check_missing_gradients,
    check_kernel,
    check_stacked_kernel,
    check_extreme_values,
    check_settings,
    check_resume,
)


def check_optimizer(make: Make) -> None:
    """Run all `CHECKS` on what ``make()`` returns.

    Raises:
        AssertionError: It breaks what `nascence.optim.LearnedOptimizer` promises.
    """
    for check in CHECKS:
        check(make)
