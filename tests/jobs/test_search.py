"""Searches as jobs: what they find, that they resume, and their workers."""

from dataclasses import replace
from pathlib import Path

import pytest

from nascence.data import load, nb201
from nascence.jobs.names import space_named
from nascence.jobs.search import SearchJob, best_so_far, run_job
from nascence.latency.table import LatencyTable


def job(folder: Path, **changes) -> SearchJob:
    return replace(SearchJob(folder, "nb201", trials=40), **changes)


def test_a_job_resumes_and_knows_the_truth(tmp_path: Path) -> None:
    first = run_job(job(tmp_path, trials=15, column="cifar100/validation-12"))
    assert len(first.history) == 15
    outcome = run_job(job(tmp_path, column="cifar100/validation-12"))
    assert outcome.history.candidates[:15] == first.history.candidates
    assert len(outcome.history) == 40
    table = nb201()
    row = table.row(outcome.history.best.architecture)
    assert outcome.truth == table.accuracies("cifar100")[row]
    assert [ranking.name for ranking in outcome.rankings] == ["table", "flops", "parameters"]
    assert outcome.sizes.costs == ("parameters", "macs")
    progress = best_so_far(outcome.history)
    assert progress == sorted(progress)
    assert progress[-1] == outcome.history.best.score


def test_costs_and_limits(tmp_path: Path) -> None:
    outcome = run_job(
        job(tmp_path, strategy="nsga2", costs=("parameters",), limits=(("macs", 60e6),))
    )
    space = outcome.space
    assert max(map(space.macs, (each.architecture for each in outcome.history.candidates))) <= 60e6
    assert outcome.history.costs == ("parameters",)
    assert 0 < len(outcome.history.front()) <= 40


def test_workers_share_the_study(tmp_path: Path) -> None:
    outcome = run_job(job(tmp_path, workers=2, trials=60))
    assert 60 <= len(outcome.history) <= 61
    again = run_job(job(tmp_path, shared=True, trials=62))
    assert len(again.history) == 62


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"space": "nats-size"}, "was made with the space NB201"),
        ({"strategy": "random"}, "was made with the strategy Evolution"),
        ({"seed": 1}, "was made with the strategy Evolution"),
        ({"column": "cifar100/test"}, "was made with the evaluator"),
        ({"costs": ("macs",)}, "was made with the costs none and is now given macs"),
    ],
)
def test_a_study_of_another_search_stays_as_it_is(
    changes: dict, message: str, tmp_path: Path
) -> None:
    run_job(job(tmp_path, trials=3))
    content = (tmp_path / "study.journal").read_bytes()
    with pytest.raises(ValueError, match=message):
        run_job(job(tmp_path, trials=5, **changes))
    assert (tmp_path / "study.journal").read_bytes() == content


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"limits": (("macs", 1.0),)}, r"no architecture keeps to macs <= 1"),
        ({"workers": 0}, "workers is 0"),
        ({"latencies": Path("none.csv")}, "no file at none.csv"),
        ({"space": "nats-size", "latencies": Path("none.csv")}, "are read for nb201"),
        ({"space": "small", "evaluator": "table"}, "no table of this space"),
    ],
)
def test_what_cannot_be_done_is_said(changes: dict, message: str, tmp_path: Path) -> None:
    with pytest.raises((ValueError, OSError), match=message):
        run_job(job(tmp_path, **changes))


def test_latency_is_a_cost_and_a_limit_by_a_measured_table(tmp_path: Path) -> None:
    space = space_named("mobile", data=load("cifar10-sample"), width=0.1)
    rows = tuple(tuple(float(c != "identity") for c in d.choices) for d in space.decisions)
    table = LatencyTable(space.description, 32, 1, tuple(space.decisions), 1.0, rows)
    table.save(tmp_path / "latency.json")
    mobile = SearchJob(
        tmp_path / "run", "mobile", "evolution", "parameters", trials=20, costs=("latency",),
        limits=(("latency", 18.0),), latencies=tmp_path / "latency.json", sizes=(("width", 0.1),),
    )  # fmt: skip
    found = run_job(mobile).history
    assert found.costs == ("latency",)
    for each in found.candidates:
        assert each.costs == (table.of(each.architecture),)
        assert 7 <= each.costs[0] <= 18
    with pytest.raises(ValueError, match=r"no architecture keeps to latency <= 6.*smallest had"):
        run_job(replace(mobile, folder=tmp_path / "none", limits=(("latency", 6.0),)))
    wider = replace(mobile, sizes=(("width", 0.2),))
    with pytest.raises(ValueError, match=r"and this is Mobile\(.* width=0.2"):
        run_job(wider)
    assert len(run_job(mobile).history) == 20
