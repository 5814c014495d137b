"""Networks and hypernetworks in a folder as the hub has it: files, a card, and the way back."""

import shutil
from pathlib import Path

import pytest
import torch

pytest.importorskip("huggingface_hub")

from huggingface_hub import ModelCard

from nascence.design import DesignSettings, RunError, design
from nascence.hub import DesignedNetwork, Hypernetwork
from nascence.hypernet import GHN, predict
from nascence.inference import ClassifierError
from nascence.models import build


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("run") / "run"
    settings = DesignSettings(
        data="cifar10-sample", size=8, steps=2, trials=2, baseline=False, max_params=20_000
    )
    design(path, settings)
    return path


@pytest.mark.slow
def test_a_designed_network_comes_back(run: Path, tmp_path: Path) -> None:
    DesignedNetwork(run).save_pretrained(tmp_path / "hub")
    back = DesignedNetwork.from_pretrained(str(tmp_path / "hub"))
    images = torch.rand(4, 3, 8, 8, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        assert torch.equal(back.module()(images), DesignedNetwork(run).module()(images))
    assert back.classifier.class_names == DesignedNetwork(run).classifier.class_names
    assert back.summary() == DesignedNetwork(run).summary()
    written = {path.name for path in (tmp_path / "hub").rglob("*") if path.is_file()}
    assert written == {
        "README.md", "model.onnx", "model.safetensors", "trained.safetensors", "report.json",
    }  # fmt: skip


@pytest.mark.slow
def test_its_card_says_what_it_is_and_nothing_of_this_machine(run: Path, tmp_path: Path) -> None:
    DesignedNetwork(run).save_pretrained(tmp_path / "hub")
    card = ModelCard.load(tmp_path / "hub" / "README.md")
    assert card.data.library_name == "nascence"
    assert card.data.pipeline_tag == "image-classification"
    summary = DesignedNetwork(run).summary()
    assert f"{summary['networks'][0]['accuracy']:.1%}" in card.text
    assert "airplane, automobile" in card.text
    assert "8 x 8 pixels (colour)" in card.text
    everything = "".join(path.read_text("latin1") for path in (tmp_path / "hub").rglob("*.*"))
    assert str(tmp_path) not in everything
    assert str(run) not in everything


@pytest.mark.slow
def test_an_unfinished_run_is_refused(run: Path, tmp_path: Path) -> None:
    (tmp_path / "config.yaml").write_text("")
    with pytest.raises(ClassifierError, match="not finished"):
        DesignedNetwork(tmp_path)
    shutil.copy(run / "model.onnx", tmp_path)
    with pytest.raises(RunError, match=r"lacks model.safetensors"):
        DesignedNetwork(tmp_path)


def test_a_hypernetwork_comes_back_with_its_card(tmp_path: Path) -> None:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        ghn = GHN.mlp()
    Hypernetwork(ghn, {"data": "CIFAR-10", "steps": 7}).save_pretrained(tmp_path)
    back = Hypernetwork.from_pretrained(str(tmp_path))
    assert back.card["steps"] == 7
    images = torch.rand(4, 3, 16, 16, generator=torch.Generator().manual_seed(0))
    model = build("resnet20", classes=10)
    ours, theirs = (predict(model, images, ghn=each) for each in (ghn, back.ghn))
    assert all(torch.equal(ours[name], theirs[name]) for name in ours)
    card = ModelCard.load(tmp_path / "README.md")
    assert f"{sum(value.numel() for value in ghn.parameters()):,}" in card.text
    assert "| data | CIFAR-10 |" in card.text


def test_the_released_hypernetwork_has_a_card() -> None:
    card = Hypernetwork.read("ghn2-cifar10").generate_model_card()
    assert "How it was trained" in card.text
