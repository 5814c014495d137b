"""Decoded slices against whole kernels, and ranks."""

import pytest
import torch
import torch.nn.functional as F

from nascence.hypernet.decoder import ConvDecoder, LowRankDecoder

SIZES = [(8, 8, 3, 3), (5, 2, 1, 1), (8, 1, 2, 3), (1, 8, 3, 1)]


def whole(decoder: ConvDecoder, states: torch.Tensor) -> torch.Tensor:
    """Every kernel at the largest size, with plain layers: section 3.1 of the paper."""
    out, inner, kh, kw = decoder.max_shape
    maps = F.relu(decoder.first(states)).view(len(states), -1, kh, kw)
    maps = F.conv2d(maps, decoder.second.weight[..., None, None], decoder.second.bias)
    maps = F.conv2d(F.relu(maps), decoder.third.weight[..., None, None], decoder.third.bias)
    return maps.view(len(states), out, inner, kh, kw)


def test_slices_equal_the_whole_kernels_and_so_do_gradients() -> None:
    torch.manual_seed(0)
    decoder = ConvDecoder(4, (8, 8, 3, 3), 5).double()
    states = [torch.randn(n + 1, 4, dtype=torch.float64, requires_grad=True) for n in range(4)]
    found = decoder(states, SIZES)
    expected = [
        whole(decoder, state)[:, :o, :i, :kh, :kw]
        for state, (o, i, kh, kw) in zip(states, SIZES, strict=True)
    ]
    inputs = [*states, *(p for n, p in decoder.named_parameters() if "class" not in n)]
    weights = [torch.randn_like(value) for value in expected]
    totals = []
    for blocks in (found, expected):
        for block, other in zip(blocks, expected, strict=True):
            assert torch.allclose(block, other, atol=1e-12)
        totals.append(sum((w * b).sum() for w, b in zip(weights, blocks, strict=True)))
    for one, other in zip(
        torch.autograd.grad(totals[0], inputs), torch.autograd.grad(totals[1], inputs), strict=True
    ):
        assert torch.allclose(one, other, atol=1e-11)


def test_classifier_head_mixes_the_output_axis() -> None:
    decoder = ConvDecoder(4, (8, 8, 3, 3), 5)
    kernel = torch.randn(2, 8, 6, 1, 1)
    found = decoder.classifier(kernel)
    assert found.shape == (2, 5, 6, 1, 1)
    expected = torch.einsum("co,noi->nci", decoder.class_weight.weight, F.relu(kernel[..., 0, 0]))
    expected = expected + decoder.class_weight.bias[:, None]
    assert torch.allclose(found[..., 0, 0], expected, atol=1e-6)


def test_low_rank_kernels_have_the_rank_and_repeat_nothing() -> None:
    torch.manual_seed(0)
    decoder = LowRankDecoder(8, rank=3, max_channels=32).double()
    states = torch.randn(2, 8, dtype=torch.float64)
    (kernels,) = decoder([states], [(24, 20, 2, 3)])
    assert kernels.shape == (2, 24, 20, 2, 3)
    matrix = kernels[0].permute(0, 2, 1, 3).reshape(24 * 2, 20 * 3)
    assert torch.linalg.matrix_rank(matrix) == 3
    assert len(kernels[0].unique()) == kernels[0].numel()


@pytest.mark.parametrize("rank", [4])
def test_low_rank_size(rank: int) -> None:
    d, k = 8, 32 * 16
    decoder = LowRankDecoder(d, rank=rank, max_channels=32)
    sizes = [(d, 4 * d), (4 * d, 8 * d), (8 * d, 2 * rank**2), (rank, k)]
    assert sum(p.numel() for p in decoder.parameters()) == sum(i * o + o for i, o in sizes)


@pytest.mark.parametrize("values", [1, 40, 10_000])
def test_a_few_kernels_at_a_time_are_the_same_kernels(values: int) -> None:
    torch.manual_seed(0)
    decoder = ConvDecoder(4, (8, 8, 3, 3), 5).double()
    low_rank = LowRankDecoder(4, rank=3, max_channels=8).double()
    states = torch.randn(7, 4, dtype=torch.float64)
    with torch.no_grad():
        for size in [*SIZES, (8, 5, 2, 2)]:
            parts = list(decoder.blocks(states, size, values=values))
            assert torch.allclose(torch.cat(parts), decoder([states], [size])[0], atol=1e-12)
            assert len(parts) == (7 if values == 1 else len(parts))
            parts = list(low_rank.blocks(states, size, values=values))
            assert torch.allclose(torch.cat(parts), low_rank([states], [size])[0], atol=1e-12)
