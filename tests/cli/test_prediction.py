"""Predicted networks: accuracy, heads and noise, without the command line."""

import json
from pathlib import Path

import pytest
import torch
from safetensors import safe_open
from torch import Tensor, nn

from nascence.cli.prediction import predict_network, save_state
from nascence.data import Dataset, Split
from nascence.hypernet import GHN

CPU = torch.device("cpu")


def colours() -> Dataset:
    """Three classes, each bright in one channel."""
    generator = torch.Generator().manual_seed(0)
    labels = torch.arange(120) % 3
    images = torch.randint(90, (120, 3, 8, 8), generator=generator)
    images[torch.arange(120), labels] += 120
    splits = [Split(images[rows].byte(), labels[rows]) for rows in (slice(90), slice(90, 120))]
    names = ("red", "green", "blue")
    return Dataset("colours", *splits, names, (0.3,) * 3, (0.2,) * 3, (), "0")


def network(outputs: int = 3) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.ReLU(), nn.Flatten(), nn.Linear(288, outputs)
    )


def predicted(model: nn.Module, **settings: object):
    torch.manual_seed(0)
    ghn = GHN(width=8, max_shape=(8, 8, 3, 3))
    options = {"images": 60, "noise": 0.0, "head": "ridge", "device": CPU, **settings}
    generator = torch.Generator().manual_seed(0)
    return predict_network(model, ghn, colours(), generator=generator, **options)


def test_state_loads_and_has_the_reported_accuracy() -> None:
    model = network()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    result = predicted(model)
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    known = result.facts["accuracy"]
    assert list(known) == [
        "predicted", "predicted, closed-form head", "random", "random, closed-form head",
    ]  # fmt: skip
    assert known["predicted, closed-form head"] > 0.9
    model.load_state_dict(result.state)
    data = colours()
    with torch.no_grad():
        logits = model.eval()(data.normalise(data.validation.images))
    accuracy = (logits.argmax(1) == data.validation.labels).float().mean()
    assert float(accuracy) == pytest.approx(known["predicted, closed-form head"])
    assert result.facts["parameters"] == sum(p.numel() for p in model.parameters())


def test_predicted_head_and_noise() -> None:
    plain, ridge, noisy = (
        predicted(network(), head=head, noise=noise).state
        for head, noise in (("predicted", 0.0), ("ridge", 0.0), ("predicted", 0.1))
    )
    assert torch.equal(plain["0.weight"], ridge["0.weight"])
    assert not torch.equal(plain["4.weight"], ridge["4.weight"])
    assert not torch.equal(plain["0.weight"], noisy["0.weight"])


class Convolutional(nn.Module):
    """Its classifier is a convolution, which has no closed-form fit."""

    def __init__(self) -> None:
        super().__init__()
        self.body, self.head = nn.Conv2d(3, 8, 3), nn.Conv2d(8, 3, 1)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(torch.relu(self.body(x))).mean((2, 3))


def test_without_a_linear_classifier_the_reason_is_told() -> None:
    facts = predicted(Convolutional()).facts
    assert "needs a linear classifier" in facts["no_closed_form_head"]
    assert list(facts["accuracy"]) == ["predicted", "random"]
    assert facts["head"] == "predicted"


def test_too_few_outputs_are_named() -> None:
    with pytest.raises(ValueError, match="2 outputs but the data 3 classes"):
        predicted(network(2))


def test_own_values_keep_their_statistics() -> None:
    model = network()
    with torch.no_grad():
        model[1].running_mean.fill_(1e6)  # all that follows is negative, the bias decides
        model[4].bias.copy_(torch.tensor([0.0, 9.0, 0.0]))
    facts = predicted(model, own="file").facts
    share = float((colours().validation.labels == 1).float().mean())
    assert facts["accuracy"]["file"] == pytest.approx(share)


def test_saved_state_is_whole_or_not_there(tmp_path: Path) -> None:
    path = tmp_path / "state.safetensors"
    shared = torch.ones(2, 2)
    save_state({"a": shared, "b": shared, "c": shared.t()[:1]}, path, {"network": "x"})
    with safe_open(path, framework="pt") as file:
        assert json.loads(file.metadata()["card"]) == {"network": "x"}
        assert sorted(file.keys()) == ["a", "b", "c"]
    with pytest.raises(TypeError):
        save_state({"a": shared}, tmp_path / "other", {"network": object()})
    assert [file.name for file in tmp_path.iterdir()] == ["state.safetensors"]
