"""The command that predicts parameters: what it says and writes."""

import json
import sys
from pathlib import Path

import pytest
from safetensors.torch import load_file
from typer.testing import CliRunner

from nascence import cli
from nascence.models import build

QUICK = ["--size", "8", "--images", "100"]


def run(*words: str):
    return CliRunner().invoke(cli.app, ["predict", *words])


def test_prediction_is_measured_and_saved(tmp_path: Path) -> None:
    out = tmp_path / "start.safetensors"
    result = run("resnet20", *QUICK, "--out", str(out), "--json")
    assert result.exit_code == 0, (result.output, result.exception)
    facts = json.loads(result.stdout)
    assert facts["network"] == "resnet20"
    assert facts["validation_images"] == 100
    assert set(facts["accuracy"]) >= {"predicted", "random"}
    model = build("resnet20", classes=10)
    model.load_state_dict(load_file(out))
    assert facts["parameters"] == sum(value.numel() for value in model.parameters())

    again = run("resnet20", *QUICK, "--json")
    assert json.loads(again.stdout)["accuracy"] == facts["accuracy"]
    table = run(str(out), "--architecture", "resnet20", *QUICK)
    assert table.exit_code == 0, (table.output, table.exception)
    assert "file, closed-form head" in table.stdout
    # the file is the prediction itself, so its own accuracy is that of the prediction
    files = json.loads(run(str(out), "--architecture", "resnet20", *QUICK, "--json").stdout)
    assert files["accuracy"]["file"] == facts["accuracy"]["predicted, closed-form head"]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["nonsense"], "there is no network 'nonsense'"),
        (["resnet20", "--data", "missing"], "missing"),
        (["resnet20", "--head", "svm"], "--head is 'svm'"),
        (["resnet20", "--images", "1"], "--images is 1"),
        (["resnet20", "--classes", "3", *QUICK], "--classes is 3 but the data has 10"),
        (["resnet20", "--device", "tpu"], "--device is 'tpu'"),
        (["resnet20", "--weights", "nothing"], "nor the name of released weights"),
        (["resnet20", "--out", "there.safetensors"], "is there already"),
        (["vit_cifar", *QUICK], "8"),
        (["missing.pt", "--architecture", "resnet20", *QUICK], "no checkpoint at missing.pt"),
        (["weights.pt"], "no checkpoint at weights.pt"),
    ],
)
def test_bad_input_is_one_line(
    words: list[str], message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "there.safetensors").write_text("mine")
    result = run(*words)
    assert result.exit_code == cli.USAGE, (result.output, result.exception)
    lines = result.stderr.strip().splitlines()
    assert len(lines) == 1
    assert message in lines[0]
    assert (tmp_path / "there.safetensors").read_text() == "mine"


def test_a_missing_library_names_its_command(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "timm", None)
    result = run("timm/resnet18", *QUICK)
    assert result.exit_code == cli.MISSING_EXTRA
    assert "pip install timm" in result.stderr
