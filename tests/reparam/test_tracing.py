"""What is traced, and what is kept whole for which reason."""

import pytest
import torch
from torch import Tensor, nn

from nascence.reparam.tracing import (
    Untraceable,
    is_constant,
    mark_constants,
    record_shapes,
    trace_linear,
)


class Branching(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x if x.sum() > 0 else -x


def test_what_cannot_be_traced_is_kept_whole_with_the_reason() -> None:
    model = nn.Sequential(nn.Linear(2, 2), Branching(), nn.Sequential(Branching()))
    traced, whole = trace_linear(model, None)
    assert set(whole) == {"1", "2.0"}
    assert "control flow" in whole["1"]
    x = torch.randn(3, 2)
    torch.testing.assert_close(traced(x), model(x))


def test_a_forward_that_decides_on_values_is_untraceable() -> None:
    with pytest.raises(Untraceable, match="control flow"):
        trace_linear(Branching(), None)


def test_shapes_constants_and_dropped_checks() -> None:
    class Model(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.gamma = nn.Parameter(torch.ones(3))

        def forward(self, x: Tensor, scale: float = 2.0) -> Tensor:
            torch._assert(x.ndim == 2, "two axes")
            return x * (self.gamma * scale).reshape(1, 3)

    traced, _ = trace_linear(Model(), (torch.zeros(4, 3),))
    record_shapes(traced, (torch.zeros(4, 3),))
    mark_constants(traced)
    checks = [node.args[1] for node in traced.graph.nodes if node.target is torch._assert]
    assert "two axes" not in checks
    product = [node for node in traced.graph.nodes if node.op == "call_function"][-1]
    assert product.meta["shape"] == (4, 3)
    constant = product.args[1]
    assert is_constant(constant)
    assert torch.equal(constant.meta["constant"], torch.full((1, 3), 2.0))
