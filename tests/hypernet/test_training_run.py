"""One step of a run against its formula; legs and files are in ``test_meta_train.py``."""

from pathlib import Path

import torch
import torch.nn.functional as F
from torch import nn
from torch.func import functional_call

from nascence.graph import Graph, trace
from nascence.hypernet import GHN
from nascence.hypernet.run_settings import RunSettings
from nascence.hypernet.training_run import Run

IMAGES = torch.randn(20, 3, 8, 8, generator=torch.Generator().manual_seed(0))
LABELS = torch.arange(20) % 4


def test_a_step_follows_the_gradient_of_the_mean_loss(tmp_path: Path) -> None:
    torch.manual_seed(0)
    ghn = GHN(width=8, classes=4, max_shape=(8, 8, 3, 3))
    models = [nn.Sequential(nn.Conv2d(3, c, 3), nn.Flatten(), nn.Linear(36 * c, 4)) for c in (4, 6)]
    networks = [(trace(model, IMAGES[:1]), model) for model in models]

    def source(index: int) -> tuple[Graph, nn.Module]:
        return networks[index]

    settings = RunSettings(2, 10, 2, 8, 1e-3, 0.0, 0, 1e9, 0.0, 0, "constant")
    run = Run(ghn, source, IMAGES, LABELS, tmp_path, settings, {})
    images, labels = run.batch()
    losses = [
        F.cross_entropy(functional_call(model, ghn([graph])[0], (images,)), labels)
        for graph, model in networks
    ]
    mean = torch.stack(losses).mean()
    expected = torch.autograd.grad(mean, list(ghn.parameters()), allow_unused=True)
    before = [value.detach().clone() for value in ghn.parameters()]
    loss = run.advance(iter([networks]))
    assert abs(loss - mean.item()) < 1e-5
    for weight, old, gradient in zip(ghn.parameters(), before, expected, strict=True):
        if gradient is None:
            assert torch.equal(weight, old)
            continue
        assert weight.grad is not None
        assert torch.allclose(weight.grad, gradient, atol=1e-6)
        # Adam's first step: the sign of the gradient times the learning rate
        step = -1e-3 * gradient / (gradient.abs() + 1e-8)
        assert torch.allclose(weight.detach() - old, step, atol=1e-5)
    assert run.cpu_seconds > 0
    assert run.step == 1


def test_batches_are_shifted_by_at_most_the_crop(tmp_path: Path) -> None:
    """Every image is a flip of its source, shifted; what comes in is zero."""
    torch.manual_seed(0)
    ghn = GHN(width=8, classes=4, max_shape=(8, 8, 3, 3))
    images = IMAGES.abs() + 1  # no zeros of their own
    plain, shifted = (
        Run(ghn, lambda index: None, images, LABELS, tmp_path, settings, {}).batch()  # type: ignore[arg-type,return-value]
        for settings in (
            RunSettings(2, 10, 1, 16, 1e-3, 0.0, 0, 1e9, 0.0, 0, crop=crop) for crop in (0, 2)
        )
    )
    assert torch.equal(plain[1], shifted[1])
    padded = F.pad(plain[0], (2, 2, 2, 2))
    windows = [(down, right) for down in range(5) for right in range(5)]
    offsets = set()
    for number, image in enumerate(shifted[0]):
        found = [
            (down, right)
            for down, right in windows
            if torch.equal(padded[number, :, down : down + 8, right : right + 8], image)
        ]
        assert len(found) == 1
        offsets.add(found[0])
    assert len(offsets) > 5
