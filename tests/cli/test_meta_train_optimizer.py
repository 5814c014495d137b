"""Meta-training of an optimizer from the command line, in one leg or several."""

import json
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from nascence.cli import USAGE
from nascence.cli.meta_train_optimizer import optimizer
from nascence.optim import Small, load, read_card

app = typer.Typer()
app.command()(optimizer)
TINY = [
    *("--families", "quadratic", "--cohorts", "2", "--pairs", "3", "--window", "4"),
    *("--lengths", "4,8", "--quiet"),
]


def run(*arguments: str) -> tuple[int, str, str]:
    result = CliRunner().invoke(app, arguments)
    return result.exit_code, result.stdout, result.stderr


def test_legs_go_on_and_weights_are_written(tmp_path: Path) -> None:
    out = str(tmp_path / "run")
    code, printed, _ = run("--out", out, "--steps", "2", "--json", *TINY)
    assert code == 0
    facts = json.loads(printed)
    assert facts["particle_steps"] == 2 * 2 * 2 * 3 * 4
    assert facts["finished"]
    code, printed, _ = run("--out", out, "--steps", "3", *TINY)
    assert code == 0
    assert "outer step 3 of 3, finished" in printed
    assert isinstance(load(facts["weights"]), Small)


def test_families_come_by_groups_and_in_other_units(tmp_path: Path) -> None:
    shown = ["--families", "training:units", "--max-cost", "12300", "--steps", "1", "--json"]
    code, printed, _ = run("--out", str(tmp_path), *TINY, *shown)
    assert code == 0
    card = read_card(json.loads(printed)["weights"])
    assert card["families"] == "least-squares:units (700), function:units (840)"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--families", "words"], "task family is 'words'"),
        (["--families", "mlp:metres"], "after the colon give units or"),
        (["--max-cost", "1"], "no task family is left"),
        (["--architecture", "velo"], "there is no optimizer architecture 'velo'"),
        (["--lengths", "many"], "--lengths is 'many'"),
        (["--method", "both"], "method='both'"),
        (["--steps", "0"], "--steps is 0"),
        (["--start", "nowhere.safetensors"], "nowhere.safetensors is not a file"),
        (["--for", "soon"], "soon"),
        (["--self-train", "--outer", "nowhere"], "nowhere is not a file"),
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


def test_the_folder_of_another_run_is_refused_and_kept(tmp_path: Path) -> None:
    out = str(tmp_path / "run")
    assert run("--out", out, "--steps", "1", *TINY)[0] == 0
    held = (tmp_path / "run" / "checkpoint.pt").read_bytes()
    code, _, error = run("--out", out, "--steps", "2", "--seed", "5", *TINY)
    assert code == USAGE
    assert "another meta-training" in error
    assert (tmp_path / "run" / "checkpoint.pt").read_bytes() == held


def test_a_learned_optimizer_trains_another(tmp_path: Path) -> None:
    code, printed, _ = run(
        "--out", str(tmp_path / "run"), "--self-train", "--steps", "2", "--json", *TINY
    )
    assert code == 0
    assert read_card(json.loads(printed)["weights"])["outer"].startswith("Small ")
