"""Fixed points are recorded as one cell with a loop."""

import torch
from torch import Tensor, nn

from nascence.graph import is_tracing, loop, trace


class FixedPoint(nn.Module):
    """z = tanh(A z + B x), solved by iteration; traced as one cell."""

    def __init__(self) -> None:
        super().__init__()
        self.state, self.inject, self.head = nn.Linear(4, 4), nn.Linear(3, 4), nn.Linear(4, 2)

    def forward(self, x: Tensor) -> Tensor:
        injected = self.inject(x)

        def cell(z: Tensor) -> Tensor:
            return torch.tanh(self.state(z) + injected)

        z = torch.zeros(len(x), 4)
        if is_tracing():
            return self.head(loop(cell, z))
        with torch.no_grad():
            for _ in range(30):
                z = cell(z)
        return self.head(cell(z))


def test_fixed_point_layer_is_one_cell_with_a_loop() -> None:
    assert not is_tracing()
    graph = trace(FixedPoint(), torch.empty(1, 3))
    ops = [node.op for node in graph.nodes]
    assert ops == ["input", "conv", "bias", "conv", "bias", "sum", "conv", "bias"]
    assert graph.loops == ((5, 3),)
    assert graph.nodes[3].module == "state"
    assert not is_tracing()


def test_loop_outside_a_trace_is_the_function() -> None:
    assert loop(lambda z: z + 1, torch.zeros(())) == 1
