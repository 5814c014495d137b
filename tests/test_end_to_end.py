"""A run that is killed in every stage ends as the undisturbed one does."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from safetensors.torch import load_file

STAGES = ("search", "train", "baseline", "fold", "export", "report")
OPTIONS = ["--trials", "10", "--steps", "40", "--size", "16", "--max-params", "20000"]
OPTIONS += ["--checkpoint-seconds", "0.2", "--quiet"]
FAMILIES = {
    "stages": [],
    "cells": ["--block", "repvgg", "--start", "predicted", "--optimizer", "learned"],
}


def command(*words: str) -> subprocess.Popen:
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    return subprocess.Popen(
        [sys.executable, "-m", "nascence.cli", *words],
        env=environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
    )


def finish(process: subprocess.Popen) -> None:
    _, stderr = process.communicate(timeout=200)
    assert process.returncode == 0, stderr.decode()


def events(run: Path) -> list[dict]:
    path = run / "events.jsonl"
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def in_the_middle_of(stage: str, run: Path) -> bool:
    """The stage has begun and, where it goes step by step, some of its work is on the disk."""
    if not any(e["event"] == "started" and e["stage"] == stage for e in events(run)):
        return False
    if stage == "search":
        journal = run / "study.journal"  # of the family of cells; that of stages has a plan
        if journal.exists():
            return journal.read_text().count('"architecture"') >= 3
        return (run / "stages" / "search.plan.json").exists()
    if stage in ("train", "baseline"):
        return any((run / "checkpoints").glob(f"{stage}*.pt"))
    return True


def kill_in(stage: str, run: Path, *words: str) -> None:
    process = command(*words)
    deadline = time.monotonic() + 120
    while not in_the_middle_of(stage, run):
        assert process.poll() is None, f"ended before it could be killed in {stage}"
        assert time.monotonic() < deadline
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    finished = [e["stage"] for e in events(run) if e["event"] == "finished"]
    assert stage not in finished, f"the stage {stage} was over before the kill"


def history(run: Path) -> list[dict]:
    return json.loads((run / "stages" / "search.json").read_text())["candidates"]


@pytest.mark.slow
@pytest.mark.timeout(400)
@pytest.mark.parametrize("family", FAMILIES)
def test_killed_in_each_stage_and_resumed(tmp_path: Path, family: str) -> None:
    calm, stormy = tmp_path / "calm", tmp_path / "stormy"
    options = [*OPTIONS, "--family", family, *FAMILIES[family]]
    undisturbed = command("design", "--out", str(calm), *options)
    words = ["design", "--out", str(stormy), *options]
    for stage in STAGES:
        kill_in(stage, stormy, *words)
        words = ["resume", str(stormy), "--quiet"]
    finish(command(*words))
    finish(undisturbed)

    assert history(stormy) == history(calm)
    for name in ("checkpoints/trained", "checkpoints/baseline", "model"):
        expected = load_file(calm / f"{name}.safetensors")
        actual = load_file(stormy / f"{name}.safetensors")
        assert actual.keys() == expected.keys()
        for key, value in expected.items():
            assert value.numpy().tobytes() == actual[key].numpy().tobytes(), (name, key)
    assert (stormy / "model.onnx").exists()
    assert (stormy / "report.html").exists()
