import json
import math
from pathlib import Path

import pytest
import torch

from nascence.core.randomness import derived_seed
from nascence.data import Dataset
from nascence.design import network, recipe
from nascence.design.folder import RunError
from nascence.export import save_weights
from nascence.metrics import naswot
from nascence.params import CheckpointError
from nascence.search import LimitError, sample_allowed

CELL = "|nor_conv_3x3~0|+|none~0|none~1|+|skip_connect~0|nor_conv_1x1~1|none~2|;width=8;cells=2"
DEAD = "|none~0|+|none~0|nor_conv_3x3~1|+|skip_connect~0|none~1|none~2|;width=8;cells=2"


@pytest.fixture
def cost(tmp_path: Path) -> network.Cost:
    space = network.deployed_space_of(classes=3, in_channels=3)
    measured = tmp_path / "latencies.json"
    return network.Cost(space, block="identity", side=8, in_channels=3, measured=measured)


def test_work_of_a_hand_worked_cell(cost: network.Cost) -> None:
    architecture = cost.space.parse(CELL)
    first = 8 * 8 * 8
    maps = 4 + 4 + 1  # a 3x3 and a 1x1 convolution and a skip connection
    cells = 2 * maps * (first + first / 2 + first / 4)
    fixed = 2 * first + 10 * (first / 2 + first / 4)
    expected = cost.macs(architecture) + recipe.VALUE_COST * (cells + fixed)
    assert cost.work(architecture) == expected


def test_dead_edges_are_no_work(cost: network.Cost) -> None:
    alive = cost.space.parse(DEAD.replace("nor_conv_3x3", "none"))
    assert cost.work(cost.space.parse(DEAD)) == cost.work(alive)


def test_score_is_codes_per_image_and_macs(cost: network.Cost, noise: Dataset) -> None:
    space = network.space_of("identity", classes=3, in_channels=3)
    batch = noise.batch(12, generator=torch.Generator().manual_seed(1))
    architecture = space.parse(CELL)
    model = network.build(
        space, architecture, seed=derived_seed(5, *architecture, derivation="search")
    )
    expected = naswot(model, batch) / 12 + math.log(cost.macs(architecture))
    assert network.Score(space, cost, batch, seed=5)(architecture) == pytest.approx(expected)


def test_latencies_are_measured_once_and_kept(cost: network.Cost) -> None:
    architecture = cost.space.parse(CELL)
    first = cost.latency_ms(architecture)
    assert first > 0
    again = network.Cost(cost.space, block="identity", side=8, in_channels=3, measured=cost._file)
    assert again.latency_ms(architecture) == first


def test_what_is_too_large_is_not_measured(cost: network.Cost) -> None:
    limits = cost.limits(work=1e9, parameters=500, latency_ms=1e6)
    assert not limits(cost.space.parse(CELL))
    assert not cost._file.exists()
    assert cost.limits(work=1e9, parameters=None, latency_ms=1e6)(cost.space.parse(CELL))
    assert cost._file.exists()


def test_an_impossible_limit_is_said(cost: network.Cost) -> None:
    limits = cost.limits(work=1e9, parameters=5, latency_ms=None)
    generator = torch.Generator().manual_seed(0)
    with pytest.raises(LimitError, match=r"parameters <= 5.*smallest had"):
        sample_allowed(cost.space, allowed=limits, known=(), generator=generator)


def save_trained(path: Path, block: str) -> torch.nn.Module:
    space = network.space_of(block, classes=3, in_channels=3)
    architecture = space.parse(CELL)
    model = network.build(space, architecture, seed=1).eval()
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
        from nascence.export import read_metadata

        save_weights(folded, tmp_path / "model.safetensors", metadata=read_metadata(trained))
        loaded = network.load_folded(tmp_path)
        torch.testing.assert_close(loaded(images), expected, rtol=1e-4, atol=1e-5)


def test_unfinished_and_damaged_runs_are_said(tmp_path: Path) -> None:
    with pytest.raises(RunError, match="has no folded network yet"):
        network.load_folded(tmp_path)
    trained = tmp_path / "checkpoints" / "trained.safetensors"
    save_trained(trained, "identity")
    model = network.space_of("identity", classes=4, in_channels=3).build((0,) * 8)
    with pytest.raises(CheckpointError, match="does not hold this network's weights"):
        network.load_state(model, trained)


def test_baseline_is_of_the_cost_asked_for() -> None:
    from nascence.graph import count_macs

    model = network.baseline(2_000_000, classes=3, image_shape=(3, 16, 16), seed=0)
    assert count_macs(model, torch.zeros(1, 3, 16, 16)) == pytest.approx(2e6, rel=0.05)
    other = network.baseline(2_000_000, classes=3, image_shape=(3, 16, 16), seed=0)
    for one, two in zip(model.parameters(), other.parameters(), strict=True):
        assert torch.equal(one, two)
