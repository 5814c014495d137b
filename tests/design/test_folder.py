import json
from pathlib import Path

import pytest

from nascence.core.files import LockedError
from nascence.design.folder import RunError, RunFolder, environment, next_free
from nascence.design.settings import Settings


def test_settings_go_round(tmp_path: Path) -> None:
    settings = Settings(budget=12.5, max_params=1000, seed=3)
    RunFolder.create(tmp_path / "run", settings)
    assert RunFolder.open(tmp_path / "run").settings == settings
    assert "torch" in json.loads((tmp_path / "run" / "env.json").read_text())["packages"]


def test_a_run_is_never_overwritten(tmp_path: Path) -> None:
    RunFolder.create(tmp_path / "run", Settings())
    before = {path: path.read_bytes() for path in (tmp_path / "run").rglob("*")}
    with pytest.raises(RunError, match=r"already holds a run.*nascence resume"):
        RunFolder.create(tmp_path / "run", Settings(seed=1))
    assert before == {path: path.read_bytes() for path in (tmp_path / "run").rglob("*")}


def test_foreign_folders_are_left_alone(tmp_path: Path) -> None:
    (tmp_path / "photo.jpg").write_text("x")
    with pytest.raises(RunError, match="is not empty"):
        RunFolder.create(tmp_path, Settings())
    with pytest.raises(RunError, match="is a file"):
        RunFolder.create(tmp_path / "photo.jpg", Settings())
    with pytest.raises(RunError, match="holds no run"):
        RunFolder.open(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["photo.jpg"]


@pytest.mark.parametrize("text", ["seed: [", "seed: x", "- 1", "unknown: 1", "!!python/none"])
def test_damaged_settings_are_one_line(tmp_path: Path, text: str) -> None:
    (tmp_path / "config.yaml").write_text(text)
    with pytest.raises(RunError, match="cannot be understood") as caught:
        RunFolder.open(tmp_path)
    assert "\n" not in str(caught.value)


def test_results_and_plans_are_kept(tmp_path: Path) -> None:
    folder = RunFolder.create(tmp_path / "run", Settings())
    assert folder.result("train") is None
    folder.finish("train", {"accuracy": 0.5})
    assert folder.plan("train", lambda: {"steps": 3}) == {"steps": 3}
    again = RunFolder.open(tmp_path / "run")
    assert again.result("train") == {"accuracy": 0.5}
    assert again.plan("train", lambda: {"steps": 4}) == {"steps": 3}
    events = [json.loads(line) for line in (tmp_path / "run/events.jsonl").read_text().splitlines()]
    assert [event["event"] for event in events] == ["finished", "planned"]


def test_a_damaged_result_is_said(tmp_path: Path) -> None:
    folder = RunFolder.create(tmp_path / "run", Settings())
    folder.finish("train", {})
    (tmp_path / "run" / "stages" / "train.json").write_text("{")
    with pytest.raises(RunError, match="is damaged; delete it"):
        folder.result("train")


def test_two_processes_do_not_work_on_one_run(tmp_path: Path) -> None:
    folder = RunFolder.create(tmp_path / "run", Settings())
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
