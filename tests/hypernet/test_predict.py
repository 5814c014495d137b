import pytest
import torch
from torch import nn

from nascence.hypernet import GHN, accuracy, break_symmetry, predict


def test_the_whole_job_in_one_call() -> None:
    torch.manual_seed(0)
    ghn = GHN(width=8, max_shape=(8, 8, 3, 3))
    model = nn.Sequential(
        nn.Conv2d(3, 16, 3), nn.BatchNorm2d(16), nn.ReLU(), nn.Flatten(), nn.Linear(16 * 36, 4)
    )
    before = {name: value.clone() for name, value in model.state_dict().items()}
    labels = torch.randint(4, (128,))
    images = torch.randn(128, 3, 8, 8) + labels[:, None, None, None]
    values = predict(model, images, ghn=ghn, labels=labels)
    assert values.keys() == model.state_dict().keys()
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    assert accuracy(model, values, images, labels) > 0.5
    model.load_state_dict(values)
    assert model[1].running_mean.abs().sum() > 0


def test_noise_parts_tiled_filters() -> None:
    params = {"w": torch.ones(4, 3), "zero": torch.zeros(2)}
    generator = torch.Generator().manual_seed(0)
    noisy = break_symmetry(params, generator=generator, scale=0.01)
    assert len(noisy["w"].unique()) == 12
    assert (noisy["w"] - 1).square().mean().sqrt() == pytest.approx(0.01, rel=0.5)
    assert torch.equal(noisy["zero"], params["zero"])
    assert torch.equal(params["w"], torch.ones(4, 3))
    with pytest.raises(ValueError, match="must not be negative"):
        break_symmetry(params, generator=generator, scale=-1.0)
