"""The command that compares optimizers: what it writes, and its errors."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from nascence import cli
from nascence.cli import USAGE
from nascence.optim import Small, save

TINY = [
    *("--families", "quadratic", "--tasks", "2", "--steps", "3", "--seeds", "2"),
    *("--trials", "1,3", "--quiet"),
]


def run(*arguments: str) -> tuple[int, str, str]:
    result = CliRunner().invoke(cli.app, ["bench", "optimizers", *arguments])
    return result.exit_code, result.stdout, result.stderr


def test_everyone_is_compared_and_drawn(tmp_path: Path) -> None:
    out = tmp_path / "run"
    code, printed, _ = run("--out", str(out), "--json", *TINY)
    assert code == 0
    facts = json.loads(printed)
    labels = [each["label"] for each in facts["standings"] if each["group"] == "all tasks"]
    assert len(labels) == 9
    assert "opt_list, best of 3" in labels
    assert sorted(facts["tasks"].values()) == ["seen tasks", "unseen tasks of seen families"]
    assert {len(each["losses"]) for each in facts["standings"]} == {2, 4}
    assert min(min(each["losses"]) for each in facts["standings"]) <= 0
    assert (out / "report.html").stat().st_size > 100_000
    assert len(list(out.glob("quadratic--*.json"))) == 7


def test_other_weights_join_a_comparison_that_is_there(tmp_path: Path) -> None:
    save(Small(8), tmp_path / "eight.safetensors", card={"families": "softmax (9)"})
    out = str(tmp_path / "run")
    some = ("--optimizers", "learned,adam")
    assert run("--out", out, *some, *TINY)[0] == 0
    held = {path: path.stat().st_mtime_ns for path in (tmp_path / "run").glob("quadratic--*")}
    both = f"optimizer-small,{tmp_path / 'eight.safetensors'}"
    code, printed, _ = run("--out", out, *some, "--weights", both, *TINY)
    assert code == 0
    assert "eight.safetensors" in printed
    assert "unseen tasks of seen families" in printed
    assert all(path.stat().st_mtime_ns == time for path, time in held.items())
    assert len(list((tmp_path / "run").glob("quadratic--*"))) == 3


def test_the_probe_is_drawn(tmp_path: Path) -> None:
    out = tmp_path / "run"
    probe = ("--probe", "--optimizers", "adam", "--steps", "30", "--json")
    code, printed, _ = run("--out", str(out), *probe)
    assert code == 0
    assert json.loads(printed)["optimizers"]["Adam 0.001"]["along"] == pytest.approx(1, abs=1e-3)
    assert (out / "probe.html").is_file()
    code, _, error = run("--out", str(out), "--probe", "--optimizers", "adam-lr")
    assert code == USAGE
    assert "optimizers of one setting" in error


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--families", "words"], "task family is 'words'"),
        (["--families", ","], "no task family"),
        (["--max-cost", "1"], "no task family is left"),
        (["--optimizers", "velo"], "optimizer is 'velo'"),
        (["--optimizers", ""], "name at least one"),
        (["--weights", "nowhere"], "nowhere is not a file"),
        (["--weights", "ghn2-cifar10"], "holds no optimizer"),
        (["--tasks", "0"], "--tasks is 0; give a whole number"),
        (["--steps", "-3"], "steps is -3"),
        (["--seeds", "0"], "seeds is 0"),
        (["--tasks", "999"], "999 tasks of quadratic"),
        (["--trials", "few"], "--trials is 'few'"),
        (["--trials", "0"], "--trials is 0; give a whole number"),
        (["--trials", "1001"], "opt-list has"),
    ],
)
def test_what_is_wrong_is_said_in_a_line(
    arguments: list[str], message: str, tmp_path: Path
) -> None:
    code, _, error = run("--out", str(tmp_path / "run"), *TINY, *arguments)
    assert code == USAGE
    assert message in error
    assert len(error.strip().splitlines()) == 1
    assert not (tmp_path / "run").exists()


def test_a_file_in_the_place_of_the_folder_is_kept(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("mine")
    code, _, error = run("--out", str(tmp_path / "file"), "--optimizers", "adam", *TINY)
    assert code == USAGE
    assert len(error.strip().splitlines()) == 1
    assert (tmp_path / "file").read_text() == "mine"
    probe = ("--probe", "--optimizers", "adam", "--steps", "2")
    assert run("--out", str(tmp_path / "file"), *probe)[0] == USAGE


def test_the_folder_of_another_comparison_is_refused(tmp_path: Path) -> None:
    out = str(tmp_path / "run")
    adam = ("--optimizers", "adam")
    assert run("--out", out, *adam, *TINY)[0] == 0
    code, _, error = run("--out", out, *adam, *TINY, "--steps", "4")
    assert code == USAGE
    assert "steps 3, not 4" in error
