"""The tutorials run: here with tiny settings, in ``make tutorials`` as they stand."""

import json
import re
from pathlib import Path

import pytest

from benchmarks.docs import tutorials

TINY = {
    "compare_scores": {"NETWORKS": 6, "RESAMPLES": 20},
    "design_from_photos": {"IMAGES": 20, "SIZE": 8, "STEPS": 2, "TRIALS": 2},
    "fold_and_deploy": {"SIDE": 32, "PASSES": 1},
    "learned_optimizer": {"STEPS": 5, "SEEDS": (0,)},
    "predict_and_train_on": {"SIZE": 8, "STEPS": 2, "IMAGES": 32},
}


@pytest.mark.slow
@pytest.mark.parametrize("path", tutorials.notebooks(), ids=lambda path: path.stem)
def test_a_tutorial_runs(
    path: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    tutorials.run(path, TINY[path.stem])
    assert capsys.readouterr().out.count("\n") >= 3


def test_there_are_five_with_short_settings() -> None:
    assert {path.stem for path in tutorials.notebooks()} == set(TINY)


@pytest.mark.parametrize("path", tutorials.notebooks(), ids=lambda path: path.stem)
def test_a_notebook_is_one_that_jupyter_opens(path: Path) -> None:
    content = json.loads(path.read_text())
    assert content["nbformat"] == 4
    assert content["cells"][0]["source"][0].startswith("# ")
    assert [tags for _, tags in tutorials.cells(path)].count([tutorials.SETTINGS]) == 1
    kept = [output for cell in content["cells"] for output in cell.get("outputs", ())]
    assert not any(tutorials.PLOT in output.get("data", ()) for output in kept)
    assert not re.search(r"(?<![\w.])/(?:tmp|home|root|work)/", path.read_text())
    assert len({cell["id"] for cell in content["cells"]}) == len(content["cells"])


def test_a_setting_that_a_notebook_lacks_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(KeyError, match="NETWROKS"):
        tutorials.run(tutorials.FOLDER / "compare_scores.ipynb", {"NETWROKS": 3})


def test_a_failing_cell_is_named(tmp_path: Path) -> None:
    cell = {"cell_type": "code", "metadata": {}, "source": ["1 / 0"]}
    (tmp_path / "x.ipynb").write_text(json.dumps({"cells": [cell]}))
    with pytest.raises(ZeroDivisionError) as caught:
        tutorials.run(tmp_path / "x.ipynb")
    assert str(caught.traceback[-1].path).endswith("x.ipynb, code cell 1")
