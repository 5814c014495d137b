"""Searches as jobs: what they find, that they resume, and their workers."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from nascence.data import load, nb201
from nascence.jobs import Table
from nascence.jobs.names import space_named
from nascence.jobs.search import SearchJob
from nascence.latency.table import LatencyTable


def job(folder: Path, **changes) -> SearchJob:
    return replace(SearchJob(out=folder, space="nb201", trials=40), **changes)


def test_a_job_resumes_and_knows_the_truth(tmp_path: Path) -> None:
    first = job(tmp_path, trials=15, table="cifar100/validation-12").run()
    assert len(first.history) == 15
    outcome = job(tmp_path, table="cifar100/validation-12").run()
    assert outcome.history.candidates[:15] == first.history.candidates
    assert len(outcome.history) == 40
    table = nb201()
    row = table.row(outcome.history.best.architecture)
    assert outcome.truth == table.accuracies("cifar100")[row]
    assert [ranking.name for ranking in outcome.rankings] == ["table", "flops", "parameters"]
    facts = outcome.facts()
    assert json.loads(json.dumps(facts)) == facts
    assert facts["best"]["score"] == outcome.history.best.score
    assert [part.title for part in outcome.summary() if isinstance(part, Table)] == [
        "Scores and sizes as rankings of the architectures sampled"
    ]


def test_costs_and_limits(tmp_path: Path) -> None:
    outcome = job(tmp_path, strategy="nsga2", costs=("parameters",), limits={"macs": 60e6}).run()
    space = outcome.space
    assert max(map(space.macs, (each.architecture for each in outcome.history.candidates))) <= 60e6
    assert outcome.history.costs == ("parameters",)
    assert 0 < len(outcome.history.front()) <= 40


def test_workers_share_the_study(tmp_path: Path) -> None:
    outcome = job(tmp_path, workers=2, trials=60).run()
    assert len(outcome.history) == 60
    found = [outcome.space.canonical(each.architecture) for each in outcome.history.candidates]
    assert len(set(found)) == 60
    again = job(tmp_path, shared=True, trials=62).run()
    assert len(again.history) == 62


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"space": "nats-size"}, "was made with the space NB201"),
        ({"strategy": "random"}, "was made with the strategy Evolution"),
        ({"seed": 1}, "was made with the strategy Evolution"),
        ({"table": "cifar100/test"}, "was made with the evaluator"),
        ({"costs": ("macs",)}, "was made with the costs none and is now given macs"),
    ],
)
def test_a_study_of_another_search_stays_as_it_is(
    changes: dict, message: str, tmp_path: Path
) -> None:
    job(tmp_path, trials=3).run()
    content = (tmp_path / "study.journal").read_bytes()
    with pytest.raises(ValueError, match=message):
        job(tmp_path, trials=5, **changes).run()
    assert (tmp_path / "study.journal").read_bytes() == content


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"limits": {"macs": 1.0}}, r"no architecture keeps to macs <= 1"),
        ({"workers": 0}, "workers is 0"),
        ({"latencies": Path("none.csv")}, "no file at none.csv"),
        ({"space": "nats-size", "latencies": Path("none.csv")}, "are read for nb201"),
        ({"space": "small", "evaluator": "table"}, "no table of this space"),
    ],
)
def test_what_cannot_be_done_is_said(changes: dict, message: str, tmp_path: Path) -> None:
    with pytest.raises((ValueError, OSError), match=message):
        job(tmp_path, **changes).run()


def test_latency_is_a_cost_and_a_limit_by_a_measured_table(tmp_path: Path) -> None:
    space = space_named("mobile", data=load("cifar10-sample"), sizes={"width": 0.1})
    rows = tuple(tuple(float(c != "identity") for c in d.choices) for d in space.decisions)
    table = LatencyTable(space.description, 32, 1, tuple(space.decisions), 1.0, rows)
    table.save(tmp_path / "latency.json")
    mobile = SearchJob(
        out=tmp_path / "run", space="mobile", evaluator="parameters", trials=20, costs=("latency",),
        limits={"latency": 18.0}, latencies=tmp_path / "latency.json", sizes={"width": 0.1},
    )  # fmt: skip
    found = mobile.run().history
    assert found.costs == ("latency",)
    for each in found.candidates:
        assert each.costs == (table.of(each.architecture),)
        assert 7 <= each.costs[0] <= 18
    with pytest.raises(ValueError, match=r"no architecture keeps to latency <= 6.*smallest had"):
        replace(mobile, out=tmp_path / "none", limits={"latency": 6.0}).run()
    wider = replace(mobile, sizes={"width": 0.2})
    with pytest.raises(ValueError, match=r"and this is Mobile\(.* width=0.2"):
        wider.run()
    assert len(mobile.run().history) == 20


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"space": "luck"}, "no space 'luck'"),
        ({"strategy": "luck"}, "no strategy 'luck'"),
        ({"evaluator": "naswot+luck"}, "no evaluator 'luck'"),
    ],
)
def test_names_are_looked_up_before_images_are_read(
    changes: dict, message: str, tmp_path: Path
) -> None:
    options = {"evaluator": "naswot", "data": str(tmp_path / "none"), **changes}
    unread = job(tmp_path / "run", **options)
    with pytest.raises(ValueError, match=message):
        unread.run()
    assert not (tmp_path / "run").exists()
