"""The form that is compiled, run without a compiler, against the step in pieces."""

import pytest
import torch

from nascence.optim import Small, small_compiled


@torch.no_grad()
def test_it_is_the_same_step(generator: torch.Generator, monkeypatch: pytest.MonkeyPatch) -> None:
    raw = (small_compiled._moments, small_compiled._apply)
    monkeypatch.setattr(small_compiled, "_compiled", lambda: raw)
    one, other = Small(5), Small(5)
    for a, b in zip(one.parameters(), other.parameters(), strict=True):
        b.copy_(a.add_(0.1 * torch.randn(a.shape, generator=generator)))
    other.compiled = True
    params = {
        name: torch.randn(shape, generator=generator)
        for name, shape in {"matrix": (9, 7), "kernel": (6, 2, 3, 3), "vector": (4,)}.items()
    }
    held = {name: value.clone() for name, value in params.items()}
    states = [optimizer.init(params, num_steps=9) for optimizer in (one, other)]
    rates = dict.fromkeys(params, 0.7)
    for _ in range(6):
        grads = {n: torch.randn(v.shape, generator=generator) for n, v in params.items()}
        one.step_(grads, states[0], params, rates=rates)
        other.step_(grads, states[1], held, rates=rates)
    torch.testing.assert_close(held, params, rtol=1e-5, atol=1e-6)
    torch.testing.assert_close(states[1], states[0], rtol=1e-5, atol=1e-6)
