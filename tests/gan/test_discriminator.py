"""The discriminator: its spectral norms, its blocks written out, its growth."""

import pytest
import torch
from torch import nn
from torch.nn.functional import avg_pool2d, conv2d

from nascence.gan import Discriminator


def images(side: int) -> torch.Tensor:
    return torch.randn(3, 3, side, side, generator=torch.Generator().manual_seed(0))


def discriminator(stages: int = 3, width: int = 4) -> Discriminator:
    torch.manual_seed(0)
    return Discriminator(stages=stages, width=width)


def test_every_weight_has_spectral_norm_one() -> None:
    made = discriminator()
    for _ in range(200):  # one power iteration each
        made(images(8))
    kernels = [part for part in made.modules() if isinstance(part, nn.Conv2d | nn.Linear)]
    assert len(kernels) == 2 * 4 + 2 + 1  # four blocks, two with a shortcut, the linear layer
    for part in kernels:
        norm = torch.linalg.matrix_norm(part.weight.detach().flatten(1), ord=2)
        assert float(norm) == pytest.approx(1, abs=0.02)


@pytest.mark.parametrize(("stages", "side"), [(1, 8), (2, 16), (3, 32)])
def test_it_grows_with_the_images(stages: int, side: int) -> None:
    """Later blocks have no part in it."""
    made = discriminator().eval()
    before = made(images(side), stages)
    assert before.shape == (3,)
    with torch.no_grad():
        for block in made.blocks[stages:]:
            for parameter in block.parameters():
                parameter.fill_(torch.nan)
    assert torch.equal(made(images(side), stages), before)
    if stages < 3:
        assert made(images(32)).isnan().all()


def test_the_smallest_written_out() -> None:
    made = discriminator(stages=1).eval()
    first, last = made.blocks[0], made.last

    def kernel(x: torch.Tensor, part: nn.Conv2d) -> torch.Tensor:
        return conv2d(x, part.weight, part.bias, padding=part.padding)

    x = images(8)
    inner = kernel(kernel(x, first.convolutions[0]).relu(), first.convolutions[1])
    x = avg_pool2d(inner, 2) + avg_pool2d(kernel(x, first.shortcut), 2)
    inner = kernel(kernel(x.relu(), last.convolutions[0]).relu(), last.convolutions[1])
    pooled = (x + inner).relu().sum((2, 3))
    torch.testing.assert_close(made(images(8)), pooled @ made.linear.weight[0])


def test_impossible_sizes() -> None:
    with pytest.raises(ValueError, match="stages is 0"):
        Discriminator(stages=0)
