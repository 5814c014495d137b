"""What the compiled loop does with what is not laid out as it needs it."""

import torch

from nascence.optim import Small
from nascence.optim.contract import kernel_of
from nascence.optim.native import compiled


@torch.no_grad()
def test_strides_and_half_precision_are_as_in_pieces(generator: torch.Generator) -> None:
    ends = []
    grads = {"a": torch.randn(9, 7, generator=generator).t(), "b": torch.ones(5).bfloat16()}
    for optimizer in (Small(), compiled(Small())):
        params = {"a": torch.ones(7, 9), "b": torch.ones(5)}
        state = optimizer.init(params)
        for _ in range(3):
            kernel_of(optimizer).step_(grads, state, params, rates={"a": 1.0, "b": 0.5})
        ends.append((params, state))
    torch.testing.assert_close(ends[1], ends[0], rtol=1e-5, atol=1e-6)
