"""Exported files against torch, in any batch size."""

import importlib.util
import json
import logging
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import onnx
import pytest
import torch
from torch import nn

from nascence.core.weights import read_metadata
from nascence.data import Dataset, Split
from nascence.export import (
    ExportError,
    check_opset,
    check_parity,
    export_onnx,
    onnx_model,
    portable,
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


def strings(message: Any) -> Iterator[str]:
    """Every text in an ONNX message, those in bytes included."""
    for field, value in message.ListFields():
        for part in value if field.is_repeated else [value]:
            if field.message_type is not None:
                yield from strings(part)
            elif isinstance(part, str):
                yield part
            elif isinstance(part, bytes) and field.name != "raw_data":
                yield part.decode()


def test_a_file_says_nothing_of_the_machine(exported: Path) -> None:
    found = list(strings(onnx.load(exported)))
    assert "images" in found
    assert "Conv" in found
    allowed = {
        "float32 (N, C, H, W), pixel values divided by 255",
        json.dumps(["one", "two", "drei ☃"]),
    }
    for text in found:
        assert text in allowed or not any(sign in text for sign in ("/", "\\", "File", ".py")), text
    content = exported.read_bytes()
    for trace in (b"site-packages", b"stack_trace", b"pkg.torch", str(Path.home()).encode()):
        assert trace not in content


def test_what_is_stripped_lies_anywhere() -> None:
    def node(*names: str, **attributes: Any) -> onnx.NodeProto:
        made = onnx.helper.make_node("If", *([name] for name in names), **attributes)
        made.doc_string = "secret"
        made.metadata_props.add(key="stack_trace", value="secret")
        return made

    inner = onnx.helper.make_graph([node("a", "b")], "inner", [], [], doc_string="secret")
    value = onnx.helper.make_tensor_value_info("x", onnx.TensorProto.FLOAT, [1], "secret")
    outer = onnx.helper.make_graph([node("x", "y", then_branch=inner)], "outer", [value], [])
    outer.initializer.append(onnx.helper.make_tensor("w", onnx.TensorProto.FLOAT, [1], [2.0]))
    outer.initializer[0].doc_string = "secret"
    proto = onnx.helper.make_model(outer, doc_string="secret")
    before = proto.SerializeToString()
    stripped = portable(proto)
    assert b"secret" in before
    assert b"secret" not in stripped.SerializeToString()
    assert proto.SerializeToString() == before
    assert stripped.graph.initializer[0].float_data == [2.0]


EXPORT_AGAIN = """
import sys, torch
from pathlib import Path
from torch import nn
from nascence.data import Dataset, Split
from nascence.export import export_onnx
torch.manual_seed(0)
model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(144, 3))
split = Split(torch.zeros(3, 3, 8, 8, dtype=torch.uint8), torch.arange(3))
data = Dataset("x", split, split, ("a", "b", "c"), (0.5,) * 3, (0.3,) * 3, (), "x")
export_onnx(model, Path(sys.argv[1]), data=data, metadata={"architecture": "a"})
"""


def test_two_exports_are_equal_to_the_byte(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    here, there = tmp_path / "here.onnx", tmp_path / "there.onnx"
    environment = {**os.environ, "PYTHONHASHSEED": "1"}
    words = [sys.executable, "-c", EXPORT_AGAIN, str(there)]
    done = subprocess.run(words, env=environment, capture_output=True, check=True)
    assert not done.stdout + done.stderr  # the exporter's chatter is not the user's concern
    monkeypatch.setattr(sys, "argv", ["", str(here)])
    with torch.random.fork_rng():
        exec(EXPORT_AGAIN, {})
    assert here.read_bytes() == there.read_bytes()


@pytest.mark.parametrize("opset", [None, 18, 21])
def test_versions_are_those_asked_for(
    model: nn.Module, data: Dataset, tmp_path: Path, opset: int | None
) -> None:
    path = tmp_path / "model.onnx"
    export_onnx(model, path, data=data, opset=opset)
    proto = onnx.load(path)
    (version,) = [each.version for each in proto.opset_import]
    assert version == (opset or version)
    # the table of https://onnx.ai/onnx/repo-docs/Versioning.html
    assert proto.ir_version == {18: 8, 19: 9, 20: 9, 21: 10}[version]
    assert check_parity(model, path, data.validation, data=data).relative_error < 1e-5


@pytest.mark.parametrize("opset", [6, 999])
def test_versions_that_cannot_be_written_are_said(
    model: nn.Module, data: Dataset, tmp_path: Path, opset: int, capfd: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(ExportError, match=rf"opset {opset}\b") as caught:
        export_onnx(model, tmp_path / "model.onnx", data=data, opset=opset)
    assert "\n" not in str(caught.value)
    with pytest.raises(ExportError, match=f"opset {opset} was asked for.*; use 18 or") as caught:
        check_opset(opset)
    assert ("later one" in str(caught.value)) is (opset < 18)
    captured = capfd.readouterr()
    assert captured.err == "", "the exporter's own warnings come through"
    assert not list(tmp_path.iterdir())


@pytest.mark.filterwarnings("ignore")  # of the exporter itself
def test_the_exporter_says_nothing_without_torchvision(monkeypatch: pytest.MonkeyPatch) -> None:
    """It has a line for each operator of torchvision that it looks for and does not find."""
    find, said = importlib.util.find_spec, []

    class Keep(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            said.append(record.getMessage())

    def without(name: str, package: str | None = None) -> Any:
        return None if name == "torchvision" else find(name, package)

    monkeypatch.setattr(importlib.util, "find_spec", without)
    log = logging.getLogger("torch.onnx._internal.exporter._registration")
    keep = Keep()
    log.addHandler(keep)
    try:
        onnx_model(nn.Linear(2, 2), (torch.zeros(1, 2),))
        assert said == []
        torch.onnx.export(nn.Linear(2, 2).eval(), (torch.zeros(1, 2),), dynamo=True, verbose=False)
        assert any("torchvision" in line for line in said)  # else this test shows nothing
    finally:
        log.removeHandler(keep)
