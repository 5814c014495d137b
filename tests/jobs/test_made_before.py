"""Studies and checkpoints of version 0.1, made before jobs were one kind of thing, go on."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch

from nascence.jobs.gradient import GradientJob
from nascence.jobs.search import SearchJob

MADE = Path(__file__).parent / "made_before"


@pytest.fixture
def images(tmp_path: Path) -> str:
    """The images that the files were made with."""
    pixels = np.random.default_rng(0).integers(0, 256, (40, 8, 8, 3), dtype=np.uint8)
    np.savez(tmp_path / "noise.npz", images=pixels, labels=np.arange(40) % 2)
    return str(tmp_path / "noise.npz")


def test_a_study_goes_on(tmp_path: Path) -> None:
    shutil.copy(MADE / "study.journal", tmp_path)
    before = [json.loads(line) for line in (MADE / "study.journal").read_text().splitlines()]
    scores = [line["value"] for line in before if line["op_code"] == 4]
    history = SearchJob(out=tmp_path, space="nb201", trials=12).run().history
    assert [each.score for each in history.candidates][: len(scores)] == scores
    assert len(history) == 12
    with pytest.raises(ValueError, match="was made with the strategy Evolution"):
        SearchJob(out=tmp_path, space="nb201", strategy="random", trials=13).run()


def test_another_seed_joins_a_shared_study(tmp_path: Path, images: str) -> None:
    out = tmp_path / "run"
    out.mkdir()
    shutil.copy(MADE / "shared.journal", out / "study.journal")
    job = SearchJob(
        out=out, space="small", strategy="random", evaluator="naswot", trials=5, data=images,
        sizes={"width": 2}, images=4, seed=7, shared=True,
    )  # fmt: skip
    assert len(job.run().history) == 5


def test_a_gradient_search_is_not_searched_again(tmp_path: Path, images: str) -> None:
    out = tmp_path / "run"
    out.mkdir()
    shutil.copy(MADE / "leaf-0.pt", out)
    job = GradientJob(
        out=out, space="small", strategy="darts", data=images, steps=2,
        sizes={"width": 2, "cells": 1},
    )  # fmt: skip
    history = job.run().history
    kept = torch.load(MADE / "leaf-0.pt", weights_only=True)["run"]["epochs"]
    assert [list(each.architecture) for each in history.epochs] == [
        list(row["architecture"]) for row in kept
    ]
    assert [each.seconds for each in history.epochs] == [row["seconds"] for row in kept]
