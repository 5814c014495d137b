"""The command that folds a network: what it writes, and its errors."""

import json
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from typer.testing import CliRunner

from nascence import cli
from nascence.reparam.networks import RepVGG

SMALL = ["--shape", "1,3,32,32"]


def run(*words: str):
    return CliRunner().invoke(cli.app, ["fold", *words])


def test_named_network_is_folded_and_written(tmp_path: Path) -> None:
    path = tmp_path / "out.onnx"
    result = run("repvgg-a0", *SMALL, "--onnx", str(path), "--json")
    assert result.exit_code == 0, (result.output, result.exception)
    facts = json.loads(result.stdout)
    assert facts["after"]["batch_norms"] == 0 < facts["before"]["batch_norms"]
    assert facts["after"]["parameters"] < facts["before"]["parameters"]
    assert facts["error"] < 1e-12
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    assert "BatchNormalization" not in path.read_bytes().decode("latin1")
    assert session.run(None, {session.get_inputs()[0].name: torch.zeros(1, 3, 32, 32).numpy()})


def test_any_named_network_is_taken() -> None:
    result = run("resnet20", *SMALL, "--json")
    assert result.exit_code == 0, (result.output, result.exception)
    facts = json.loads(result.stdout)
    assert facts["after"]["batch_norms"] < facts["before"]["batch_norms"] / 4


def test_weights_of_a_file_are_folded(tmp_path: Path) -> None:
    torch.save(RepVGG("A0").state_dict(), tmp_path / "trained.pt")
    out = tmp_path / "folded.safetensors"
    result = run(str(tmp_path / "trained.pt"), "--architecture", "repvgg-a0", *SMALL,
                 "--out", str(out))  # fmt: skip
    assert result.exit_code == 0, (result.output, result.exception)
    assert "parameters:" in result.stdout
    assert out.stat().st_size > 1e6


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["nonsense"], "no network 'nonsense'"),
        (["repvgg-z9"], "no RepVGG"),
        (["mobileone-s7"], "no MobileOne"),
        (["missing.pt", "--architecture", "repvgg-a0"], "no checkpoint at missing.pt"),
        (["trained.pt"], "no checkpoint at trained.pt"),
        (["repvgg-a0", "--shape", "1,x"], "--shape is 'x'"),
        (["repvgg-a0", "--shape", "1,0,3,3"], "--shape is 0; give"),
    ],
)
def test_bad_input_is_one_line(words: list[str], message: str) -> None:
    result = run(*words)
    assert result.exit_code == cli.USAGE
    lines = result.stderr.strip().splitlines()
    assert len(lines) == 1
    assert message in lines[0]


def test_a_file_is_never_overwritten(tmp_path: Path) -> None:
    (tmp_path / "a.onnx").write_text("mine")
    result = run("repvgg-a0", *SMALL, "--onnx", str(tmp_path / "a.onnx"))
    assert result.exit_code == cli.USAGE
    assert "there already" in result.stderr
    assert (tmp_path / "a.onnx").read_text() == "mine"


BROKEN = """
import torch
class Recursion(torch.nn.Module):
    def forward(self, x):
        return self(x)
class Exits(torch.nn.Module):
    def forward(self, x):
        raise SystemExit(0)
class Twice(torch.nn.Module):
    calls = []
    def forward(self, x):
        self.calls.append(1)
        if len(self.calls) > 2:
            raise KeyError("gone")
        return x
class State(torch.nn.Linear):
    def __init__(self):
        super().__init__(8, 2)
    def state_dict(self, *args, **kwargs):
        raise KeyError("no state")
"""


@pytest.mark.parametrize("name", ["Recursion", "Exits", "Twice", "State"])
def test_whatever_a_python_file_does_is_one_line(name: str, tmp_path: Path) -> None:
    (tmp_path / "broken.py").write_text(BROKEN)
    result = run(f"{tmp_path}/broken.py:{name}", "--shape", "1,3,8,8")
    assert result.exit_code == cli.USAGE, (result.output, result.exception)
    assert len(result.stderr.strip().splitlines()) == 1


def test_absurd_shapes_and_one_file_for_both(tmp_path: Path) -> None:
    for shape in ("2147483648,3,16,16", "9" * 30 + ",3,8,8", "1,3,65536,65536"):
        result = run("resnet20", "--shape", shape)
        assert result.exit_code == cli.USAGE
        assert "; give a whole number from 1 to" in result.stderr
    same = str(tmp_path / "same")
    result = run("resnet20", *SMALL, "--onnx", same, "--out", same)
    assert result.exit_code == cli.USAGE
    assert "give two files" in result.stderr
    assert not (tmp_path / "same").exists()


@pytest.fixture
def onnx_file(tmp_path: Path) -> Path:
    """A convolution and its BatchNorm."""
    layers = torch.nn.Sequential(torch.nn.Conv2d(3, 4, 3), torch.nn.BatchNorm2d(4)).eval()
    torch.manual_seed(0)
    weight, bias = layers[0].weight.detach().numpy(), layers[0].bias.detach().numpy()
    text = (
        '<ir_version: 8, opset_import: ["" : 17]> g (float[N,3,H,W] x) => (float[n,c,h,w] y) '
        "{ a = Conv(x, w, b)  y = BatchNormalization(a, s, b, b, s) }"
    )
    model = onnx.parser.parse_model(text)
    parts = {"w": weight, "b": bias, "s": np.full(4, 2, np.float32)}
    model.graph.initializer.extend(onnx.numpy_helper.from_array(v, k) for k, v in parts.items())
    onnx.save(model, tmp_path / "model.onnx")
    return tmp_path / "model.onnx"


def test_an_onnx_file_is_folded_into_another(onnx_file: Path, tmp_path: Path) -> None:
    out = tmp_path / "small.onnx"
    result = run(str(onnx_file), "--out", str(out), "--json")
    assert result.exit_code == 0, (result.output, result.exception)
    facts = json.loads(result.stdout)
    assert (facts["before"]["nodes"], facts["after"]["nodes"]) == (2, 1)
    assert facts["files"] == [str(out)]
    assert facts["error_in_dtype"] < 1e-5
    assert [node.op_type for node in onnx.load(out).graph.node] == ["Conv"]
    text = run(str(onnx_file)).stdout
    assert "nodes: 2 -> 1" in text


def test_bad_onnx_input_is_one_line(onnx_file: Path, tmp_path: Path) -> None:
    (tmp_path / "bad.onnx").write_bytes(onnx_file.read_bytes()[:300])
    (tmp_path / "there.onnx").write_text("mine")
    same = str(onnx_file)
    for words, message in (
        ([str(tmp_path / "bad.onnx")], "bad.onnx"),
        ([str(tmp_path / "none.onnx")], "none.onnx"),
        ([same, "--out", str(tmp_path / "there.onnx")], "there already"),
        ([same, "--out", same], "there already"),
        ([same, "--onnx", str(tmp_path / "new.onnx")], "--out"),
        ([same, "--deploy"], "--deploy goes with a PyTorch network"),
        ([same, "--architecture", "resnet20"], "--architecture"),
        ([same, "--shape", "1,x"], "--shape is"),
        ([same, "--inputs", str(tmp_path / "none.npz")], "none.npz"),
        (["resnet20", "--inputs", str(tmp_path / "none.npz")], "goes with an ONNX file"),
    ):
        before = onnx_file.read_bytes()
        result = run(*words)
        assert result.exit_code == cli.USAGE, (words, result.output, result.exception)
        lines = result.stderr.strip().splitlines()
        assert len(lines) == 1
        assert message in lines[0]
        assert onnx_file.read_bytes() == before


def test_a_file_that_cannot_be_written_leaves_nothing_behind(
    onnx_file: Path, tmp_path: Path
) -> None:
    before = sorted(tmp_path.iterdir())
    for out in ("/dev/full/small.onnx", str(onnx_file / "small.onnx")):
        result = run(str(onnx_file), "--out", out)
        assert result.exit_code == cli.USAGE
        assert len(result.stderr.strip().splitlines()) == 1
    assert sorted(tmp_path.iterdir()) == before
