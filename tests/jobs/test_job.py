"""Jobs of every kind are made by name, and presets are options like any other."""

import dataclasses
import inspect
import subprocess
import sys
from pathlib import Path

import pytest

from nascence import registry
from nascence.jobs import PRESETS, Job, make_job
from nascence.jobs.gradient import GradientJob
from nascence.jobs.job import JOBS, check_folder
from nascence.jobs.names import parameters_of
from nascence.jobs.search import SearchJob
from nascence.search import Evolution

OUT = Path("runs/none")


@pytest.mark.parametrize("name", registry.names(*registry.STRATEGIES))
def test_every_strategy_has_a_job(name: str) -> None:
    space = "gan" if name == "autogan" else "nb201"
    job = make_job(out=OUT, space=space, strategy=name, steps=7, seed=3)
    assert isinstance(job, Job)
    assert (job.out, job.strategy, job.steps, job.seed) == (OUT, name, 7, 3)  # type: ignore[attr-defined]
    assert set(JOBS) == set(registry.STRATEGIES)


def test_options_of_all_jobs_have_one_name() -> None:
    kinds = [registry.Entry("job", kind, target, "").load() for kind, target in JOBS.items()]
    for kind in kinds:
        fields = {each.name for each in dataclasses.fields(kind)}
        assert {"out", "space", "strategy", "data", "sizes", "settings", "steps"} <= fields
        assert {"seconds", "seed", "workers"} <= fields
        assert list(inspect.signature(kind.run).parameters) == ["self", "progress"]


@pytest.mark.parametrize("name", PRESETS)
def test_a_preset_makes_a_job_whose_settings_exist(name: str) -> None:
    preset = PRESETS[name]
    space = preset.options.get("space", "nb201")
    job = make_job(out=OUT, preset=name, space=space)
    for option, value in preset.options.items():
        assert getattr(job, option) == value
    make = registry.find(job.strategy, *registry.STRATEGIES).load()  # type: ignore[attr-defined]
    own = {*parameters_of(make)}
    if isinstance(job, GradientJob):
        from nascence.gradient import gradient_search

        own |= {*parameters_of(gradient_search)}
    assert {*job.settings} <= own  # type: ignore[attr-defined]
    assert preset.line
    assert preset.paper


def test_the_preset_of_darts_is_what_its_paper_says() -> None:
    """Fifty epochs of half of the 50,000 images in batches of 64; eight cells of 16 channels."""
    options = PRESETS["darts"].options
    assert options["steps"] == 50 * 25_000 // 64 - 31  # 390 whole batches an epoch
    assert options["sizes"] == {"width": 16, "cells": 8}
    assert PRESETS["pc-darts"].options["steps"] == 50 * -(-25_000 // 256)


def test_what_is_given_wins_over_a_preset() -> None:
    job = make_job(out=OUT, preset="amoebanet", space="nb201", settings={"population": 9}, trials=5)
    assert isinstance(job, SearchJob)
    assert job.settings == {"population": 9, "sample": 25, "distinct": "nothing"}
    assert job.trials == 5
    timed = make_job(out=OUT, preset="amoebanet", space="nb201", seconds=60.0)
    assert isinstance(timed, SearchJob)
    assert (timed.trials, timed.seconds) == (None, 60.0)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({}, "the space is missing; use one of accel-nasbench"),
        ({"space": "nb201", "preset": "luck"}, "there is no preset 'luck'; use one of amoebanet"),
        ({"space": "nb201", "strategy": "luck"}, "there is no strategy 'luck'; use one of autogan"),
        ({"space": "gan"}, "the space gan is searched by --strategy autogan, not by evolution"),
        ({"space": "nb201", "split": ("edge_0_1",)}, "--split is not for evolution, which takes"),
        ({"space": "nb201", "strategy": "snas", "trials": 3}, "--budget as a number is not for"),
    ],
)
def test_what_does_not_fit_is_said(options: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make_job(out=OUT, **options)


def test_a_setting_that_the_strategy_has_not(tmp_path: Path) -> None:
    job = make_job(out=tmp_path, space="nb201", settings={"luck": 1}, trials=1)
    with pytest.raises(ValueError, match="evolution has no setting 'luck'; it has population, sam"):
        job.run()
    assert "population" in parameters_of(Evolution)


@pytest.mark.parametrize(
    "out",
    ["sqlite:///study.db", "postgresql+psycopg://user:secret@host/db", "mysql://u:secret@h/d"],
)
def test_the_address_of_a_database_is_no_folder(out: str) -> None:
    with pytest.raises(ValueError, match="database; give a folder") as raised:
        check_folder(Path(out))
    assert "secret" not in str(raised.value)


def test_importing_jobs_loads_no_torch() -> None:
    code = "import sys, nascence.jobs; print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
