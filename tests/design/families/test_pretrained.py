"""A network of timm with weights of a local file: fitted, trained on, folded, read back."""

import dataclasses
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from nascence.design import network, stages
from nascence.design.families import pretrained
from nascence.design.run import Run
from nascence.models.zoo import timm_network
from nascence.search import LimitError
from nascence.training import evaluate

NAME = "test_resnet.r160_in1k"  # 0.5 M parameters, made by timm for tests
pytestmark = pytest.mark.skipif(find_spec("timm") is None, reason="needs timm")


@pytest.fixture
def weights(tmp_path: Path) -> Path:
    torch.manual_seed(3)
    file = tmp_path / "weights.safetensors"
    save_file(timm_network(NAME, classes=1000).state_dict(), file)
    return file


@pytest.fixture
def run(run_of: Callable[..., Run], weights: Path) -> Run:
    return run_of(family="pretrained", pretrained=f"{NAME}={weights}", steps=2, baseline=False)


def test_features_are_those_of_the_file_and_the_classifier_is_new(run: Run, weights: Path) -> None:
    model = pretrained.Pretrained().build(run, pretrained.Pretrained().search(run))
    torch.manual_seed(3)
    original = timm_network(NAME, classes=1000)
    own = model.network.state_dict()
    same = {key: value for key, value in original.state_dict().items() if not key.startswith("fc.")}
    torch.testing.assert_close({key: own[key] for key in same}, same)
    assert own["fc.weight"].shape[0] == 3


def test_the_classifier_tells_colours_apart_before_training(run: Run) -> None:
    """Each class is bright in one channel, which features of random weights show."""
    images = run.data.train.images.clone()
    images[torch.arange(30), run.data.train.labels] = 255
    coloured = dataclasses.replace(
        run.data, train=dataclasses.replace(run.data.train, images=images)
    )
    run = dataclasses.replace(run, data=coloured)
    model = pretrained.fitted(run.settings.pretrained, run)
    assert evaluate(model, coloured.train, coloured.normalise).accuracy == 1


def test_images_come_to_it_as_it_knows_them(run: Run) -> None:
    """What it gets of a normalised image is the image by the mean and deviation of its own."""
    model = pretrained.built(run.settings.pretrained, run)
    images = run.data.train.images[:2]
    config = model.network.pretrained_cfg
    mean, std = (torch.tensor(config[name]).view(-1, 1, 1) for name in ("mean", "std"))
    wanted = (images.float() / 255 - mean) / std
    got = run.data.normalise(images) * model.scale + model.shift
    torch.testing.assert_close(got, wanted, rtol=1e-4, atol=1e-5)


def test_a_run_trains_folds_and_reads_it_back(run: Run) -> None:
    run.folder.finish("search", stages.search_stage(run))
    assert run.folder.finish("train", stages.train_stage(run)).steps == 2
    found = stages.fold_stage(run)
    assert 0 <= found.accuracy <= 1
    images = run.data.normalise(run.data.validation.images[:4])
    trained = network.load_trained(run.path / "checkpoints" / "trained.safetensors")
    with torch.no_grad():
        torch.testing.assert_close(
            network.load_folded(run.path)(images), trained(images), rtol=1e-3, atol=1e-4
        )


def test_limits_are_kept(run_of: Callable[..., Run], weights: Path) -> None:
    for name, limit, message in (
        ("a", {"max_params": 1000}, "parameters, more than --max-params 1,000"),
        ("b", {"max_latency_ms": 1e-6}, "more than --max-latency-ms 1e-06"),
    ):
        run = run_of(name=name, family="pretrained", pretrained=f"{NAME}={weights}", **limit)
        with pytest.raises(LimitError, match=message):
            pretrained.Pretrained().search(run)
