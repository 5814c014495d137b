"""The flat valley as a job."""

import math
from pathlib import Path

import pytest

from nascence.jobs.optimizer_probe import OptimizerProbeJob


def test_adam_goes_to_the_nearest_point(tmp_path: Path) -> None:
    job = OptimizerProbeJob(out=tmp_path / "new" / "run", optimizers=("adam",), steps=2)
    outcome = job.run()
    facts = outcome.facts()["optimizers"]["Adam 0.001"]
    assert facts["along"] == pytest.approx(1, abs=1e-3)
    angles = [2 * math.pi * (place + 0.5) / 10 for place in range(10)]  # two steps move little
    starts = [abs(2 * math.cos(a) - 2 * math.sin(a)) / math.sqrt(2) for a in angles]
    assert facts["distance"] == pytest.approx(sum(starts) / 10, abs=5e-3)
    assert (job.out / "probe.html").is_file()
    assert outcome.summary()[-1] == f"wrote {job.out / 'probe.html'}"
