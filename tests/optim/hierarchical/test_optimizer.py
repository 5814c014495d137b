"""The hierarchical optimizer: published sizes, and what it sees."""

import torch

from nascence.optim import Hierarchical
from nascence.optim.hierarchical.inputs import INPUTS, OWN_INPUTS
from nascence.params import Params


def problem() -> tuple[Params, list[Params]]:
    generator = torch.Generator().manual_seed(0)
    params = {"a": torch.randn(5, 4, generator=generator), "b": torch.randn(3, generator=generator)}
    grads = [
        {name: torch.randn(value.shape, generator=generator) for name, value in params.items()}
        for _ in range(6)
    ]
    return params, grads


def run(optimizer: Hierarchical, *, reverse: bool = False, valid: float | None = None) -> Params:
    params, grads = problem()
    state = optimizer.init(params)
    with torch.no_grad():
        for step, grad in enumerate(grads):
            if reverse:
                grad = dict(reversed(grad.items()))
            updates, state = optimizer.update(
                grad,
                state,
                params,
                loss=torch.tensor(1 / (1 + step)),
                valid_loss=None if valid is None else torch.tensor(valid),
            )
            params = {name: value + updates[name] for name, value in params.items()}
    return params


def test_sizes_are_the_published_ones() -> None:
    optimizer = Hierarchical()
    assert (OWN_INPUTS, INPUTS) == (23, 54)
    assert optimizer.network["first"].shape == (54, 32)
    assert optimizer.network["last"].shape == (32, 18)
    assert optimizer.of_input.shape == (52, 4 * 64)


def test_the_order_of_tensors_does_not_matter() -> None:
    optimizer = Hierarchical(nominal=None)
    one, other = run(optimizer), run(optimizer, reverse=True)
    for name, value in one.items():
        torch.testing.assert_close(other[name], value, rtol=1e-5, atol=1e-7)


def test_the_validation_loss_is_seen() -> None:
    optimizer = Hierarchical(nominal=None)
    assert not torch.equal(run(optimizer, valid=0.1)["a"], run(optimizer, valid=5.0)["a"])


def test_what_other_tensors_do_is_seen() -> None:
    optimizer, (params, grads) = Hierarchical(nominal=None), problem()
    ends = []
    for factor in (1.0, 100.0):
        values, state = {"a": params["a"], "b": factor * params["b"]}, optimizer.init(params)
        with torch.no_grad():
            for grad in grads:
                updates, state = optimizer.update(grad, state, values)
                values = {name: value + updates[name] for name, value in values.items()}
        ends.append(values["a"])
    assert not torch.equal(*ends)


def test_an_outlier_is_clipped() -> None:
    optimizer = Hierarchical()
    params = {"a": torch.zeros(100)}
    state = optimizer.init(params)
    with torch.no_grad():
        for _ in range(3):
            _, state = optimizer.update({"a": torch.ones(100)}, state, params)
        spike = torch.ones(100)
        spike[0] = 1e6
        _, after = optimizer.update({"a": spike}, state, params)
    jump = after["tensors"]["a"]["momenta"][0] - state["tensors"]["a"]["momenta"][0]
    # Ten times the running root mean square, in which the spike itself counts a quarter.
    bound = 10 * (0.99 * (1 - 0.99**3) + 0.01 * (1e6**2 / 100) ** 0.5) / (1 - 0.99**4)
    assert 0 < jump[0] < 0.5 * bound
