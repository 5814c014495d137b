"""``nascence search gan``, from the outside."""

import json
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from nascence import cli

TINY = ["gan", "--strategy", "autogan", "--width", "4", "--images", "8", "--quiet"]


def run(*words: str):
    return CliRunner().invoke(cli.app, ["search", *words])


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Forty images of 8 pixels in an archive."""
    return archive(tmp_path_factory.mktemp("images"), 8)


def archive(folder: Path, side: int) -> str:
    path = folder / "noise.npz"
    pixels = np.random.default_rng(0).integers(0, 256, (40, side, side, 3), dtype=np.uint8)
    np.savez(path, images=pixels, labels=np.arange(40) % 2)
    return str(path)


def test_result_as_json_and_resumed(tmp_path: Path, images: str) -> None:
    words = [*TINY, "--steps", "4", "--split", "stage_1_upsampling", "--data", images]
    result = run(*words, "--json", "--out", str(tmp_path))
    assert result.exit_code == 0, (result.output, result.exception)
    facts = json.loads(result.stdout)
    assert (facts["sub_supernets"], facts["steps"], facts["split"]) == (
        3,
        4,
        ["stage_1_upsampling"],
    )
    best = facts["best"]
    assert len(best["architecture"].split()) == len(best["choices"]) == 4
    scores = {each["architecture"]: each["classifier_score"] for each in facts["candidates"]}
    assert scores[best["architecture"]] == max(scores.values())
    assert best["frechet_distance_on_classifier_features"] >= 0
    assert 0 <= facts["classifier"]["accuracy"] <= 1
    assert Path(facts["samples"]).read_bytes().startswith(b"\x89PNG")
    assert json.loads(Path(facts["history"]).read_text())["stops"] == ["steps"] * 3
    again = run(*words, "--json", "--out", str(tmp_path))
    assert json.loads(again.stdout) == facts


def test_result_as_text(tmp_path: Path, images: str) -> None:
    result = run(*TINY, "--steps", "2", "--data", images, "--out", str(tmp_path))
    assert result.exit_code == 0, (result.output, result.exception)
    assert "Found after 2 steps: " in result.stdout
    assert "neither is the Inception score or the FID" in result.stdout


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["gan"], "is searched by --strategy autogan, not by evolution"),
        (["nb201", "--strategy", "autogan"], "autogan searches the space gan"),
        ([*TINY, "--split", "stage_9_order"], "no decision 'stage_9_order' to split"),
        ([*TINY, "--split", "stage_1_order,"], "--split is 'stage_1_order,'"),
        ([*TINY, "--evaluator", "naswot"], "--evaluator is not for autogan"),
        ([*TINY, "--budget", "100"], "--budget as a number is not for autogan"),
        ([*TINY, "--cells", "3"], "has no cells to set"),
        ([*TINY, "--stop-at-skips", "2"], "--stop-at-skips is not for autogan"),
        ([*TINY, "--cost", "macs"], "--cost is not for autogan"),
        ([*TINY, "--steps", "0"], "--steps is 0; give a whole number from 1"),
        ([*TINY, "--steps", "2", "--workers", "0"], "workers is 0"),
        ([*TINY, "--steps", "2", "--images", "1"], "images is 1; give 2 or more"),
        ([*TINY, "--width", "1.5"], "width is 1.5; give a whole number"),
        ([*TINY, "--latency-weight", "1"], "--latency-weight is not for autogan"),
        ([*TINY, "--width", "-1"], "width is -1"),
    ],
)
def test_bad_input_is_one_line(words: list[str], message: str, tmp_path: Path, images: str) -> None:
    result = run(*words, "--data", images, "--out", str(tmp_path / "run"))
    assert result.exit_code == cli.USAGE, (result.output, result.exception)
    lines = result.stderr.strip().splitlines()
    assert len(lines) == 1
    assert message in lines[0]


def test_images_of_a_side_that_no_generator_has(tmp_path: Path) -> None:
    result = run(*TINY, "--data", archive(tmp_path, 12), "--out", str(tmp_path / "run"))
    assert result.exit_code == cli.USAGE, (result.output, result.exception)
    assert "are 12x12; generators double 4 pixels" in result.stderr
    assert len(result.stderr.strip().splitlines()) == 1


def test_a_search_that_fails_is_one_line_and_keeps_its_history(
    tmp_path: Path, images: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    from nascence.jobs import gan as gan_job

    monkeypatch.setitem(gan_job.SHORT, "rates", (1e30, 1e30))
    words = [*TINY, "--steps", "20", "--data", images, "--out", str(tmp_path)]
    result = run(*words)
    assert result.exit_code == cli.FAILED, (result.output, result.exception)
    assert len(result.stderr.strip().splitlines()) == 1
    assert "lower the learning rates" in result.stderr
    assert "rounds" in json.loads((tmp_path / "history.json").read_text())
