"""``nascence search`` with gradient strategies, from the outside."""

import json
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from nascence import cli
from nascence.cli.gradient_search import STRATEGIES
from nascence.search.gradient import GRADIENT_STRATEGIES

TINY = ["--width", "4", "--cells", "1", "--quiet"]


def run(*words: str):
    return CliRunner().invoke(cli.app, ["search", *words])


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Forty images of 8 pixels in an archive."""
    path = tmp_path_factory.mktemp("images") / "noise.npz"
    pixels = np.random.default_rng(0).integers(0, 256, (40, 8, 8, 3), dtype=np.uint8)
    np.savez(path, images=pixels, labels=np.arange(40) % 2)
    return str(path)


def test_the_names_are_those_of_the_strategies() -> None:
    assert tuple(GRADIENT_STRATEGIES) == STRATEGIES


def test_result_as_json_with_the_true_accuracy_and_resumed(tmp_path: Path, images: str) -> None:
    words = ["nb201", "--strategy", "gdas", "--steps", "5", "--split", "edge_0_1", *TINY]
    words += ["--data", images]
    result = run(*words, "--json", "--out", str(tmp_path))
    assert result.exit_code == 0, (result.output, result.exception)
    facts = json.loads(result.stdout)
    assert (facts["leaves"], facts["steps"], facts["stops"]) == (5, 5, ["steps"] * 5)
    truth = facts["best"]["true_accuracy"]
    assert set(truth) == {"cifar10", "cifar100", "imagenet16-120"}
    assert 9 < truth["cifar10"] < 95
    best = [epoch for epoch in facts["epochs"] if epoch["leaf"] == facts["best"]["leaf"]][-1]
    assert best["true_accuracy"] == truth
    assert best["architecture"] == facts["best"]["architecture"]
    kept = json.loads((tmp_path / "history.json").read_text())
    assert len(kept["epochs"]) == len(facts["epochs"]) == 5
    again = run(*words, "--json", "--out", str(tmp_path))
    assert json.loads(again.stdout) == facts


def test_result_as_text(tmp_path: Path, images: str) -> None:
    words = [
        "small",
        "--data",
        images,
        "--strategy",
        "darts",
        "--steps",
        "2",
        "--stop-at-skips",
        "4",
        *TINY,
    ]
    result = run(*words, "--out", str(tmp_path))
    assert result.exit_code == 0, (result.output, result.exception)
    assert "Derived after 2 steps: " in result.stdout
    assert "by the table" not in result.stdout


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["nb201", "--strategy", "darts", "--split", "edge_9"], "no decision 'edge_9' to split"),
        (["nb201", "--strategy", "darts", "--split", "edge_0_1,"], "--split is 'edge_0_1,'"),
        (["nb201", "--split", "edge_0_1"], "--split and --stop-at-skips are for gradient"),
        (["nb201", "--strategy", "snas", "--evaluator", "naswot"], "--evaluator is for"),
        (["nb201", "--strategy", "snas", "--budget", "100"], "--budget as a number is for"),
        (["nb201", "--strategy", "snas", "--workers", "2"], "--workers is for"),
        (["nb201", "--strategy", "pc-darts"], "leave 2 channels"),
        (["nats-size", "--strategy", "darts"], "nats-size is a table"),
        (["nb201", "--strategy", "darts", "--steps", "0"], "at least one step"),
        (["nb201", "--strategy", "darts", "--stop-at-skips", "0"], "stop_at_skips is 0"),
    ],
)
def test_bad_input_is_one_line(words: list[str], message: str, tmp_path: Path, images: str) -> None:
    result = run(*words, *TINY, "--data", images, "--out", str(tmp_path / "run"))
    assert result.exit_code == cli.USAGE, (result.output, result.exception)
    lines = result.stderr.strip().splitlines()
    assert len(lines) == 1
    assert message in lines[0]


def test_a_split_that_the_genotype_cannot_do_with(tmp_path: Path, images: str) -> None:
    words = ["darts", "--strategy", "enas", "--split", "normal_0_2", "--width", "4"]
    words += ["--data", images, "--cells", "3", "--quiet", "--out", str(tmp_path)]
    result = run(*words)
    assert result.exit_code == cli.USAGE, (result.output, result.exception)
    assert "needs that decision whole" in result.stderr
    assert len(result.stderr.strip().splitlines()) == 1
