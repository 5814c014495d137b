"""The step in pieces, and in compiled loops, against the one with every input written out."""

import pytest
import torch

from nascence.optim import Hierarchical, perceptron
from nascence.optim.contract import kernel_of
from nascence.optim.native import compiled


@pytest.mark.parametrize("form", ["pieces", "compiled"])
@pytest.mark.parametrize("nominal", [None, 1e-3])
@torch.no_grad()
def test_it_is_the_plain_form(
    nominal: float | None, form: str, generator: torch.Generator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(perceptron, "PIECE", 50)
    optimizer = Hierarchical(32 if nominal else 5, nominal=nominal)
    for value in optimizer.parameters():
        value += 0.1 * torch.randn(value.shape, generator=generator)
    kernel = kernel_of(compiled(optimizer) if form == "compiled" else optimizer)
    shapes = {"matrix": (9, 31), "one": (1,), "block": (64,), "kernel": (4, 2, 3, 3)}
    params = {n: torch.randn(shape, generator=generator) for n, shape in shapes.items()}
    params["matrix"][0] = torch.logspace(-30, 10, 31)  # its logarithm is an input
    held = {name: value.clone() for name, value in params.items()}
    plain = optimizer.init(params, num_steps=10)
    quick = torch.utils._pytree.tree_map(torch.clone, plain)
    for step in range(6):
        grads = {n: torch.randn(v.shape, generator=generator) for n, v in params.items()}
        loss = torch.tensor(1.0 / (1 + step))
        updates, plain = optimizer.update(grads, plain, params, loss=loss)
        params = {name: value + 0.7 * updates[name] for name, value in params.items()}
        kernel.step_(grads, quick, held, rates=dict.fromkeys(held, 0.7), loss=loss)
    torch.testing.assert_close(held, params, rtol=1e-4, atol=1e-6)
    torch.testing.assert_close(quick, plain, rtol=1e-3, atol=1e-5)
