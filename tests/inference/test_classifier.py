"""The classifier of a file: what it takes and gives, and what files it refuses."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from onnx import TensorProto, helper

from nascence.inference import ClassifierError, read_classifier
from nascence.inference.classifier import INPUT
from tests.inference.conftest import SIDE, Made


def linear(path: Path, shape: list[int | str], *, softmax: bool = False, classes: int = 2) -> Path:
    """A network of someone else: the mean of the image, times a row of weights."""
    weights = np.linspace(-1, 1, classes, dtype=np.float32)[None]
    nodes = [
        helper.make_node("ReduceMean", ["x"], ["mean"], axes=[1, 2, 3], keepdims=0),
        helper.make_node("Unsqueeze", ["mean", "axis"], ["column"]),
        helper.make_node("MatMul", ["column", "weights"], ["product"]),
        helper.make_node("Softmax" if softmax else "Identity", ["product"], ["y"]),
    ]
    graph = helper.make_graph(
        nodes,
        "linear",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [shape[0], 2])],
        [
            helper.make_tensor("axis", TensorProto.INT64, [1], [1]),
            helper.make_tensor("weights", TensorProto.FLOAT, weights.shape, weights.ravel()),
        ],
    )
    proto = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    helper.set_model_props(proto, {"classes": '["dark", "bright"]', "input": INPUT})
    onnx.save(proto, path)
    return path


def images(count: int) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (count, 3, SIDE, SIDE), dtype=np.uint8)


def test_probabilities_are_those_of_torch(made: Made) -> None:
    classifier = read_classifier(made.path)
    assert classifier.class_names == ("cats", "dogs")
    assert classifier.form.shape == (3, SIDE, SIDE)
    pixels = images(150)  # more than one batch
    found = classifier.probabilities(pixels)
    with torch.no_grad():
        expected = made.model(made.data.normalise(torch.from_numpy(pixels))).softmax(1)
    assert np.abs(found - expected.numpy()).max() < 1e-5


@pytest.mark.parametrize("softmax", [False, True])
@pytest.mark.parametrize("batch", [1, 4, "n"])
def test_files_of_others_work_with_metadata(
    tmp_path: Path, softmax: bool, batch: int | str
) -> None:
    path = linear(tmp_path / "x.onnx", [batch, 3, SIDE, SIDE], softmax=softmax)
    pixels = images(10)
    means = pixels.reshape(10, -1).astype(np.float64).mean(1) / 255
    expected = 1 / (1 + np.exp(-2 * means))
    found = read_classifier(path).probabilities(pixels)
    assert np.abs(found[:, 1] - expected).max() < 1e-5


def test_no_images(made: Made) -> None:
    assert read_classifier(made.path).probabilities(images(0)).shape == (0, 2)


@pytest.mark.parametrize(
    ("properties", "said"),
    [
        ({}, "'classes' and 'input'"),
        ({"classes": '["a", "b"]'}, "lacks 'input'"),
        ({"input": INPUT}, "lacks 'classes'"),
        ({"classes": '["a", "b"]', "input": "bytes"}, "takes 'bytes'"),
        ({"classes": "[1, 2]", "input": INPUT}, "a name is not a text"),
        ({"classes": "{", "input": INPUT}, "list of classes in"),
        ({"classes": "[" * 100_000, "input": INPUT}, "list of classes in"),
    ],
)
def test_metadata_that_is_missing_or_wrong(
    change_metadata: Callable[[dict[str, str]], Path], properties: dict[str, str], said: str
) -> None:
    with pytest.raises(ClassifierError, match=said) as caught:
        read_classifier(change_metadata(properties))
    assert "set_model_props" in str(caught.value)


def test_another_number_of_names_than_of_outputs(
    change_metadata: Callable[[dict[str, str]], Path],
) -> None:
    classifier = read_classifier(
        change_metadata({"classes": json.dumps(["a", "b", "c"]), "input": INPUT})
    )
    with pytest.raises(ClassifierError, match="names 3 classes"):
        classifier.probabilities(images(1))


@pytest.mark.parametrize("shape", [["n", 3, "h", "w"], ["n", 4, 8, 8], ["n", 3, 8]])
def test_inputs_that_are_no_images(tmp_path: Path, shape: list[int | str]) -> None:
    path = tmp_path / "x.onnx"
    info = helper.make_tensor_value_info("x", TensorProto.FLOAT, shape)
    graph = helper.make_graph([helper.make_node("Identity", ["x"], ["y"])], "g", [info], [
        helper.make_tensor_value_info("y", TensorProto.FLOAT, shape)
    ])  # fmt: skip
    proto = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    helper.set_model_props(proto, {"classes": '["a"]', "input": INPUT})
    onnx.save(proto, path)
    with pytest.raises(ClassifierError, match="needed is one float32 input"):
        read_classifier(path)


def test_what_is_no_network(tmp_path: Path, made: Made) -> None:
    with pytest.raises(FileNotFoundError, match="nothing at"):
        read_classifier(tmp_path / "none")
    with pytest.raises(ClassifierError, match="holds no run"):
        read_classifier(tmp_path)
    (tmp_path / "config.yaml").write_text("data: x\n")
    with pytest.raises(ClassifierError, match="not finished; go on with it by `nascence resume"):
        read_classifier(tmp_path)
    for content in (b"", b"no model", made.path.read_bytes()[:500]):
        (tmp_path / "model.onnx").write_bytes(content)
        with pytest.raises(ClassifierError, match="not an ONNX file"):
            read_classifier(tmp_path)


def test_a_framing_that_is_not_known_is_refused(
    change_metadata: Callable[[dict[str, str]], Path], made: Made
) -> None:
    known = {"classes": '["a", "b"]', "input": INPUT}
    assert read_classifier(change_metadata(known)).form.framing == "crop"
    with pytest.raises(ClassifierError, match="framed as 'fisheye'"):
        read_classifier(change_metadata({**known, "input_framing": "fisheye"}))
