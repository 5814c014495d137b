"""Claims: seen by others while their process lives, gone with it."""

import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import torch

from nascence.search import Candidate, RandomSearch, search
from nascence.search.claims import Claims
from nascence.search.study import open_study, trials_from
from nascence.spaces import NB201

SPACE = NB201(width=4, cells=1)


def test_others_see_a_claim_until_it_is_released_or_closed(tmp_path: Path) -> None:
    first, second = Claims(tmp_path), Claims(tmp_path)
    with second.held():
        assert second.others() == []
    with first.held():
        first.claim()
    with second.held():
        assert second.others() == [()]
    with first.held():
        first.claim((1, 2))
        assert first.others() == []
    with second.held():
        assert second.others() == [(1, 2)]
    with first.held():
        first.release()
    with second.held():
        assert second.others() == []
    first.close()
    second.close()
    assert [path.name for path in tmp_path.iterdir()] == ["mutex"]


def test_a_claim_ends_with_its_process(tmp_path: Path) -> None:
    code = f"""
import os
from pathlib import Path
from nascence.search.claims import Claims
claims = Claims(Path({str(tmp_path)!r}))
with claims.held():
    claims.claim((3,))
os._exit(9)
"""
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 9
    assert len(list(tmp_path.iterdir())) == 2
    claims = Claims(tmp_path)
    with claims.held():
        assert claims.others() == []
    claims.close()
    assert [path.name for path in tmp_path.iterdir()] == ["mutex"]


def strategy(seed: int) -> RandomSearch:
    return RandomSearch(SPACE, generator=torch.Generator().manual_seed(seed))


def test_what_another_search_evaluates_is_not_evaluated(tmp_path: Path) -> None:
    """Two searches with one seed propose the same: the second one is told of the claim."""
    journal = tmp_path / "study.journal"
    inner: list[tuple[int, ...]] = []

    def another_search(architecture: tuple[int, ...]) -> float:
        if not inner:
            other = open_study(journal, space=SPACE, name="search")
            with suppress(KeyboardInterrupt):
                search(
                    strategy(0),
                    lambda _: 2.0,
                    trials=3,
                    study=other,
                    shared=True,
                    on_trial=stopped_after_one,
                )
        return 1.0

    def stopped_after_one(candidate: Candidate) -> None:
        inner.append(candidate.architecture)
        raise KeyboardInterrupt

    study = open_study(journal, space=SPACE, name="search")
    first = strategy(0).ask()
    history = search(strategy(0), another_search, trials=3, study=study, shared=True)
    assert len(inner) == 1
    assert inner[0] != first
    assert len(history) == 3
    assert len({SPACE.canonical(each.architecture) for each in history.candidates}) == 3


def test_trials_are_read_from_any_number_on(tmp_path: Path) -> None:
    study = open_study(tmp_path / "study.journal", space=SPACE, name="search")
    search(strategy(1), lambda _: 0.0, trials=7, study=study)
    assert [trial.number for trial in trials_from(study, 4)] == [4, 5, 6]
    assert trials_from(study, 7) == []
