"""``nascence bench latency``, from the outside."""

import json
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from nascence import cli
from nascence.data import load
from nascence.jobs.names import space_named
from nascence.latency.table import read_latencies

SHORT = ["--width", "0.1", "--networks", "1", "--passes", "1", "--quiet"]


def run(*words: str):
    return CliRunner().invoke(cli.app, ["bench", "latency", *words])


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Forty images of 8 pixels and one channel, of four classes, in an archive."""
    path = tmp_path_factory.mktemp("images") / "noise.npz"
    pixels = np.random.default_rng(0).integers(0, 256, (40, 8, 8, 1), dtype=np.uint8)
    np.savez(path, images=pixels, labels=np.arange(40) % 4)
    return str(path)


def test_the_table_is_that_of_the_networks_for_these_images(tmp_path: Path, images: str) -> None:
    out = tmp_path / "new" / "latency.json"
    result = run(
        "shufflenet", "--data", images, "--out", str(out), "--batch", "2", "--check", "2",
        "--json", *SHORT,
    )  # fmt: skip
    assert result.exit_code == 0, (result.output, result.exception)
    facts = json.loads(result.stdout)
    space = space_named("shufflenet", data=load(images), sizes={"width": 0.1})
    table = read_latencies(out, space=space, side=8)
    assert (table.batch, facts["batch"], facts["side"]) == (2, 2, 8)
    assert (facts["least_ms"], facts["greatest_ms"]) == table.range
    assert facts["even_ms"] == table.even()
    assert 0 <= facts["checked"]["mean_error"] <= facts["checked"]["largest"]


def test_in_words(tmp_path: Path, images: str) -> None:
    out = tmp_path / "latency.json"
    result = run("mobile", "--data", images, "--out", str(out), "--check", "0", *SHORT)
    assert result.exit_code == 0, (result.output, result.exception)
    assert "ms for 1 of 8 pixels, of which" in result.stdout
    assert f"wrote {out}" in result.stdout
    assert "random networks" not in result.stdout


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["nb201"], "whose costs add up"),
        (["nats-size"], "is a table and has no width"),
        (["resnet"], "no space 'resnet'"),
        (["mobile", "--batch", "0"], "--batch is 0"),
        (["mobile", "--check", "-1"], "--check is -1"),
        (["mobile", "--cells", "3"], "the space mobile has not all of width, cells"),
        (["mobile", "--out", "."], ". is a folder"),
    ],
)
def test_bad_input_is_one_line(words: list[str], message: str, images: str, tmp_path: Path) -> None:
    given = words if "--out" in words else [*words, "--out", str(tmp_path / "latency.json")]
    width = ["--width", "4"] if words == ["nb201"] else SHORT[:2]
    result = run(*given, "--data", images, *width, *SHORT[2:])
    assert result.exit_code == cli.USAGE, (result.output, result.exception)
    assert len(result.stderr.strip().splitlines()) == 1
    assert message in result.stderr
    assert not (tmp_path / "latency.json").exists()
