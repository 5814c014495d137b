"""The step in pieces, and in a compiled loop, against the one with every input written out."""

import pytest
import torch

from nascence.optim import Small
from nascence.optim.contract import Kernel, init_stacked, kernel_of
from nascence.optim.small import pieces as small_pieces

SHAPES = {"matrix": (16, 12), "kernel": (8, 3, 3, 3), "vector": (25,), "scalar": (), "thin": (2, 9)}
SHAPES["longer than a block"] = (5, 301)


@pytest.mark.parametrize(("hidden", "piece"), [(5, 24_576), (5, 60), (4, None), (11, None)])
@torch.no_grad()
def test_it_is_the_plain_form(
    hidden: int, piece: int | None, generator: torch.Generator, monkeypatch: pytest.MonkeyPatch
) -> None:
    count, optimizer = 4, Small(hidden)
    if piece is None:
        optimizer.compiled = True
    else:
        monkeypatch.setattr(small_pieces, "PIECE", piece)
    params = {n: torch.randn(count, *s, generator=generator) for n, s in SHAPES.items()}
    theta = {
        n: v + 0.1 * torch.randn(count, *v.shape, generator=generator)
        for n, v in optimizer.named_parameters()
    }
    steps = torch.tensor([5.0, 10.0, torch.inf, 100.0])
    ours, theirs = (init_stacked(optimizer, params, num_steps=steps) for _ in range(2))
    held = {name: value.clone() for name, value in params.items()}
    for _ in range(8):
        grads = {n: torch.randn(v.shape, generator=generator) for n, v in params.items()}
        before = {name: value.clone() for name, value in held.items()}
        params = {name: value.clone() for name, value in held.items()}
        loss = torch.zeros(count)
        kernel_of(optimizer).step_stacked_(theta, grads, ours, params, loss=loss)
        Kernel(optimizer).step_stacked_(theta, grads, theirs, held, loss=loss)
        for name, value in params.items():
            scale = (held[name] - before[name]).abs().max().item()
            torch.testing.assert_close(value, held[name], rtol=1e-6, atol=1e-5 * scale + 1e-7)
    torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-6)
