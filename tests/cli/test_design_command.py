"""The commands ``design`` and ``resume``: help, options, and errors on one line."""

import errno
import json
import os
import resource
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import onnx
import pytest
from PIL import Image
from typer.testing import CliRunner, Result

from nascence import cli

QUICK = ["--trials", "3", "--steps", "4", "--size", "8", "--max-params", "20000", "--quiet"]


def run(*words: str) -> Result:
    return CliRunner().invoke(cli.app, list(words))


def refusal(result: Result) -> str:
    """The one line of a refused command."""
    assert result.exit_code == cli.USAGE, (result.exit_code, result.output, result.exception)
    lines = [line for line in result.stderr.splitlines() if line.strip()]
    assert len(lines) == 1, lines
    assert lines[0].startswith("nascence: ")
    assert not result.stdout
    return lines[0]


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """Two classes of ten images each, told apart by their colour."""
    rng = np.random.default_rng(0)
    for name, channel in (("red", 0), ("blue", 2)):
        (tmp_path / "photos" / name).mkdir(parents=True)
        for index in range(10):
            pixels = rng.integers(0, 80, (12, 12, 3), dtype=np.uint8)
            pixels[..., channel] += 150
            Image.fromarray(pixels).save(tmp_path / "photos" / name / f"{index}.png")
    return tmp_path / "photos"


def test_help_is_quick_and_loads_no_torch() -> None:
    seconds = []
    for _ in range(3):
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        done = subprocess.run(
            [sys.executable, "-m", "nascence.cli", "--help"], capture_output=True, check=True
        )
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        seconds.append(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
    assert b"design" in done.stdout
    # Processor time: the wall clock also counts what else the machine is busy with.
    assert min(seconds) < 0.5
    loaded = "import sys, nascence.cli; print('torch' in sys.modules, 'optuna' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", loaded], capture_output=True, check=True)
    assert done.stdout.split() == [b"False", b"False"]


def test_version() -> None:
    assert run("--version").stdout.strip() == __import__("nascence").__version__


def test_help_names_every_family() -> None:
    from nascence.design.families import FAMILIES

    words = run("design", "--help").stdout
    assert all(name in words for name in FAMILIES)


def test_unknown_option_is_refused() -> None:
    assert run("design", "--bugdet", "3m").exit_code == cli.USAGE


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--budget", "soon"], "budget is 'soon'; give a time such as 90s"),
        (["--size", "3"], "--size is 3"),
        (["--seed", "-1"], "--seed is -1"),
        (["--max-params", "0"], "--max-params is 0"),
        (["--device", "tpu"], "--device is 'tpu'"),
        (["--start", "zero"], "--start is 'zero'"),
        (["--optimizer", "adam"], "--optimizer is 'adam'"),
        (
            ["--family", "trees"],
            "--family is 'trees'; it must be one of stages, cells",
        ),
        (["--family", "mdeq", "--start", "predicted"], "with --family mdeq it can be random"),
        (["--family", "mdeq", "--optimizer", "sgd"], "--family mdeq it can be adamw or learned"),
        (["--opset", "0"], "--opset is 0"),
        (["--classes", "3"], "10 classes, more than --classes 3"),
        (["--max-params", "10"], r"--max-params 10: the smallest has [\d,]+ parameters"),
        (["--max-latency-ms", "1e-6"], r"--max-latency-ms 1e-06: the smallest takes [\d.]+ ms"),
    ],
)
def test_bad_options_are_one_line(tmp_path: Path, options: list[str], message: str) -> None:
    import re

    line = refusal(run("design", "--out", str(tmp_path / "run"), *QUICK, *options))
    assert re.search(message, line), line


def test_bad_data_is_one_line(tmp_path: Path, photos: Path) -> None:
    out = ["--out", str(tmp_path / "run"), *QUICK]
    assert "missing" in refusal(run("design", str(tmp_path / "missing"), *out))
    (tmp_path / "empty").mkdir()
    assert "empty" in refusal(run("design", str(tmp_path / "empty"), *out))
    for path in (photos / "blue").iterdir():
        path.unlink()
    assert "one class" in refusal(run("design", str(photos), *out)).lower()
    assert not (tmp_path / "run").exists()


def test_design_end_to_end_on_a_folder(tmp_path: Path, photos: Path) -> None:
    (photos / "red" / "broken.png").write_bytes(b"\x89PNG cut")
    out = tmp_path / "run"
    result = run("design", str(photos), "--out", str(out), *QUICK, "--json")
    assert result.exit_code == 0, (result.output, result.exception)
    summary = json.loads(result.stdout)
    designed, baseline = summary["networks"]
    assert designed["parameters"] <= 20000
    assert summary["onnx"]["same_top1"] == summary["onnx"]["images"]
    assert summary["onnx"]["relative_error"] < 1e-4
    assert designed["train_steps"] == baseline["train_steps"] == 4
    for name in ("config.yaml", "env.json", "stages/search.json", "events.jsonl", "report.html"):
        assert (out / name).stat().st_size > 0
    assert "broken.png" in (out / "report.html").read_text()

    before = {path: path.read_bytes() for path in out.rglob("*") if path.is_file()}
    assert "already holds a run" in refusal(run("design", str(photos), "--out", str(out), *QUICK))
    again = run("resume", str(out), "--quiet")
    assert again.exit_code == 0
    assert "accuracy" in again.stdout
    assert "broken.png" in again.stdout
    assert before == {path: path.read_bytes() for path in out.rglob("*") if path.is_file()}

    from nascence.data import load
    from nascence.design import load_folded
    from nascence.export import check_parity

    data = load(photos, size=8)
    parity = check_parity(load_folded(out), out / "model.onnx", data.validation, data=data)
    assert parity.relative_error < 1e-4


def test_names_from_outside_are_never_markup(tmp_path: Path, photos: Path) -> None:
    """Rich would read them as the end of a style that never began, and raise."""
    named = photos.with_name("[bold]photos [link=x] \x1b[2J")
    photos.rename(named)
    (named / "red").rename(named / "[red]")
    (named / "blue" / "[").mkdir()
    (named / "blue" / "[" / "].png").write_bytes(b"no picture")  # together they are [/]
    out = tmp_path / "[run]"
    words = ["design", str(named), "--out", str(out), *QUICK, "--no-baseline"]
    result = run(*words)
    assert result.exit_code == 0, (result.output, result.exception)
    assert "[bold]photos [link=x] " in result.stdout
    assert "\x1b" not in result.stdout
    assert "[/].png" in result.stdout
    assert f"Report {out / 'report.html'}" in result.stdout
    assert "[red]" in (out / "report.html").read_text()


def test_repeated_images_are_no_obstacle(tmp_path: Path, photos: Path) -> None:
    for name in ("3.png", "4.png"):
        shutil.copy(photos / "red" / "0.png", photos / "blue" / name)
        shutil.copy(photos / "red" / "0.png", photos / "red" / name)
    out = ["--out", str(tmp_path / "run"), *QUICK, "--no-baseline"]
    result = run("design", str(photos), *out)
    assert result.exit_code == 0, (result.output, result.exception)
    assert "No score tells" not in result.stdout


def test_black_images_are_said_to_be_indistinct(tmp_path: Path, photos: Path) -> None:
    for path in photos.rglob("*.png"):
        Image.new("RGB", (12, 12)).save(path)
    result = run("design", str(photos), "--out", str(tmp_path / "run"), *QUICK, "--no-baseline")
    assert result.exit_code == 0, (result.output, result.exception)


def test_predicted_start_and_learned_optimizer_together(tmp_path: Path, photos: Path) -> None:
    out = tmp_path / "run"
    words = ["--start", "predicted", "--optimizer", "learned"]
    words += ["--family", "cells", "--block", "repvgg"]
    words += ["--opset", "19"]
    result = run("design", str(photos), "--out", str(out), *QUICK, *words, "--json")
    assert result.exit_code == 0, (result.output, result.exception)
    summary = json.loads(result.stdout)
    assert (summary["start"], summary["optimizer"]) == ("predicted", "learned")
    assert 0 <= summary["accuracy_before_training"] <= 1
    assert onnx.load(out / "model.onnx").opset_import[0].version == 19
    page = (out / "report.html").read_text()
    assert "the released learned optimizer from parameters that" in page


def test_changed_images_stop_a_resume(tmp_path: Path, photos: Path) -> None:
    out = tmp_path / "run"
    assert run("design", str(photos), "--out", str(out), *QUICK).exit_code == 0
    (photos / "red" / "0.png").unlink()
    assert "have changed" in refusal(run("resume", str(out), "--quiet"))


def test_full_disk_is_one_line_and_the_run_goes_on_later(
    tmp_path: Path, photos: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out, real, calls = tmp_path / "run", os.fsync, 0

    def no_space_left(descriptor: int) -> None:
        nonlocal calls
        calls += 1
        if (out / "checkpoints").exists():
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        real(descriptor)

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", no_space_left)
        line = refusal(run("design", str(photos), "--out", str(out), *QUICK))
    assert "No space left" in line
    assert calls
    assert not list((out / "checkpoints").iterdir())
    assert run("resume", str(out), "--quiet").exit_code == 0


def test_resume_of_nothing(tmp_path: Path) -> None:
    assert "holds no run" in refusal(run("resume", str(tmp_path)))


def test_interrupt_leaves_a_resumable_run(
    tmp_path: Path, photos: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import signal

    from nascence.training import loop as training

    out, original = tmp_path / "run", training.augment

    def interrupt_once(*arguments: object, **options: object) -> object:
        monkeypatch.setattr(training, "augment", original)
        os.kill(os.getpid(), signal.SIGINT)
        return original(*arguments, **options)

    # The first training step of the stage, not of the measurements before it.
    options = ["design", str(photos), "--out", str(out), *QUICK]
    monkeypatch.setattr(training, "augment", interrupt_once)
    result = run(*options)
    assert result.exit_code == cli.INTERRUPTED
    assert f"nascence resume {out}" in " ".join(result.stderr.split())
    assert run("resume", str(out), "--quiet").exit_code == 0
