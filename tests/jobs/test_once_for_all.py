"""A job from names to files."""

import json
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest
import torch
from safetensors import safe_open

from nascence.data import Dataset
from nascence.jobs import once_for_all as once_for_all_job
from nascence.jobs.once_for_all import OnceForAllJob
from nascence.search import LimitError
from nascence.spaces import ElasticMobile, Stage


@pytest.fixture
def job(tmp_path: Path, brightness: Dataset, monkeypatch: pytest.MonkeyPatch) -> OnceForAllJob:
    """On a space of one stage, in place of the large one that the name stands for."""
    space = ElasticMobile(
        classes=2, stages=(Stage(8, 2),), resolutions=(8,), final=8, last=8, kernels=(3, 5)
    )
    monkeypatch.setattr(once_for_all_job, "load", lambda name, *, size: brightness)
    monkeypatch.setattr(once_for_all_job, "space_named", lambda *_, **__: space)
    return OnceForAllJob(
        out=tmp_path / "run", space="elastic-mobile", steps=6, trials=5,
        settings={"predictions": 20},
    )  # fmt: skip


def test_the_network_found_is_written_and_loads(job: OnceForAllJob, brightness: Dataset) -> None:
    stages = []
    outcome = job.run(progress=lambda stage, *_: stages.append(stage))
    assert list(dict.fromkeys(stages)) == ["train", "score"]
    written = json.loads((job.out / "history.json").read_text())
    assert len(written["candidates"]) == len(outcome.history) == 15
    assert written["sampled"] == 5
    best = outcome.history.best
    row = written["candidates"][best.number]
    assert outcome.space.parse(row["architecture"]) == best.architecture
    assert row["macs"] == outcome.space.macs(best.architecture)

    with safe_open(job.out / "network.safetensors", "pt") as file:
        line = file.metadata()["architecture"]
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    model = outcome.space.build(outcome.space.parse(line))
    model.load_state_dict(tensors)
    images = brightness.normalise(brightness.validation.images)
    right = model.eval()(images).argmax(1) == brightness.validation.labels
    assert right.float().mean().item() == pytest.approx(best.score, abs=1e-6)


def test_a_limit_that_nothing_keeps_leaves_what_was_there(job: OnceForAllJob) -> None:
    job.run()
    before = {path.name: path.read_bytes() for path in job.out.iterdir()}
    with pytest.raises(LimitError, match="macs <= 5"):
        replace(job, limits={"macs": 5.0}).run()
    assert {path.name: path.read_bytes() for path in job.out.iterdir()} == before


def test_a_split_job_says_so(job: OnceForAllJob) -> None:
    outcome = replace(job, split=("stage_1_depth",), steps=18, trials=4).run()
    assert len(outcome.history.supernets) == 3
    assert outcome.history.steps == 18


def test_names_that_do_not_fit(job: OnceForAllJob, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ValueError, match="there is no cost 'joules'"):
        replace(job, limits={"joules": 1.0}).run()
    with pytest.raises(ValueError, match="no decision 'edge'"):
        replace(job, split=("edge",)).run()
    from nascence.spaces import SmallSpace

    monkeypatch.setattr(once_for_all_job, "space_named", lambda *_, **__: SmallSpace())
    with pytest.raises(ValueError, match="once-for-all is for elastic-mobile"):
        job.run()


def test_jobs_are_functions_of_the_seed(job: OnceForAllJob, tmp_path: Path) -> None:
    run = partial(replace, job)
    first = job.run().history
    again = run(out=tmp_path / "again").run().history
    other = run(out=tmp_path / "other", seed=1).run().history
    assert first.candidates == again.candidates != other.candidates
    assert torch.equal(next(first.supernets[0].parameters()), next(again.supernets[0].parameters()))
