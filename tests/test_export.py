import json
from pathlib import Path

import pytest
import torch
from torch import nn

from nascence.data import Dataset, Split
from nascence.export import (
    check_parity,
    export_onnx,
    read_metadata,
    run_onnx,
    save_weights,
)


@pytest.fixture(scope="module")
def data() -> Dataset:
    generator = torch.Generator().manual_seed(0)
    images = torch.randint(0, 256, (21, 3, 8, 8), generator=generator, dtype=torch.uint8)
    split = Split(images, torch.arange(21) % 3)
    return Dataset(
        name="noise",
        train=split,
        validation=split,
        class_names=("one", "two", "drei ☃"),
        mean=(0.5, 0.4, 0.3),
        std=(0.2, 0.25, 0.3),
        skipped=(),
        fingerprint="noise",
    )


@pytest.fixture(scope="module")
def model() -> nn.Module:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return nn.Sequential(
            nn.Conv2d(3, 4, 3, padding=1),
            nn.BatchNorm2d(4),
            nn.ReLU(),
            nn.AdaptiveAvgPool2d(1),
            nn.Flatten(),
            nn.Linear(4, 3),
        ).eval()


@pytest.fixture(scope="module")
def exported(model: nn.Module, data: Dataset, tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("onnx") / "model.onnx"
    export_onnx(model, path, data=data, metadata={"architecture": "a cell"})
    return path


def test_onnx_takes_pixels_and_any_batch(exported: Path, model: nn.Module, data: Dataset) -> None:
    with torch.no_grad():
        expected = model(data.normalise(data.validation.images))
    for batch_size in (1, 4, 21):
        actual = run_onnx(exported, data.validation.images, batch_size=batch_size)
        torch.testing.assert_close(actual, expected, rtol=1e-4, atol=1e-5)


def test_onnx_carries_the_class_names(exported: Path) -> None:
    import onnxruntime

    session = onnxruntime.InferenceSession(str(exported), providers=["CPUExecutionProvider"])
    found = session.get_modelmeta().custom_metadata_map
    assert json.loads(found["classes"]) == ["one", "two", "drei ☃"]
    assert found["architecture"] == "a cell"


def test_parity_holds_and_can_fail(exported: Path, model: nn.Module, data: Dataset) -> None:
    parity = check_parity(model, exported, data.validation, data=data)
    assert (parity.images, parity.same_top1) == (21, 21)
    assert parity.relative_error < 1e-5
    other = nn.Sequential(*model)
    other[-1] = nn.Linear(4, 3)
    assert check_parity(other.eval(), exported, data.validation, data=data).relative_error > 1e-2


def test_weights_go_round_with_shared_tensors_and_metadata(tmp_path: Path) -> None:
    from safetensors.torch import load_file

    layer = nn.Linear(4, 4)
    model = nn.Sequential(layer, nn.ReLU(), layer)
    save_weights(model, tmp_path / "a.safetensors", metadata={"classes": "4"})
    assert read_metadata(tmp_path / "a.safetensors") == {"classes": "4"}
    tensors = load_file(tmp_path / "a.safetensors")
    assert set(tensors) == {"0.weight", "0.bias"}
    assert torch.equal(tensors["0.weight"], layer.weight)
