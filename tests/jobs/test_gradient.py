"""Gradient searches by name: rates for short searches, truth, and the history that is kept."""

import json
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from nascence import gradient, registry
from nascence.data import Dataset, nb201
from nascence.gradient import Epoch, GradientSearchError
from nascence.gradient.trajectory import trajectory
from nascence.jobs import gradient as gradient_job
from nascence.jobs.gradient import (
    GradientJob,
    latency_term,
    scaled_rate,
    true_accuracies,
)
from nascence.jobs.names import space_named
from nascence.latency.measurement import measure_latencies
from nascence.latency.table import read_latencies
from nascence.metrics import channel_independence
from nascence.search import MetricEvaluator
from nascence.search.limits import LimitError
from nascence.spaces import NB201

TINY = {"width": 4, "cells": 1}


def test_rate_times_steps_stays() -> None:
    published = {"darts": 3e-4, "darts-2nd": 3e-4, "gdas": 3e-4, "pc-darts": 6e-4, "snas": 3e-4}
    for name, rate in published.items():
        for steps in (100, 1950):
            scaled = scaled_rate(name, steps)["architecture_rate"]
            assert scaled * steps == pytest.approx(rate * 19_500)
        assert scaled_rate(name, 1)["architecture_rate"] == 300 * rate
        assert scaled_rate(name, 40_000)["architecture_rate"] == rate
    assert scaled_rate("enas", 100)["controller_rate"] == pytest.approx(3.5e-3)
    assert scaled_rate("enas", 9_750)["controller_rate"] == pytest.approx(7e-4)
    assert scaled_rate("proxyless", 1000)["architecture_rate"] == pytest.approx(1e-3 * 19_500 / 200)
    assert set(registry.names("gradient strategy")) == {*published, "enas", "proxyless"}


def test_the_truth_is_that_of_the_table() -> None:
    """All identities: 54.30, 15.61 and 16.32 % (Dong and Yang, ICLR 2020, table 5)."""
    truth = true_accuracies(nb201(), (1,) * 6)
    assert truth == pytest.approx(
        {"cifar10": 54.30, "cifar100": 15.61, "imagenet16-120": 16.32}, abs=0.01
    )
    assert true_accuracies(None, (1,) * 6) == {}


def test_a_job(tmp_path: Path, brightness: Dataset, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gradient_job, "load", lambda _, *, size: brightness)
    job = GradientJob(out=tmp_path, space="nb201", strategy="snas", sizes=TINY, steps=2, epochs=2)
    seen: list[float] = []
    outcome = job.run(progress=lambda stage, fraction, _: seen.append(fraction))
    assert seen == [0.5, 1.0]
    assert isinstance(outcome.space, NB201)
    assert outcome.truth == outcome.truths[-1]
    kept = json.loads((tmp_path / "history.json").read_text())
    assert [tuple(epoch["architecture"]) for epoch in kept["epochs"]] == [
        epoch.architecture for epoch in outcome.history.epochs
    ]


def test_parts_are_compared_by_a_score_without_labels(
    tmp_path: Path, brightness: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gradient_job, "load", lambda _, *, size: brightness)
    job = GradientJob(
        out=tmp_path,
        space="nb201",
        strategy="gdas",
        split=("edge_0_1",),
        sizes=TINY,
        steps=5,
        epochs=1,
    )
    outcome = job.run()
    assert outcome.chosen_by == "channel_independence"
    ends = outcome.history.ends
    assert len(ends) == 5
    count = min(64, len(brightness.train))
    batch = brightness.batch(count, generator=gradient_job.stream(job.seed, 1, derivation="search"))
    score = MetricEvaluator(outcome.space, channel_independence, batch)
    best = max(ends, key=lambda end: score(end.architecture))
    assert outcome.derived == best
    assert outcome.truth == outcome.truths[outcome.history.epochs.index(best)]
    whole = replace(job, out=tmp_path / "whole", split=()).run()
    assert (whole.chosen_by, whole.derived) == ("accuracy", whole.history.derived)


def test_a_search_that_fails_keeps_its_history(
    tmp_path: Path, brightness: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gradient_job, "load", lambda _, *, size: brightness)
    epoch = Epoch(0, (1,) * 6, 0.5, 1.0, (), 2.0, 3, 1.0)

    def fails(*_: object, **__: object) -> None:
        raise GradientSearchError("the loss became nan", trajectory([epoch]))

    monkeypatch.setattr(gradient, "snas", fails)
    with pytest.raises(GradientSearchError, match="became nan"):
        GradientJob(out=tmp_path, space="nb201", strategy="snas", sizes=TINY).run()
    kept = json.loads((tmp_path / "history.json").read_text())
    assert kept["epochs"][0]["accuracy"] == 0.5


def test_an_unknown_name(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="no gradient strategy 'luck'; use one of darts"):
        GradientJob(out=tmp_path, space="nb201", strategy="luck").run()


def mobile(folder: Path, monkeypatch: pytest.MonkeyPatch, **changes: Any) -> GradientJob:
    """Two steps of a narrow mobile space, its measurement short."""
    monkeypatch.setattr(
        gradient_job, "measure_latencies", partial(measure_latencies, networks=1, passes=1)
    )
    job = GradientJob(
        out=folder, space="mobile", strategy="proxyless", sizes={"width": 0.1}, steps=2, epochs=1
    )
    return replace(job, **changes)


def test_latencies_are_measured_once_and_kept(
    tmp_path: Path, brightness: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gradient_job, "load", lambda _, *, size: brightness)
    job = mobile(tmp_path, monkeypatch, latency_weight=0.1)
    found = job.run().history.derived
    table = read_latencies(tmp_path / "latency.json", space=job.run().space, side=8)
    assert found.latency == table.of(found.architecture)
    assert found.objective is not None

    def never(*_: object, **__: object) -> None:
        raise AssertionError

    monkeypatch.setattr(gradient_job, "measure_latencies", never)
    (tmp_path / "leaf-0.pt").unlink()
    assert job.run().history.derived.architecture == found.architecture
    other = replace(job, out=tmp_path / "other", latencies=tmp_path / "latency.json")
    assert other.run().history.derived.latency == found.latency
    assert not (tmp_path / "other" / "latency.json").exists()
    with pytest.raises(LimitError, match=r"no network keeps to latency <= 1e-06 ms, the fastest"):
        replace(job, limits={"latency": 1e-6}).run()
    kept = json.loads((tmp_path / "history.json").read_text())
    assert tuple(kept["epochs"][0]["architecture"]) == found.architecture


def test_weights_of_latency_by_default(
    tmp_path: Path, brightness: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = mobile(tmp_path, monkeypatch)
    space = space_named("mobile", data=brightness, sizes={"width": 0.1})
    assert latency_term(job, space, brightness) is None
    term = latency_term(replace(job, limits={"latency": 1e3}), space, brightness)
    assert term is not None
    assert (term.weight, term.milliseconds) == (0.2, 1e3)
    plain = latency_term(replace(job, latency_weight=0.0), space, brightness)
    assert plain is not None
    assert (plain.weight, plain.milliseconds) == (0.0, plain.table.even())
    with pytest.raises(ValueError, match="latency is weighed by proxyless, not by darts"):
        latency_term(replace(job, strategy="darts", latency_weight=0.1), space, brightness)
