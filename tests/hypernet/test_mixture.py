"""Networks of several sources for one meta-training."""

import math
from collections import Counter
from typing import Any

import pytest
import torch

from nascence.hypernet import GHN, Mixture, meta_train
from nascence.spaces import NB201
from nascence.spaces.meta_networks import SpaceNetworks, VisionTransformers

IMAGES = torch.randn(20, 3, 16, 16, generator=torch.Generator().manual_seed(0))
SPACE = NB201(classes=4, in_channels=3, width=(8, 16), cells=1)


def test_draws_follow_the_shares() -> None:
    seen: Counter[str] = Counter()

    def counted(name: str) -> Any:
        def network(index: int) -> Any:
            seen[name] += 1
            return name, index

        return network

    mixture = Mixture({counted("often"): 3.0, counted("rarely"): 1.0})
    draws = [mixture(k) for k in range(2_000)]
    assert draws == [mixture(k) for k in range(2_000)]
    # four standard deviations of a binomial count of 2,000 draws, taken twice
    assert abs(seen["rarely"] / 2 - 500) < 4 * math.sqrt(2_000 * 0.25 * 0.75)


@pytest.mark.parametrize("sources", [{}, {len: 0.0}, {len: -1.0}])
def test_shares_are_above_zero(sources: Any) -> None:
    with pytest.raises(ValueError, match="give at least one, all above zero"):
        Mixture(sources)


def test_a_meta_training_on_modules_and_functions(tmp_path: Any) -> None:
    torch.manual_seed(0)
    ghn = GHN(width=8, classes=4, max_shape=(8, 8, 3, 3))
    mixture = Mixture(
        {
            SpaceNetworks(SPACE, image_size=16): 1.0,
            VisionTransformers(classes=4, image_size=16): 1.0,
        }
    )
    before = [value.clone() for value in ghn.parameters()]
    report = meta_train(
        ghn, mixture, len(mixture), IMAGES, torch.arange(20) % 4, out=tmp_path, steps=6,
        batch_size=8,
    )  # fmt: skip
    assert report.finished
    assert report.replaced == 0
    assert any(not torch.equal(a, b) for a, b in zip(before, ghn.parameters(), strict=True))
