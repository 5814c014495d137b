"""Multiply-adds worked by hand, and models left as found."""

from collections.abc import Callable

import pytest
import torch
from torch import nn

from nascence.graph import count_macs, count_parameters, measure_latency


def small() -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(3, 8, 3, padding=1, bias=False),
        nn.BatchNorm2d(8),
        nn.Dropout(),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(8, 10),
    )


def test_macs_of_a_hand_worked_network() -> None:
    expected = 3 * 8 * 9 * 16 * 16 + 8 * 10
    assert count_macs(small(), torch.zeros(1, 3, 16, 16)) == expected
    assert count_macs(small(), torch.zeros(4, 3, 16, 16)) == 4 * expected


def test_attention_counts_its_two_products() -> None:
    class Attention(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return nn.functional.scaled_dot_product_attention(x, x, x)

    batch, heads, tokens, width = 2, 3, 16, 8
    expected = 2 * batch * heads * tokens * tokens * width
    assert count_macs(Attention(), torch.randn(batch, heads, tokens, width)) == expected


def test_shared_parameters_count_once() -> None:
    layer = nn.Linear(4, 4)
    assert count_parameters(nn.Sequential(layer, layer)) == 20


def test_model_is_left_as_found() -> None:
    model = small()
    model[2].eval()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    random_state = torch.get_rng_state()
    count_macs(model, torch.randn(2, 3, 8, 8, generator=torch.Generator().manual_seed(1)))
    assert [module.training for module in model] == [True, True, False, True, True, True]
    assert torch.equal(random_state, torch.get_rng_state())
    for name, value in model.state_dict().items():
        assert torch.equal(value, before[name]), name


def test_mode_is_restored_when_the_forward_raises() -> None:
    model = small()
    with pytest.raises(RuntimeError):
        count_macs(model, torch.zeros(1, 5, 8, 8))
    assert model.training


def test_latency_is_positive_and_ordered() -> None:
    latency = measure_latency(small(), torch.zeros(1, 3, 8, 8), repeats=3, warmup=1)
    assert 0 < latency.minimum <= latency.median
    with pytest.raises(ValueError, match="repeats is 0"):
        measure_latency(small(), torch.zeros(1, 3, 8, 8), repeats=0)


def test_fused_attention_is_counted() -> None:
    layer = nn.MultiheadAttention(8, 2, batch_first=True)
    x = torch.zeros(1, 5, 8)
    assert count_macs(layer, x, x, x) == 4 * 5 * 8 * 8 + 2 * 5 * 5 * 8


class Applied(nn.Module):
    """A function as a module."""

    def __init__(self, function: Callable[..., torch.Tensor]) -> None:
        super().__init__()
        self.function = function

    def forward(self, *inputs: torch.Tensor) -> torch.Tensor:
        return self.function(*inputs)


@pytest.mark.parametrize(
    ("model", "shapes", "expected"),
    [
        (nn.Bilinear(3, 4, 5), [(2, 3), (2, 4)], 2 * 3 * 4 * 5),
        (nn.Bilinear(3, 4, 5), [(2, 7, 3), (2, 7, 4)], 14 * 3 * 4 * 5),
        (nn.LSTM(3, 4, batch_first=True), [(2, 5, 3)], 10 * 4 * 4 * (3 + 4)),
        (nn.LSTM(3, 4, 2, bidirectional=True), [(2, 5, 3)], 20 * 4 * 4 * (3 + 4 + 8 + 4)),
        (nn.GRU(3, 4), [(2, 5, 3)], 10 * 3 * 4 * (3 + 4)),
        (Applied(torch.mv), [(3, 4), (4,)], 3 * 4),
        (Applied(torch.matmul), [(2, 3, 4), (4,)], 2 * 3 * 4),
        (Applied(torch.dot), [(4,), (4,)], 4),
        (Applied(torch.addmv), [(3,), (3, 4), (4,)], 3 * 4),
        (Applied(torch.addbmm), [(3, 5), (2, 3, 4), (2, 4, 5)], 2 * 3 * 4 * 5),
    ],
)
def test_products_that_torch_leaves_out_are_counted(
    model: nn.Module, shapes: list[tuple[int, ...]], expected: int
) -> None:
    assert count_macs(model, *(torch.randn(shape) for shape in shapes)) == expected
