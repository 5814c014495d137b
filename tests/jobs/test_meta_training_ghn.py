"""A meta-training of a hypernetwork as a job."""

import dataclasses
import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from nascence.jobs.meta_training_ghn import GhnTrainingJob

SMALL = GhnTrainingJob(
    out=Path("unused"), kind="mlp", steps=3, meta_batch=2, batch_size=4, size=8, cells=(4, 4),
    channels=(8,), max_macs=500_000, learning_rate=1e-3, label_smoothing=0.1,
    splits=("val", "bn-free"), validation_networks=1, validate_every=3,
)  # fmt: skip


def run(out, job=SMALL, progress=None, **changes):
    return dataclasses.replace(job, out=out, **changes).run(progress=progress).facts()


@pytest.mark.slow
def test_a_run_its_validation_and_its_card(tmp_path: Path) -> None:
    seen: list[str] = []
    facts = run(tmp_path / "a", progress=lambda stage, fraction, line: seen.append(line))
    assert facts["finished"]
    assert facts["step"] == 3
    assert facts["validation"].keys() == {"accuracy_val", "accuracy_bn-free"}
    rows = [json.loads(line) for line in (tmp_path / "a" / "log.jsonl").read_text().splitlines()]
    assert [row["step"] for row in rows if "accuracy_val" in row] == [3]
    assert "step 3/3" in seen[-1]
    assert facts["card"]["choices"]["kind"] == "mlp"
    assert facts["card"]["steps_done"] == 3

    # the same in two processes, and in two legs
    shared = run(tmp_path / "b", processes=2)
    legs = run(tmp_path / "c", seconds=1e-6)
    assert not legs["finished"]
    run(tmp_path / "c")
    one, two, three = (load_file(tmp_path / name / "ghn.safetensors") for name in "abc")
    for name, value in one.items():
        assert torch.allclose(value, two[name], atol=1e-5), name
        assert torch.equal(value, three[name]), name
    assert shared["validation"].keys() == facts["validation"].keys()

    finished = run(tmp_path / "a")
    assert finished["step"] == 3
    assert finished["loss"] is None
    with pytest.raises(ValueError, match=r"holds a run with --size 8, not 16"):
        run(tmp_path / "a", size=16)
    (tmp_path / "a" / "choices.json").write_text("{")
    with pytest.raises(ValueError, match="is damaged"):
        run(tmp_path / "a")


def test_a_folder_with_something_else_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "letter.txt").write_text("mine")
    with pytest.raises(ValueError, match="holds something else"):
        run(tmp_path)
    assert [file.name for file in tmp_path.iterdir()] == ["letter.txt"]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"kind": "ghn9"}, "--kind is 'ghn9'"),
        ({"splits": ("val", "dev")}, "--splits has 'dev'"),
        ({"cells": (4,)}, r"--cells is \(4,\)"),
        ({"cells": (8, 4)}, "--cells"),
        ({"channels": (9,)}, "channels is 9"),
        ({"meta_batch": 0}, "meta_batch is 0"),
        ({"size": 4}, "size is 4"),
    ],
)
def test_impossible_choices_are_named(
    changes: dict[str, object], message: str, tmp_path: Path
) -> None:
    with pytest.raises(ValueError, match=message):
        run(tmp_path / "run", **changes)
    assert not (tmp_path / "run").exists()
    with pytest.raises(ValueError, match="--processes is 3 with --meta-batch 2"):
        run(tmp_path / "run", processes=3)


@pytest.mark.slow
def test_processes_that_torchrun_started_share_a_run_and_the_first_speaks(tmp_path: Path) -> None:
    """As torchrun does: two processes of one command, which find each other by the environment."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    words = [
        "meta-train", "ghn", "--out", str(tmp_path / "two"), "--kind", "mlp", "--steps", "3",
        "--meta-batch", "2", "--batch", "4", "--size", "8", "--cells", "4,4", "--channels", "8",
        "--max-macs", "500000", "--label-smoothing", "0.1", "--splits", "val,bn-free",
        "--validation-networks", "1", "--validate-every", "3", "--device", "cpu", "--json",
    ]  # fmt: skip
    group = [
        subprocess.Popen(
            [sys.executable, "-m", "nascence.cli", *words],
            env={
                **os.environ, "RANK": str(rank), "WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1",
                "MASTER_PORT": str(port), "OMP_NUM_THREADS": "1",
            },
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for rank in range(2)
    ]  # fmt: skip
    try:
        first, second = (process.communicate(timeout=300) for process in group)
    finally:
        for process in group:
            process.kill()
    assert [process.returncode for process in group] == [0, 0], (first, second)
    assert json.loads(first[0])["finished"]
    assert second[0] == ""
    run(tmp_path / "one")
    one, two = (load_file(tmp_path / name / "ghn.safetensors") for name in ("one", "two"))
    for name, value in one.items():
        assert torch.allclose(value, two[name], atol=1e-5), name


def test_a_run_of_an_earlier_version_is_known_by_its_choices(tmp_path: Path) -> None:
    """Such a folder holds ``batch`` and none of what was added since."""
    known = {
        "data": "cifar10-sample", "kind": "mlp", "steps": 3, "meta_batch": 2, "batch": 4, "size": 8,
        "cells": [4, 4], "channels": [8], "max_macs": 500000, "learning_rate": 1e-3,
        "label_smoothing": 0.1, "splits": ["val", "bn-free"], "validation_networks": 1,
        "validate_every": 3, "seed": 1,
    }  # fmt: skip
    (tmp_path / "choices.json").write_text(json.dumps(known))
    with pytest.raises(ValueError, match="holds a run with --seed 1, not 0"):
        run(tmp_path)
    assert set(SMALL.choices()) == {*known, "schedule", "average", "start", "crop", "networks"}
