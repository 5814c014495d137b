"""Multiscale equilibrium networks: published sizes, shapes, learning."""

import pytest
import torch
import torch.nn.functional as F

from nascence.graph import count_parameters
from nascence.implicit import (
    MDEQBackbone,
    MDEQClassifier,
    MDEQSegmenter,
    Phantom,
    fixed_iterations,
    mdeq_large,
    mdeq_small,
    mdeq_tiny,
    unrolled,
)
from nascence.reparam import fold


def small(**settings: object) -> MDEQClassifier:
    torch.manual_seed(0)
    backbone = MDEQBackbone((8, 16, 16), groups=4, expansion=2, **settings)
    return MDEQClassifier(backbone, classes=4, head_channels=(2, 2, 4), final_channels=16)


def test_published_parameter_counts() -> None:
    with torch.device("meta"):
        tiny, large, imagenet = mdeq_tiny(), mdeq_large(), mdeq_small()
    assert count_parameters(tiny) == pytest.approx(0.159e6, rel=0.005)
    assert count_parameters(tiny.backbone.equilibrium.cell) == pytest.approx(0.112e6, rel=0.005)
    assert count_parameters(large) == pytest.approx(11.1e6, rel=0.005)
    assert count_parameters(imagenet) == pytest.approx(16.8e6, rel=0.005)


def test_it_finds_a_fixed_point_of_its_streams() -> None:
    model = small(tol=1e-5, max_iter=200).eval()
    layer = model.backbone.equilibrium
    with torch.no_grad():
        for block, output in zip(layer.cell.blocks, layer.cell.outputs, strict=True):
            # a contraction, which an untrained cell is not
            block.norm2.weight.fill_(0.09)
            block.norm3.weight.fill_(0.1)
            block.norm3.bias.fill_(1.0)
            output[2].weight.fill_(0.5)
        # statistics of the batch: those of an untrained BatchNorm leave no injection
        injection = model.backbone.stem.train()(torch.randn(2, 3, 8, 8))
        found = layer.solve(injection)
        image = layer.cell(found.state, injection)
    assert found.converged.all()
    for stream, again in zip(found.state, image, strict=True):
        assert torch.allclose(stream, again, atol=1e-3)


def test_it_learns_unrolled_and_at_equilibrium() -> None:
    model = small(max_iter=6, backward=Phantom(2, 0.7))
    images, labels = torch.randn(8, 3, 8, 8), torch.arange(8) % 4
    for network in (unrolled(model, 2), model):
        optimizer = torch.optim.Adam(network.parameters(), lr=1e-2)
        losses = []
        for _ in range(6):
            loss = F.cross_entropy(network(images), labels)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            losses.append(loss.item())
        assert losses[-1] < 0.9 * losses[0]
        assert all(p.grad is not None for p in network.parameters())


def test_segmentation_scores_every_pixel() -> None:
    backbone = MDEQBackbone((8, 16), groups=4, expansion=2, halvings=2, max_iter=4)
    scores = MDEQSegmenter(backbone, classes=5)(torch.randn(2, 3, 16, 24))
    assert scores.shape == (2, 5, 16, 24)


def test_the_fixed_form_folds() -> None:
    model = fixed_iterations(small(), 2, solver="picard").eval()
    images = torch.randn(2, 3, 8, 8)
    with torch.no_grad():
        expected = model(images)
        folded = fold(model, images)
        assert torch.allclose(folded(images), expected, atol=1e-5)
    assert not [m for m in folded.modules() if isinstance(m, torch.nn.BatchNorm2d)]


def test_bad_settings() -> None:
    with pytest.raises(ValueError, match=r"channels are \(12,\); each must be a multiple"):
        MDEQBackbone((12,))
    with pytest.raises(ValueError, match="classes is 0"):
        MDEQSegmenter(MDEQBackbone((8,)), classes=0)
