"""``nascence search`` with gradient strategies, from the outside."""

import json
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from nascence import cli

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


def test_result_as_json_with_the_true_accuracy_and_resumed(tmp_path: Path, images: str) -> None:
    words = ["nb201", "--strategy", "gdas", "--steps", "5", "--split", "edge_0_1", *TINY]
    words += ["--data", images]
    result = run(*words, "--json", "--out", str(tmp_path))
    assert result.exit_code == 0, (result.output, result.exception)
    facts = json.loads(result.stdout)
    assert (facts["sub_supernets"], facts["steps"], facts["stops"]) == (5, 5, ["steps"] * 5)
    truth = facts["best"]["true_accuracy"]
    assert set(truth) == {"cifar10", "cifar100", "imagenet16-120"}
    assert 9 < truth["cifar10"] < 95
    best = [
        epoch for epoch in facts["epochs"] if epoch["sub_supernet"] == facts["best"]["sub_supernet"]
    ][-1]
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
        (["nb201", "--split", "edge_0_1"], "--split is not for evolution"),
        (["nb201", "--strategy", "snas", "--evaluator", "naswot"], "--evaluator is not for snas"),
        (
            ["nb201", "--strategy", "snas", "--budget", "100"],
            "--budget as a number is not for",
        ),
        (["nb201", "--strategy", "snas", "--workers", "0"], "workers is 0"),
        (["nb201", "--strategy", "snas", "--cost", "macs"], "--cost is not for snas"),
        (["nb201", "--strategy", "snas", "--limit", "macs=9"], "a limit is given for macs"),
        (
            ["nb201", "--strategy", "gdas", "--limit", "latency=9"],
            "weighed by proxyless, not by gdas",
        ),
        (["nb201", "--strategy", "proxyless", "--limit", "macs=9"], "latency=MILLISECONDS"),
        (["nb201", "--strategy", "proxyless", "--latency-weight", "1"], "whose costs add up"),
        (
            ["nb201", "--strategy", "gdas", "--latency-weight", "1"],
            "weighed by proxyless, not by gdas",
        ),
        (["nb201", "--latency-weight", "1"], "--latency-weight is not for evolution"),
        (["nb201", "--strategy", "proxyless", "--latencies", "none"], "there is no file none"),
        (["nb201", "--strategy", "pc-darts"], "leave 2 channels"),
        (["nats-size", "--strategy", "darts"], "nats-size is a table"),
        (
            ["nb201", "--strategy", "darts", "--steps", "0"],
            "--steps is 0; give a whole number",
        ),
        (
            ["nb201", "--strategy", "darts", "--stop-at-skips", "0"],
            "--stop-at-skips is 0",
        ),
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


def test_latency_in_a_search_of_a_split_mobile_space(tmp_path: Path, images: str) -> None:
    """With the table that the command of measurements writes; a bad one keeps what was found."""
    table, out = tmp_path / "latency.json", tmp_path / "run"
    narrow = ["--width", "0.1", "--data", images, "--quiet"]
    short = ["--networks", "1", "--passes", "1", "--check", "1"]
    measured = CliRunner().invoke(
        cli.app, ["bench", "latency", "mobile", "--out", str(table), *short, *narrow]
    )
    assert measured.exit_code == 0, (measured.output, measured.exception)
    words = ["mobile", "--strategy", "proxyless", "--latency-weight", "0.1", *narrow]
    words += ["--split", "block_0", "--steps", "6", "--out", str(out)]
    result = run(*words, "--latencies", str(table), "--limit", "latency=1e3", "--json")
    assert result.exit_code == 0, (result.output, result.exception)
    facts = json.loads(result.stdout)
    assert (facts["sub_supernets"], facts["steps"]) == (6, 6)
    assert 0 < facts["best"]["predicted_latency_ms"] < 1e3
    assert all(epoch["predicted_latency_ms"] > 0 for epoch in facts["epochs"])
    content = json.loads(table.read_text())
    del content["operators"]["block_2"]["identity"]
    table.write_text(json.dumps(content))
    history = (out / "history.json").read_bytes()
    bad = run(*words, "--latencies", str(table))
    assert bad.exit_code == cli.USAGE
    assert "lacks the operator identity of block_2" in bad.stderr
    content["operators"]["block_2"]["identity"] = 0.0
    table.write_text(json.dumps(content))
    tight = run(*words, "--latencies", str(table), "--limit", "latency=1e-5")
    assert tight.exit_code == cli.USAGE
    assert "no network keeps to latency <= 1e-05 ms, the fastest has" in tight.stderr
    for failed in (bad, tight):
        assert len(failed.stderr.strip().splitlines()) == 1
    assert (out / "history.json").read_bytes() == history
