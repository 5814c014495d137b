import json
from pathlib import Path

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
        (["trained.pt"], "name its network with --architecture"),
        (["repvgg-a0", "--shape", "1,x"], "--shape is '1,x'"),
        (["repvgg-a0", "--shape", "1,0,3,3"], "--shape is '1,0,3,3'"),
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
