"""``nascence search`` from the outside."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from nascence import cli


def run(*words: str):
    return CliRunner().invoke(cli.app, ["search", *words])


def test_result_as_text_and_report(tmp_path: Path) -> None:
    result = run("nb201", "--budget", "30", "--out", str(tmp_path / "run"), "--quiet")
    assert result.exit_code == 0, (result.output, result.exception)
    assert "Best of 30: score 9" in result.stdout
    assert "flops" in result.stdout
    assert sorted(item.name for item in (tmp_path / "run").iterdir()) == [
        "report.html",
        "study.journal",
    ]


def test_a_listed_space_under_a_limit_of_latency(tmp_path: Path) -> None:
    words = ["accel-nasbench", "--strategy", "evolution", "--limit", "latency/zcu102=4"]
    words += ["--cost", "latency/zcu102", "--out", str(tmp_path), "--quiet", "--json", "--budget"]
    small = run(*words, "15")
    assert small.exit_code == 0, (small.output, small.exception)
    facts = json.loads(run(*words, "40").stdout)
    assert facts["trials"] == 40
    assert all(entry["latency/zcu102"] <= 4 for entry in facts["front"])
    assert facts["best"]["true_accuracy"] == facts["best"]["score"] > 55


def test_result_as_json_resumed_with_a_larger_budget(tmp_path: Path) -> None:
    words = ["nb201", "--out", str(tmp_path), "--json", "--quiet", "--table", "cifar10/test-12"]
    words += ["--cost", "macs", "--strategy", "nsga2", "--limit", "parameters=9e5"]
    small = run(*words, "--budget", "12")
    assert small.exit_code == 0, (small.output, small.exception)
    facts = json.loads(run(*words, "--budget", "25").stdout)
    assert facts["trials"] == 25
    assert facts["best"]["true_accuracy"] > 50
    assert {ranking["name"] for ranking in facts["ranking"]} == {"table", "flops", "parameters"}
    assert all(entry["macs"] > 0 for entry in facts["front"])
    assert Path(facts["report"]).exists()


def test_metrics_are_summed_over_images(tmp_path: Path) -> None:
    words = ["small", "--evaluator", "macs+parameters", "--budget", "6", "--width", "4", "--json"]
    result = run(*words, "--images", "4", "--out", str(tmp_path), "--quiet")
    assert result.exit_code == 0, (result.output, result.exception)
    assert json.loads(result.stdout)["best"]["score"] <= 2


@pytest.mark.parametrize("evaluator", ["angle", "rlnas", "accuracy", "angle+synflow"])
def test_one_supernet_judges_and_a_study_goes_on(evaluator: str, tmp_path: Path) -> None:
    words = ["small", "--evaluator", evaluator, "--width", "2", "--steps", "2", "--images", "4"]
    words += ["--out", str(tmp_path), "--json", "--quiet", "--budget"]
    first = run(*words, "2")
    assert first.exit_code == 0, (first.output, first.exception)
    again = run(*words, "3")
    assert json.loads(again.stdout)["trials"] == 3


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["nb101"], "there is no space 'nb101'; use one of accel-nasbench, darts"),
        (["nb201", "--strategy", "luck"], "there is no strategy 'luck'"),
        (["nb201", "--evaluator", "luck"], "there is no evaluator 'luck'"),
        (["nb201", "--table", "mnist/test"], "no data set 'mnist'; it has cifar10"),
        (["nb201", "--table", "cifar10/loss"], "no accuracy 'loss' on cifar10"),
        (["nb201", "--budget", "soon"], "budget is 'soon'"),
        (["nb201", "--budget", "0"], "--budget is 0; give a whole number"),
        (["nb201", "--limit", "macs"], "--limit is 'macs'"),
        (["nb201", "--limit", "macs=1"], "no architecture keeps to macs <= 1"),
        (
            ["accel-nasbench", "--limit", "latency/zcu102=1"],
            "no architecture keeps to latency/zcu102 <= 1 among 20,000 tried; the smallest had",
        ),
        (["nasbench-macro", "--limit", "macs=1e6"], "no architecture keeps to macs <= 1,000,000"),
        (["accel-nasbench", "--table", "cifar10/test"], "no data set 'cifar10'; it has imagenet"),
        (["accel-nasbench", "--limit", "latency/a100=9"], "there is no cost 'latency/a100'"),
        (["nb201", "--limit", "weight=1"], "there is no cost 'weight'"),
        (["nb201", "--cost", "latency/pixel3"], "there is no cost 'latency/pixel3'"),
        (["nb201", "--latencies", "none.csv"], "there is no file at none.csv"),
        (["nb201", "--workers", "0"], "workers is 0"),
        (["small", "--evaluator", "table"], "there is no table of this space"),
        (["nats-size", "--evaluator", "train"], "cannot be built"),
        (["darts", "--evaluator", "macs", "--data", "none"], "none"),
    ],
)
def test_bad_input_is_one_line(words: list[str], message: str, tmp_path: Path) -> None:
    result = run(*words, "--out", str(tmp_path / "run"), "--quiet")
    assert result.exit_code == cli.USAGE, (result.output, result.exception)
    lines = result.stderr.strip().splitlines()
    assert len(lines) == 1
    assert message in lines[0]


def test_a_study_of_another_space_stays_as_it_is(tmp_path: Path) -> None:
    words = ["--out", str(tmp_path), "--quiet", "--budget", "3"]
    assert run("nb201", *words).exit_code == 0
    content = (tmp_path / "study.journal").read_bytes()
    result = run("nats-size", *words)
    assert result.exit_code == cli.USAGE
    assert "was made with the space NB201" in result.stderr
    assert (tmp_path / "study.journal").read_bytes() == content
    blocked = run("nb201", "--out", str(tmp_path / "study.journal"), "--quiet")
    assert blocked.exit_code == cli.USAGE
    assert "is a file; give a folder" in blocked.stderr
