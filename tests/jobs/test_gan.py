"""A search for generators by name: what it leaves in its folder."""

import io
import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from nascence import gan
from nascence.data import Dataset
from nascence.gan import GanSearchError
from nascence.gan.history import joined
from nascence.jobs import gan as gan_job
from nascence.jobs.gan import GanJob


@pytest.fixture
def data(brightness: Dataset, monkeypatch: pytest.MonkeyPatch) -> Dataset:
    monkeypatch.setattr(gan_job, "load", lambda _, *, size: brightness)
    return brightness


def test_a_job(tmp_path: Path, data: Dataset) -> None:
    job = GanJob(out=tmp_path, sizes={"width": 4}, steps=4, images=8, split=("stage_1_shortcut",))
    seen: list[tuple[str, float]] = []
    outcome = job.run(progress=lambda stage, done, _: seen.append((stage, done)))
    assert [fraction for stage, fraction in seen if stage == "search"] == [0.25, 0.5, 0.75, 1.0]
    assert [fraction for stage, fraction in seen if stage == "classifier"][-1] == 1
    assert (outcome.space.stages, outcome.space.width) == (1, 4)
    assert len(outcome.history.supernets) == 2
    assert outcome.history.steps == 4
    assert 1 <= outcome.score <= data.classes
    assert 1 <= outcome.real_score <= data.classes
    assert outcome.distance >= 0
    kept = json.loads((tmp_path / "history.json").read_text())
    assert [tuple(each["architecture"]) for each in kept["candidates"]] == [
        each.architecture for each in outcome.history.candidates
    ]
    picture = Image.open(io.BytesIO((tmp_path / "samples.png").read_bytes()))
    assert picture.size == (8 * 9 - 1, 8 * 9 - 1)
    assert np.asarray(picture).std() > 0
    again = job.run()
    assert (again.score, again.distance) == (outcome.score, outcome.distance)
    assert again.history.candidates == outcome.history.candidates


def test_a_search_that_fails_keeps_its_history(
    tmp_path: Path, data: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(*_: object, **__: object) -> None:
        raise GanSearchError("the generator collapsed", joined([]))

    monkeypatch.setattr(gan, "autogan", fails)
    with pytest.raises(GanSearchError, match="collapsed"):
        GanJob(out=tmp_path, sizes={"width": 4}, steps=2).run()
    assert json.loads((tmp_path / "history.json").read_text())["candidates"] == []
    assert not (tmp_path / "samples.png").exists()


def test_too_few_steps(tmp_path: Path, data: Dataset) -> None:
    job = GanJob(out=tmp_path, sizes={"width": 4}, steps=2, split=("stage_1_upsampling",))
    with pytest.raises(ValueError, match="steps is 2; 3 supernets of 1 stages need 3 or more"):
        job.run()
    assert not list(tmp_path.iterdir())
