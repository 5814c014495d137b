"""Data, networks and legs of a meta-training, without the command line."""

import dataclasses
import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from nascence.cli.meta_training import Choices, networks_of, run

SMALL = Choices(
    data="cifar10-sample", kind="mlp", steps=3, meta_batch=2, batch=4, size=8, cells=(4, 4),
    channels=(8,), max_macs=500_000, learning_rate=1e-3, label_smoothing=0.1,
    splits=("val", "bn-free"), validation_networks=1, validate_every=3, seed=0,
)  # fmt: skip


@pytest.mark.slow
def test_a_run_its_validation_and_its_card(tmp_path: Path) -> None:
    seen: list[str] = []
    facts = run(tmp_path / "a", SMALL, progress=lambda stage, fraction, line: seen.append(line))
    assert facts["finished"]
    assert facts["step"] == 3
    assert facts["validation"].keys() == {"accuracy_val", "accuracy_bn-free"}
    rows = [json.loads(line) for line in (tmp_path / "a" / "log.jsonl").read_text().splitlines()]
    assert [row["step"] for row in rows if "accuracy_val" in row] == [3]
    assert "step 3/3" in seen[-1]
    assert facts["card"]["choices"]["kind"] == "mlp"
    assert facts["card"]["steps_done"] == 3

    # the same in two processes, and in two legs
    shared = run(tmp_path / "b", SMALL, processes=2)
    legs = run(tmp_path / "c", SMALL, seconds=1e-6)
    assert not legs["finished"]
    run(tmp_path / "c", SMALL)
    one, two, three = (load_file(tmp_path / name / "ghn.safetensors") for name in "abc")
    for name, value in one.items():
        assert torch.allclose(value, two[name], atol=1e-5), name
        assert torch.equal(value, three[name]), name
    assert shared["validation"].keys() == facts["validation"].keys()

    finished = run(tmp_path / "a", SMALL)
    assert finished["step"] == 3
    assert finished["loss"] is None
    with pytest.raises(ValueError, match=r"holds a run with --size 8, not 16"):
        run(tmp_path / "a", dataclasses.replace(SMALL, size=16))
    (tmp_path / "a" / "choices.json").write_text("{")
    with pytest.raises(ValueError, match="is damaged"):
        run(tmp_path / "a", SMALL)


def test_a_folder_with_something_else_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "letter.txt").write_text("mine")
    with pytest.raises(ValueError, match="holds something else"):
        run(tmp_path, SMALL)
    assert [file.name for file in tmp_path.iterdir()] == ["letter.txt"]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"kind": "ghn9"}, "--kind is 'ghn9'"),
        ({"splits": ("val", "dev")}, "--splits has 'dev'"),
        ({"cells": (4,)}, r"--cells is \(4,\)"),
        ({"cells": (8, 4)}, "--cells"),
        ({"channels": (9,)}, "--channels"),
        ({"meta_batch": 0}, "--meta-batch is 0"),
        ({"size": 4}, "--size 4"),
    ],
)
def test_impossible_choices_are_named(
    changes: dict[str, object], message: str, tmp_path: Path
) -> None:
    with pytest.raises(ValueError, match=message):
        run(tmp_path / "run", dataclasses.replace(SMALL, **changes))
    assert not (tmp_path / "run").exists()
    with pytest.raises(ValueError, match="--processes is 3 with --meta-batch 2"):
        run(tmp_path / "run", SMALL, processes=3)


def test_networks_of_the_splits() -> None:
    choices = dataclasses.replace(SMALL, cells=(4, 5), channels=(16,), max_macs=3_000_000)
    for index in range(4):
        assert networks_of("train", choices, 10).graph(index).macs <= 3_000_000
        wide = networks_of("wide", choices, 10).graph(index)
        assert max(p.shape[0] for p in wide.parameters) >= 64
        assert len(networks_of("deep", choices, 10).graph(index)) > 45
    assert networks_of("predefined", choices, 7).classes == 7
