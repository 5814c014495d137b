"""The classic tells apart what gradients and colours tell apart."""

import math

import pytest
import torch

from nascence.design import classic


def gratings(count: int, *, seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    """Stripes in four directions, of any phase, in noise."""
    generator = torch.Generator().manual_seed(seed)
    labels = torch.arange(count) % 4
    angle = labels * math.pi / 4
    rows, columns = torch.meshgrid(torch.arange(64), torch.arange(64), indexing="ij")
    across = angle.cos().view(-1, 1, 1) * columns + angle.sin().view(-1, 1, 1) * rows
    phase = 6.3 * torch.rand(count, 1, 1, generator=generator)
    pixels = 127 + 60 * (across / 2 + phase).sin()
    pixels += 20 * torch.randn(count, 64, 64, generator=generator)
    return pixels.clamp(0, 255).to(torch.uint8).unsqueeze(1), labels


def test_directions_are_learned_and_flips_swap_the_slanted_ones() -> None:
    images, labels = gratings(200)
    fitted = classic.fit(classic.features(images), labels, 4, generator=torch.Generator())
    new, truth = gratings(80, seed=1)
    assert (fitted(classic.features(new)).argmax(1) == truth).float().mean() > 0.95
    mirrored = fitted(classic.features(new.flip(-1))).argmax(1)
    swapped = torch.tensor([0, 3, 2, 1])[truth]
    assert (mirrored == swapped).float().mean() > 0.95


def test_features_of_a_flat_image_are_its_colour() -> None:
    flat = torch.full((1, 3, 20, 30), 255, dtype=torch.uint8)
    flat[:, 2] = 0
    found = classic.features(flat)
    gradients, rest = found[0, : 49 * 36], found[0, 49 * 36 :]
    assert gradients.abs().max() == 0
    assert rest[:192].tolist() == pytest.approx([1.0] * 128 + [0.0] * 64, abs=1e-5)
    assert rest[192:240].abs().max() < 1e-2


def test_above_the_landmarks_the_fit_is_about_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    images, labels = gratings(200)
    found, new = classic.features(images), classic.features(gratings(40, seed=2)[0])
    whole = classic.fit(found, labels, 4, generator=torch.Generator().manual_seed(0))(new)
    monkeypatch.setattr(classic, "LANDMARKS", 100)
    part = classic.fit(found, labels, 4, generator=torch.Generator().manual_seed(0))(new)
    assert torch.equal(whole.argmax(1), part.argmax(1))


def test_left_out_predictions_are_those_of_a_fit_without_the_point() -> None:
    points = torch.randn(12, 3, generator=torch.Generator().manual_seed(0))
    targets = torch.eye(3)[torch.arange(12) % 3]
    kernel = classic._kernel(points, points, 1.0)
    penalty, found = classic._left_out(kernel, targets)[6]
    for left in range(12):
        kept = [place for place in range(12) if place != left]
        inner = kernel[kept][:, kept].double() + penalty * torch.eye(11)
        weights = torch.linalg.solve(inner, targets[kept].double())
        expected = kernel[left, kept].double() @ weights
        assert torch.allclose(found[left], expected, atol=1e-6)
