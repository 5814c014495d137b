"""The folded first layer against the sum over all 28 inputs of one parameter."""

import pytest
import torch

from nascence.optim.small.folding import fold
from nascence.optim.small.network import EPSILON, Corrections, input_scales, network_of
from nascence.optim.small.optimizer import Small


@pytest.mark.parametrize("factored", [True, False])
@torch.no_grad()
def test_a_parameter_gets_the_sum_over_its_28_inputs(
    factored: bool, generator: torch.Generator
) -> None:
    def rand(*shape: int) -> torch.Tensor:
        return 0.5 + torch.rand(shape, generator=generator)

    count, rows, columns = 3, *((4, 5) if factored else (1, 5))
    optimizer = Small(6)
    theta = {n: v.expand(count, *v.shape) * rand(1) for n, v in optimizer.named_parameters()}
    network = network_of(theta, optimizer.learning_rate)
    grad, value, momenta = rand(count), rand(count), rand(count, 3)
    second, row, column = rand(count), rand(count, 3, rows), rand(count, 3, columns)
    corrected = Corrections(rand(count, 3), rand(count), rand(count, 3))
    squares, time = rand(count, 10), rand(count, 21)
    folded = fold(
        *(network, time, corrected, squares, (rows, columns)),
        (row, column) if factored else None,
    )
    # the parameter in row r, column c
    r, c = rows - 1, 2
    root, inverse = second.sqrt(), (second + EPSILON).rsqrt()
    square = torch.zeros(count, 28)
    square[:, :10] = squares / (rows * columns)
    if factored:
        down, across = row.rsqrt(), column.rsqrt()
        factor = down[:, :, r] * across[:, :, c] * row.mean(2).sqrt()
        ends = [row.sqrt(), down, column.sqrt(), across]
        square[:, 16:] = torch.cat([end.square().mean(2) for end in ends], 1)
        here = [x[:, :, k] for x, k in zip(ends, (r, r, c, c), strict=True)]
    else:
        factor, three = inverse[:, None].expand(count, 3), torch.ones(3)
        mean = square[:, 2:4].clone()
        # one row has the mean second moment, each column its own
        squared = [mean[:, :1], 1 / mean[:, :1], mean[:, :1], mean[:, 1:]]
        square[:, 16:] = torch.cat([x * three for x in squared], 1)
        down_end = mean[:, :1].rsqrt()
        here = [mean[:, :1].sqrt() * three, down_end * three]
        here += [root[:, None] * three, inverse[:, None] * three]
    inputs = torch.cat(
        [
            *(torch.stack([grad, value, root, inverse], 1), momenta, momenta * inverse[:, None]),
            *(grad[:, None] * factor, momenta * factor, *here),
        ],
        1,
    )
    scaled = inputs * input_scales(square, corrected)
    expected = (network.inner * scaled[:, None]).sum(2) + network.inner_bias
    expected = expected + (network.time * time[:, None]).sum(2)
    if factored:
        own = inputs[:, :16]
        assert folded.by_column is not None
        ours = folded.by_row[:, :, r] + folded.by_column[:, :, c]
    else:
        own = torch.cat([inputs[:, :10], inputs[:, 10:11]], 1)
        ours = folded.by_row[:, :, 0]
        # momenta over the factored root are the Adam directions
    ours = ours + (folded.weights * own[:, None]).sum(2)
    torch.testing.assert_close(ours, expected, rtol=1e-4, atol=1e-5)
    if factored:
        assert folded.down is not None
        assert folded.across is not None
        product = folded.down[:, :, r] * folded.across[:, :, c]
        torch.testing.assert_close(product, factor)


@torch.no_grad()
def test_of_takes_some_networks() -> None:
    optimizer = Small()
    theta = {n: v.expand(4, *v.shape) for n, v in optimizer.named_parameters()}
    network = network_of(theta, optimizer.learning_rate)
    corrected = Corrections(torch.ones(4, 3), torch.ones(4), torch.ones(4, 3))
    squares = torch.arange(1.0, 5)[:, None].expand(4, 10)
    folded = fold(network, torch.zeros(4, 21), corrected, squares, (1, 3), None)
    some = folded.of(slice(1, 3))
    assert some.down is None
    assert torch.equal(some.size, folded.size[1:3])
