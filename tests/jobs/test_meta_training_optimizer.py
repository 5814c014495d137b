"""A meta-training of an optimizer as a job."""

from dataclasses import replace
from pathlib import Path

import pytest

from nascence.core.files import LockedError, locked
from nascence.core.resumable import CheckpointError
from nascence.jobs.meta_training_optimizer import OptimizerTrainingJob


@pytest.fixture
def job(tmp_path: Path) -> OptimizerTrainingJob:
    return OptimizerTrainingJob(
        out=tmp_path / "run", families="quadratic", cohorts=2, pairs=3, window=4, lengths=(4, 8),
        steps=2,
    )  # fmt: skip


def test_legs_count_on(job: OptimizerTrainingJob) -> None:
    seen: list[tuple[str, float]] = []
    first = job.run(progress=lambda stage, share, _: seen.append((stage, share)))
    assert seen == [("optimizer", 0.5), ("optimizer", 1.0)]
    assert first.facts()["particle_steps"] == 2 * 2 * 2 * 3 * 4
    later = replace(job, steps=3).run()
    assert later.facts()["particle_steps"] == 3 * 2 * 2 * 3 * 4
    assert later.facts()["finished"]
    assert not replace(first, steps=3).facts()["finished"]
    assert "the same command goes on" in str(replace(first, steps=3).summary()[0])


def test_another_run_and_another_process_keep_the_folder(job: OptimizerTrainingJob) -> None:
    job.run()
    with pytest.raises(CheckpointError, match="another meta-training"):
        replace(job, seed=5).run()
    with locked(job.out), pytest.raises(LockedError):
        job.run()
