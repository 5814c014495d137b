"""optuna-dashboard shows the study of any search, as docs/search.md says."""

import json
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

import pytest
import torch

from nascence.data import nb201
from nascence.search import RandomSearch, TableEvaluator, open_study, search
from nascence.spaces import NB201

pytest.importorskip("optuna_dashboard")


def ask(address: str, *, seconds: float = 60.0) -> dict:
    """What the dashboard answers, as soon as it does."""
    deadline = time.monotonic() + seconds
    while True:
        try:
            with urllib.request.urlopen(address, timeout=10) as answer:
                return json.load(answer)
        except urllib.error.URLError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.2)


def free_port() -> int:
    import socket

    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return found.getsockname()[1]


def test_the_dashboard_reads_a_study(tmp_path: Path) -> None:
    space = NB201()
    study = open_study(tmp_path / "study.journal", space=space, name="search")
    strategy = RandomSearch(space, generator=torch.Generator().manual_seed(0))
    history = search(strategy, TableEvaluator(space, nb201()), trials=4, study=study)
    port = free_port()
    command = [str(Path(sys.executable).with_name("optuna-dashboard"))]
    with subprocess.Popen(
        [*command, str(tmp_path / "study.journal"), "--port", str(port)],
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    ) as dashboard:  # fmt: skip
        try:
            (shown,) = ask(f"http://127.0.0.1:{port}/api/studies")["study_summaries"]
            trials = ask(f"http://127.0.0.1:{port}/api/studies/0")["trials"]
        finally:
            dashboard.terminate()
    assert shown["directions"] == ["maximize"]
    assert len(trials) == 4
    scores = [float(trial["values"][0]) for trial in trials]
    assert max(scores) == pytest.approx(history.best.score)
