"""A comparison of optimizers as a job."""

from dataclasses import replace
from pathlib import Path

import pytest

from nascence.core.files import LockedError, locked
from nascence.jobs.optimizer_comparison import OptimizerComparisonJob


@pytest.fixture
def job(tmp_path: Path) -> OptimizerComparisonJob:
    return OptimizerComparisonJob(
        out=tmp_path / "run", optimizers=("adam", "nadamw"), families="quadratic", steps=3, seeds=2
    )


def test_a_comparison_in_words_and_its_page(job: OptimizerComparisonJob) -> None:
    seen: list[float] = []
    outcome = job.run(progress=lambda _, share, __: seen.append(share))
    assert seen == [0.5, 1.0]
    facts = outcome.facts()
    assert facts["settings"] == {"tasks": 2, "steps": 3, "seeds": 2, "seed": 0, "batches": 5}
    lines = [str(part) for part in outcome.summary()]
    for each in facts["standings"]:
        start = next(n for n, line in enumerate(lines) if line.startswith(each["group"] + " "))
        row = next(line for line in lines[start:] if line.startswith(each["label"] + " "))
        assert float(row.split()[-3]) == pytest.approx(each["mean"], abs=5e-4)
    page = (job.out / "report.html").read_text()
    assert "2 repetitions" in page


def test_what_is_there_is_not_run_again(job: OptimizerComparisonJob) -> None:
    job.run()
    held = {path: path.stat().st_mtime_ns for path in job.out.glob("quadratic--*")}
    assert len(held) == 2
    replace(job, optimizers=("adam", "nadamw", "adam-lr")).run()
    assert all(path.stat().st_mtime_ns == time for path, time in held.items())
    with locked(job.out), pytest.raises(LockedError):
        job.run()
