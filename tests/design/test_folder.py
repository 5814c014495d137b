"""Folders of runs: never overwritten, foreign ones left alone."""

import json
import math
from pathlib import Path

import pytest

from nascence.core.files import LockedError
from nascence.design.folder import RunError, RunFolder, environment, next_free
from nascence.design.results import ExportResult, SearchResult, TrainingPlan, TrainingResult
from nascence.design.settings import DesignSettings
from nascence.report import CandidatePoint
from nascence.training import Measurement


def test_settings_go_round(tmp_path: Path) -> None:
    settings = DesignSettings(budget=12.5, max_params=1000, seed=3)
    RunFolder.create(tmp_path / "run", settings)
    assert RunFolder.open(tmp_path / "run").settings == settings
    assert "torch" in json.loads((tmp_path / "run" / "env.json").read_text())["packages"]


def test_a_run_is_never_overwritten(tmp_path: Path) -> None:
    RunFolder.create(tmp_path / "run", DesignSettings())
    before = {path: path.read_bytes() for path in (tmp_path / "run").rglob("*")}
    with pytest.raises(RunError, match=r"already holds a run.*nascence resume"):
        RunFolder.create(tmp_path / "run", DesignSettings(seed=1))
    assert before == {path: path.read_bytes() for path in (tmp_path / "run").rglob("*")}


def test_foreign_folders_are_left_alone(tmp_path: Path) -> None:
    (tmp_path / "photo.jpg").write_text("x")
    with pytest.raises(RunError, match="is not empty"):
        RunFolder.create(tmp_path, DesignSettings())
    with pytest.raises(RunError, match="is a file"):
        RunFolder.create(tmp_path / "photo.jpg", DesignSettings())
    with pytest.raises(RunError, match="holds no run"):
        RunFolder.open(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["photo.jpg"]


@pytest.mark.parametrize("text", ["seed: [", "seed: x", "- 1", "unknown: 1", "!!python/none"])
def test_damaged_settings_are_one_line(tmp_path: Path, text: str) -> None:
    (tmp_path / "config.yaml").write_text(text)
    with pytest.raises(RunError, match="is damaged or of another kind") as caught:
        RunFolder.open(tmp_path)
    assert "\n" not in str(caught.value)


EXPORT = ExportResult(seconds=0.5, images=3, same_top1=2, relative_error=1e-6)
SEARCH = SearchResult(
    seconds=1.0,
    architecture=(1, 2),
    name="a cell",
    decisions={"width": 8},
    score=-math.inf,
    candidates=(CandidatePoint("a cell", -math.inf, 10, 20, True),),
)


def test_results_and_plans_are_kept(tmp_path: Path) -> None:
    folder = RunFolder.create(tmp_path / "run", DesignSettings())
    assert folder.result("export", ExportResult) is None
    assert not folder.is_finished("export")
    for stage, result in (("export", EXPORT), ("search", SEARCH)):
        assert folder.finish(stage, result) is result
    plan = TrainingPlan(3, None)
    assert folder.plan("train", TrainingPlan, lambda: plan) == plan
    again = RunFolder.open(tmp_path / "run")
    assert again.is_finished("export")
    assert again.result("export", ExportResult) == EXPORT
    assert again.result("search", SearchResult) == SEARCH
    assert again.plan("train", TrainingPlan, lambda: TrainingPlan(4, None)) == plan
    events = [json.loads(line) for line in (tmp_path / "run/events.jsonl").read_text().splitlines()]
    assert [event["event"] for event in events] == ["finished", "finished", "planned"]


def test_what_earlier_versions_left_is_understood(tmp_path: Path) -> None:
    folder = RunFolder.create(tmp_path / "run", DesignSettings())
    (tmp_path / "run" / "stages").mkdir()
    trained = {
        "steps": 9, "seconds": 2.5, "stopped_by": "steps", "accuracy": 0.5, "parameters": 10,
        "macs": 20, "curve": [[4, 1.0, 2.0, 0.25], [9, 2.0, 1.0, 0.5]], "planned_steps": 9,
        "predicted": None,
    }  # fmt: skip
    (tmp_path / "run" / "stages" / "train.json").write_text(json.dumps(trained))
    (tmp_path / "run" / "stages" / "train.plan.json").write_text('{"steps": 9, "seconds": null}')
    found = folder.result("train", TrainingResult)
    assert found is not None
    assert found.curve == (Measurement(4, 1.0, 2.0, 0.25), Measurement(9, 2.0, 1.0, 0.5))
    assert (found.stopped_by, found.planned_steps, found.name) == ("steps", 9, "designed")
    plan = folder.plan("train", TrainingPlan, lambda: TrainingPlan(1, None))
    assert plan == TrainingPlan(9, None, "auto")


@pytest.mark.parametrize("text", ["{", "[]", "{}", '{"seconds": "long"}', "\udcff"])
def test_a_damaged_result_is_said(tmp_path: Path, text: str) -> None:
    folder = RunFolder.create(tmp_path / "run", DesignSettings())
    folder.finish("export", EXPORT)
    path = tmp_path / "run" / "stages" / "export.json"
    path.write_bytes(text.encode("utf-8", "surrogateescape"))
    with pytest.raises(
        RunError, match=r"is damaged or of another kind or version .*; delete it"
    ) as caught:
        folder.result("export", ExportResult)
    assert "\n" not in str(caught.value)


def test_two_processes_do_not_work_on_one_run(tmp_path: Path) -> None:
    folder = RunFolder.create(tmp_path / "run", DesignSettings())
    other = RunFolder.open(tmp_path / "run")
    with folder.held(), pytest.raises(LockedError, match="another process"), other.held():
        pytest.fail("held twice")
    with other.held():
        pass


def test_next_free_folder(tmp_path: Path) -> None:
    assert next_free(tmp_path, "photos").name == "photos-1"
    (tmp_path / "photos-1").mkdir()
    assert next_free(tmp_path, "photos").name == "photos-2"


def test_environment_names_the_machine() -> None:
    found = environment()
    assert found["cores"] >= 1
    assert found["packages"]["torch"]
