"""``nascence search elastic-mobile --strategy ofa``."""

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from nascence import cli


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two classes of eight images of eight pixels."""
    root = tmp_path_factory.mktemp("photos")
    rng = np.random.default_rng(0)
    for name, channel in (("cats", 0), ("dogs", 2)):
        (root / name).mkdir()
        for index in range(8):
            pixels = rng.integers(0, 80, (8, 8, 3), dtype=np.uint8)
            pixels[..., channel] += 150
            Image.fromarray(pixels).save(root / name / f"{index}.png")
    return root


def run(photos: Path, out: Path, *options: str):
    line = ["search", "elastic-mobile", "--strategy", "ofa", "--data", str(photos)]
    return CliRunner().invoke(
        cli.app, [*line, "--steps", "6", "--budget", "4", "--out", str(out), *options]
    )


def test_a_search_and_its_repetition(photos: Path, tmp_path: Path) -> None:
    result = run(photos, tmp_path / "run", "--quiet", "--json", "--limit", "macs=6e6")
    assert result.exit_code == 0, result.output
    facts = json.loads(result.stdout)
    assert facts["steps"] == 6
    assert facts["supernets"] == 1
    assert facts["sampled"] == 4
    assert facts["best"]["macs"] <= 6e6
    assert 0 <= facts["best"]["accuracy"] <= 1
    assert Path(facts["network"]).exists()
    again = run(photos, tmp_path / "run", "--quiet", "--limit", "macs=6e6")
    assert again.exit_code == 0, again.output
    assert facts["best"]["architecture"] in again.stdout
    assert "multiply-adds" in again.stdout

    before = (tmp_path / "run" / "history.json").read_bytes()
    tight = run(photos, tmp_path / "run", "--quiet", "--limit", "macs=5")
    assert tight.exit_code == 2
    assert tight.stderr.count("\n") == 1
    assert "no architecture keeps to macs <= 5" in tight.stderr
    assert (tmp_path / "run" / "history.json").read_bytes() == before


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--evaluator", "naswot"), "--evaluator is not for ofa"),
        (("--cost", "macs"), "--cost is not for ofa"),
        (("--shared",), "--shared is not for ofa"),
        (("--stop-at-skips", "2"), "--stop-at-skips is not for ofa"),
        (("--split", "edge_0_1"), "no decision 'edge_0_1'"),
        (("--cells", "2"), "has not all of cells to set"),
        (("--steps", "3"), "3 for 6 phases"),
        (("--limit", "latency/pixel1=3"), "there is no cost 'latency/pixel1'"),
    ],
)
def test_what_does_not_fit_is_one_line(
    photos: Path, tmp_path: Path, options: tuple[str, ...], message: str
) -> None:
    result = run(photos, tmp_path / "run", "--quiet", *options)
    assert result.exit_code == 2, result.output
    assert message in result.stderr
    assert result.stderr.count("\n") == 1


def test_other_spaces_have_no_slices(photos: Path, tmp_path: Path) -> None:
    line = ["search", "small", "--strategy", "ofa", "--data", str(photos)]
    result = CliRunner().invoke(cli.app, [*line, "--out", str(tmp_path / "run"), "--quiet"])
    assert result.exit_code == 2
    assert "once-for-all is for elastic-mobile" in result.stderr
