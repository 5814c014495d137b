"""Legs of a meta-training from the command line, interrupts among them."""

import json
import os
import signal
from pathlib import Path

import pytest
from typer.testing import CliRunner

from nascence import cli
from nascence.hypernet import load

QUICK = [
    "--kind", "mlp", "--steps", "3", "--batch", "4", "--size", "8", "--cells", "4,4",
    "--channels", "8", "--max-macs", "500000", "--validation-networks", "1",
]  # fmt: skip


def run(*words: str):
    return CliRunner().invoke(cli.app, ["meta-train", "ghn", *words])


def test_a_run_and_its_result(tmp_path: Path) -> None:
    out = tmp_path / "run"
    result = run("--out", str(out), *QUICK, "--json", "--quiet")
    assert result.exit_code == 0, (result.output, result.exception)
    facts = json.loads(result.stdout)
    assert facts["finished"]
    assert set(facts["validation"]) == {"accuracy_val"}
    assert sum(p.numel() for p in load(facts["weights"]).parameters()) == 1_614_396
    again = run("--out", str(out), *QUICK)
    assert again.exit_code == 0
    assert "step 3 of 3, finished" in again.stdout
    assert "val:" in again.stdout


def test_networks_of_several_kinds(tmp_path: Path) -> None:
    out = tmp_path / "run"
    words = ("--out", str(out), *QUICK, "--networks", "deepnets=1,vit=1", "--quiet")
    assert run(*words).exit_code == 0
    kept = json.loads((out / "choices.json").read_text())
    assert kept["networks"] == {"deepnets": 1.0, "vit": 1.0}
    other = run("--out", str(out), *QUICK)
    assert other.exit_code == cli.USAGE
    assert "holds a run with --networks" in " ".join(other.stderr.split())
    unknown = run("--out", str(tmp_path / "b"), *QUICK, "--networks", "resnets")
    assert unknown.exit_code == cli.USAGE
    assert "--networks has 'resnets'; it may have deepnets" in " ".join(unknown.stderr.split())
    assert not (tmp_path / "b").exists()


def test_interrupt_ends_after_a_checkpoint(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from nascence.hypernet import training_run

    original = training_run.Run.advance

    def interrupted(self, networks):
        os.kill(os.getpid(), signal.SIGINT)
        return original(self, networks)

    out = tmp_path / "run"
    with monkeypatch.context() as patch:
        patch.setattr(training_run.Run, "advance", interrupted)
        result = run("--out", str(out), *QUICK)
    assert result.exit_code == cli.INTERRUPTED, (result.output, result.exception)
    assert "the same command goes on" in " ".join(result.stderr.split())
    log = run("--out", str(out), *QUICK, "--json", "--quiet")
    assert json.loads(log.stdout)["step"] == 3


def test_a_constant_run_goes_on_and_a_decay_ends_it(tmp_path: Path) -> None:
    constant, end = tmp_path / "run", tmp_path / "end"
    words = ("--schedule", "constant", "--average", "0.9", "--quiet")
    assert run("--out", str(constant), *QUICK, *words).exit_code == 0
    again = run("--out", str(constant), *QUICK, *words, "--steps", "4")
    assert again.exit_code == 0, (again.output, again.exception)
    last = run("--out", str(end), *QUICK, "--schedule", "decay", "--start", str(constant))
    assert last.exit_code == 0, (last.output, last.exception)
    assert "step 3 of 3, finished" in last.stdout
    other = run("--out", str(end), *QUICK, "--schedule", "decay")
    assert other.exit_code == cli.USAGE
    assert "holds a run with --start" in other.stderr


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--kind", "ghn9"], "--kind is 'ghn9'"),
        (["--for", "soon"], "soon"),
        (["--cells", "a,b"], "--cells is 'a'; give a whole number from 4"),
        (["--data", "missing"], "missing"),
        (["--start", "missing"], "released weights"),
        (["--schedule", "steps"], "must be one of cosine"),
        (["--processes", "2"], "--processes is 2 with --meta-batch 1"),
    ],
)
def test_bad_input_is_one_line(words: list[str], message: str, tmp_path: Path) -> None:
    result = run("--out", str(tmp_path / "run"), *QUICK, *words)
    assert result.exit_code == cli.USAGE, (result.output, result.exception)
    lines = result.stderr.strip().splitlines()
    assert len(lines) == 1
    assert message in lines[0]


def test_the_group_has_help() -> None:
    result = CliRunner().invoke(cli.app, ["meta-train", "--help"])
    assert result.exit_code == 0
    assert "ghn" in result.stdout
