"""Networks of a run go round through its files."""

import json
from pathlib import Path

import pytest
import torch

from nascence.core.resumable import CheckpointError
from nascence.core.weights import read_metadata
from nascence.data import Dataset
from nascence.design import network
from nascence.design.families import cell_space
from nascence.design.folder import RunError
from nascence.export import save_weights

CELL = "|nor_conv_3x3~0|+|none~0|none~1|+|skip_connect~0|nor_conv_1x1~1|none~2|;width=8;cells=2"


def save_trained(path: Path, block: str) -> torch.nn.Module:
    space = cell_space.space_of(block, classes=3, in_channels=3)
    architecture = space.parse(CELL)
    model = cell_space.build(space, architecture, seed=1).eval()
    metadata = {
        "architecture": space.to_json(architecture),
        "block": block,
        "classes": json.dumps(["a", "b", "c"]),
        "image_shape": json.dumps([3, 8, 8]),
    }
    save_weights(model, path, metadata=metadata)
    return model


@pytest.mark.parametrize("block", ["identity", "repvgg"])
def test_trained_and_folded_networks_go_round(tmp_path: Path, block: str, noise: Dataset) -> None:
    trained = tmp_path / "checkpoints" / "trained.safetensors"
    model = save_trained(trained, block)
    images = network.check_images(noise)
    with torch.no_grad():
        expected = model(images)
        torch.testing.assert_close(network.load_trained(trained)(images), expected)
        folded = network.fold_network(model, images)
        save_weights(folded, tmp_path / "model.safetensors", metadata=read_metadata(trained))
        loaded = network.load_folded(tmp_path)
        torch.testing.assert_close(loaded(images), expected, rtol=1e-4, atol=1e-5)


def test_unfinished_and_damaged_runs_are_said(tmp_path: Path) -> None:
    with pytest.raises(RunError, match="has no folded network yet"):
        network.load_folded(tmp_path)
    trained = tmp_path / "checkpoints" / "trained.safetensors"
    save_trained(trained, "identity")
    model = cell_space.space_of("identity", classes=4, in_channels=3).build((0,) * 8)
    with pytest.raises(CheckpointError, match="does not hold this network's weights"):
        network.load_state(model, trained)


def test_a_family_that_is_not_known_is_said(tmp_path: Path) -> None:
    path = tmp_path / "trained.safetensors"
    save_weights(torch.nn.Linear(1, 1), path, metadata={"family": "trees"})
    with pytest.raises(CheckpointError, match="'trees'; this version knows stages, cells"):
        network.load_trained(path)
