"""Measuring latencies as a job."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from nascence.data import load
from nascence.jobs.latency import LatencyJob
from nascence.jobs.names import space_named
from nascence.latency.table import read_latencies


@pytest.fixture
def job(tmp_path: Path) -> LatencyJob:
    pixels = np.random.default_rng(0).integers(0, 256, (40, 8, 8, 1), dtype=np.uint8)
    np.savez(tmp_path / "noise.npz", images=pixels, labels=np.arange(40) % 4)
    return LatencyJob(
        out=tmp_path / "latency.json", space="shufflenet", data=str(tmp_path / "noise.npz"),
        sizes={"width": 0.1}, networks=1, passes=1, check=2,
    )  # fmt: skip


def test_the_table_that_is_written_is_that_of_the_outcome(job: LatencyJob) -> None:
    outcome = job.run()
    space = space_named("shufflenet", data=load(job.data), sizes=job.sizes)
    assert read_latencies(job.out, space=space, side=8) == outcome.table
    assert len(outcome.errors) == 2
    assert outcome.facts()["checked"]["largest"] == max(outcome.errors)


def test_a_table_that_is_far_off_says_so(job: LatencyJob) -> None:
    outcome = replace(job.run(), errors=(0.1, 0.3))
    assert outcome.facts()["checked"] == {
        "networks": 2, "mean_error": pytest.approx(0.2), "largest": 0.3,
    }  # fmt: skip
    assert any("measure again" in str(part) for part in outcome.summary())
    assert not any("measure" in str(part) for part in replace(outcome, errors=()).summary())
