"""The loop: undisturbed, interrupted, killed."""

import math
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch

from nascence.search import Evolution, History, RandomSearch, Strategy, open_study, search
from nascence.spaces import NB201, Architecture

SPACE = NB201(width=4, cells=1)


def evolution(seed: int = 0) -> Evolution:
    return Evolution(SPACE, generator=torch.Generator().manual_seed(seed), population=4, sample=2)


def score(architecture: Architecture) -> float:
    return math.sin(sum((place + 1) * index for place, index in enumerate(architecture))) / 3


def run(path: Path, trials: int, strategy: Strategy | None = None) -> History:
    study = open_study(path, space=SPACE, name="search")
    return search(strategy or evolution(), score, trials=trials, study=study)


def test_history_holds_every_evaluation_in_order() -> None:
    seen: list[int] = []
    evaluated: list[Architecture] = []

    def evaluate(architecture: Architecture) -> float:
        evaluated.append(architecture)
        return score(architecture)

    history = search(
        evolution(), evaluate, trials=20, on_trial=lambda trial: seen.append(trial.number)
    )
    assert seen == list(range(20))
    assert [candidate.architecture for candidate in history.candidates] == evaluated
    assert [candidate.score for candidate in history.candidates] == [score(a) for a in evaluated]
    assert history.best.score == max(map(score, evaluated))


def test_a_study_resumes_where_it_ended(tmp_path: Path) -> None:
    whole = run(tmp_path / "whole.journal", 30)
    assert search(evolution(), score, trials=30) == whole
    for trials in (3, 4, 17, 30):
        history = run(tmp_path / "parts.journal", trials)
    assert history == whole
    assert len(run(tmp_path / "parts.journal", 10)) == 30


def test_any_cut_of_the_journal_ends_with_the_same_history(tmp_path: Path) -> None:
    """As a kill in the middle of a write leaves it: cut at each of the last bytes, and before."""
    whole = run(tmp_path / "whole.journal", 8)
    content = (tmp_path / "whole.journal").read_bytes()
    lines = content.splitlines(keepends=True)
    last = len(content) - len(lines[-1])
    cuts = [0, 1, 5, len(lines[0]) - 1, len(lines[0]), len(lines[0]) + 9, sum(map(len, lines[:3]))]
    cuts += [last - 1, last, last + 1, last + 12, last + 13, last + 100, len(content) - 1]
    for cut in cuts:
        path = tmp_path / f"{cut}.journal"
        path.write_bytes(content[:cut])
        assert run(path, 8) == whole


KILLED = """
import sys, time, torch
from nascence.search import Evolution, open_study, search
from nascence.spaces import NB201
space = NB201(width=4, cells=1)
def score(architecture):
    time.sleep(0.02)
    return float(sum(architecture))
strategy = Evolution(space, generator=torch.Generator().manual_seed(3), population=4, sample=2)
study = open_study(sys.argv[1], space=space, name="search")
search(strategy, score, trials=40, study=study)
"""


def test_a_killed_search_resumes_to_the_same_history(tmp_path: Path) -> None:
    def strategy() -> Evolution:
        return evolution(3)

    def total(architecture: Architecture) -> float:
        return float(sum(architecture))

    path = tmp_path / "killed.journal"
    command = [sys.executable, "-c", KILLED, str(path)]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    process = subprocess.Popen(command, env=environment, stderr=subprocess.PIPE)
    deadline = time.monotonic() + 60
    while not path.exists() or path.read_bytes().count(b"\n") < 12:
        assert process.poll() is None, process.communicate()[1].decode()
        assert time.monotonic() < deadline
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    assert process.communicate()[1] == b""
    study = open_study(path, space=SPACE, name="search")
    assert 0 < len(study.trials) < 40
    resumed = search(strategy(), total, trials=40, study=study)
    assert resumed == search(strategy(), total, trials=40)


def test_trials_of_others_that_did_not_complete_are_passed_over(tmp_path: Path) -> None:
    path = tmp_path / "search.journal"
    run(path, 5)
    study = open_study(path, space=SPACE, name="search")
    study.ask()
    assert run(path, 10) == run(tmp_path / "other.journal", 10)


@pytest.mark.parametrize(
    ("other", "message"),
    [
        (evolution(1), "was made with the strategy .*seed=0.* and is now given .*seed=1"),
        (RandomSearch(SPACE, generator=torch.Generator().manual_seed(0)), "now given RandomSearch"),
        (Evolution(NB201(), generator=torch.Generator()), "was made with the space .*width=4"),
    ],
)
def test_another_search_does_not_touch_a_study(
    other: Strategy, message: str, tmp_path: Path
) -> None:
    path = tmp_path / "search.journal"
    expected = run(path, 6)
    content = path.read_bytes()
    with pytest.raises(ValueError, match=message):
        run(path, 12, other)
    assert path.read_bytes() == content
    assert run(path, 6) == expected


def test_a_strategy_used_before_is_noticed(tmp_path: Path) -> None:
    path = tmp_path / "search.journal"
    run(path, 6)
    used = evolution()
    used.ask()
    content = path.read_bytes()
    with pytest.raises(
        ValueError, match=r"trial 0 of the study is .* where this strategy proposes"
    ):
        run(path, 12, used)
    assert path.read_bytes() == content


def test_another_evaluator_does_not_continue_a_study(tmp_path: Path) -> None:
    class Evaluator:
        def __init__(self, description: str) -> None:
            self.description = description

        def __call__(self, architecture: Architecture) -> float:
            return score(architecture)

    study = open_study(tmp_path / "search.journal", space=SPACE, name="search")
    search(evolution(), Evaluator("one"), trials=2, study=study)
    with pytest.raises(ValueError, match="made with the evaluator one and is now given two"):
        search(evolution(), Evaluator("two"), trials=4, study=study)


def test_an_evaluation_that_fails_loses_nothing(tmp_path: Path) -> None:
    def failing(architecture: Architecture) -> float:
        if len(study.trials) == 5:
            raise KeyboardInterrupt
        return score(architecture)

    path = tmp_path / "search.journal"
    study = open_study(path, space=SPACE, name="search")
    with pytest.raises(KeyboardInterrupt):
        search(evolution(), failing, trials=9, study=study)
    assert run(path, 9) == search(evolution(), score, trials=9)


def test_scores_may_be_infinite_but_not_nan(tmp_path: Path) -> None:
    study = open_study(tmp_path / "search.journal", space=SPACE, name="search")
    history = search(evolution(), lambda _: -math.inf, trials=6, study=study)
    assert [candidate.score for candidate in history.candidates] == [-math.inf] * 6
    study = open_study(tmp_path / "search.journal", space=SPACE, name="search")
    assert search(evolution(), lambda _: -math.inf, trials=6, study=study) == history
    with pytest.raises(ValueError, match="NaN"):
        search(evolution(), lambda _: math.nan, trials=1)


def test_a_study_can_minimise(tmp_path: Path) -> None:
    """Minimising a score is maximising its opposite: the same architectures in the same order."""
    study = open_study(tmp_path / "m.journal", space=SPACE, name="search", direction="minimize")
    least = search(evolution(), score, trials=30, study=study)
    most = search(evolution(), lambda architecture: -score(architecture), trials=30)
    assert least.best.architecture == most.best.architecture
    assert [c.architecture for c in least.candidates] == [c.architecture for c in most.candidates]


def test_time_that_is_spent_ends_the_search(tmp_path: Path) -> None:
    def slow(architecture: Architecture) -> float:
        time.sleep(0.02)
        return 0.0

    study = open_study(tmp_path / "search.journal", space=SPACE, name="search")
    history = search(evolution(), slow, trials=100, seconds=0.1, study=study)
    assert 1 <= len(history) <= 5
    assert search(evolution(), slow, trials=100, seconds=0.1, study=study) == history
    assert len(search(evolution(), slow, trials=100, seconds=0)) == 0


def test_the_search_ends_with_the_last_new_architecture() -> None:
    def few(architecture: Architecture) -> bool:
        return architecture[1:] == (0, 0, 3, 0, 0)

    strategy = RandomSearch(SPACE, generator=torch.Generator().manual_seed(0), allowed=few)
    history = search(strategy, score, trials=100)
    assert 0 < len(history) <= 5


def test_further_facts_are_recorded(tmp_path: Path) -> None:
    study = open_study(tmp_path / "search.journal", space=SPACE, name="search")
    history = search(
        evolution(),
        score,
        trials=3,
        study=study,
        attributes=lambda architecture: {"macs": SPACE.macs(architecture)},
    )
    for trial, candidate in zip(study.trials, history.candidates, strict=True):
        assert trial.user_attrs["macs"] == SPACE.macs(candidate.architecture)
        assert trial.user_attrs["architecture"] == SPACE.format(candidate.architecture)
        assert trial.user_attrs["seconds"] == candidate.seconds


def total(architecture: Architecture) -> float:
    return float(sum(architecture))


def test_costs_are_recorded_and_told(tmp_path: Path) -> None:
    """A strategy of several objectives is told the score and the costs, the larger the better."""
    told = []

    class Listening(RandomSearch):
        objectives = 2

        def tell_all(self, architecture: Architecture, values: tuple[float, ...]) -> None:
            told.append((architecture, values))

    def run_with_costs() -> History:
        strategy = Listening(SPACE, generator=torch.Generator().manual_seed(0))
        study = open_study(tmp_path / "a.journal", space=SPACE, name="search", costs=("macs",))
        return search(strategy, total, trials=9, study=study, costs={"macs": SPACE.macs})

    history = run_with_costs()
    assert history.costs == ("macs",)
    for candidate, (architecture, values) in zip(history.candidates, told, strict=True):
        assert candidate.costs == (SPACE.macs(architecture),)
        assert values == (total(architecture), -SPACE.macs(architecture))
    first = list(told)
    told.clear()
    assert run_with_costs() == history
    assert told == first


def test_other_costs_do_not_continue_a_study(tmp_path: Path) -> None:
    path = tmp_path / "a.journal"
    study = open_study(path, space=SPACE, name="search", costs=("macs",))
    search(evolution(), total, trials=3, study=study, costs={"macs": SPACE.macs})
    content = path.read_bytes()
    with pytest.raises(ValueError, match="was made with the costs macs and is now given none"):
        open_study(path, space=SPACE, name="search")
    with pytest.raises(ValueError, match="the costs macs and is now given parameters"):
        search(evolution(), total, trials=5, study=study, costs={"parameters": SPACE.macs})
    with pytest.raises(ValueError, match="gave NaN"):
        search(evolution(), total, trials=5, study=study, costs={"macs": lambda each: math.nan})
    assert path.read_bytes() == content


SHARED = """
import sys, time, torch
from nascence.search import Evolution, open_study, search
from nascence.spaces import NB201
space = NB201(width=4, cells=1)
def score(architecture):
    time.sleep(0.02)
    return float(sum(architecture))
seed = int(sys.argv[2])
strategy = Evolution(space, generator=torch.Generator().manual_seed(seed), population=4, sample=2)
study = open_study(sys.argv[1], space=space, name="search")
history = search(strategy, score, trials=20, study=study, shared=True,
                 attributes=lambda architecture: {"worker": seed})
print(len(history))
"""


def test_two_processes_share_a_study(tmp_path: Path) -> None:
    """Both add trials, each learns of the other's, and nothing is lost or written twice."""
    path = tmp_path / "shared.journal"
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", SHARED, str(path), str(seed)],
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        for seed in (0, 1)
    ]
    counts = []
    for process in processes:
        out, err = process.communicate(timeout=120)
        assert process.returncode == 0, err.decode()
        counts.append(int(out))
    study = open_study(path, space=SPACE, name="search")
    trials = study.get_trials(deepcopy=False)
    assert max(counts) == len(trials)
    assert 20 <= len(trials) <= 21
    assert [trial.number for trial in trials] == list(range(len(trials)))
    # Which of them starts first is up to the machine; the other joins while it runs, or after it.
    assert {trial.user_attrs["worker"] for trial in trials} <= {0, 1}


def test_shared_searches_learn_of_each_other(tmp_path: Path) -> None:
    """In turns, in one process: neither proposes what the other has scored."""
    study = open_study(tmp_path / "a.journal", space=SPACE, name="search")
    strategies = [evolution(seed) for seed in (0, 1)]
    for trials in range(1, 31):
        strategy = evolution(trials % 2 + 10 * trials)
        history = search(strategy, total, trials=trials, study=study, shared=True)
        assert len(history) == trials
    classes = {SPACE.canonical(each.architecture) for each in history.candidates}
    assert len(classes) == 30
    with pytest.raises(ValueError, match=r"was made with the strategy .*, shared and is now given"):
        search(strategies[0], total, trials=40, study=study)
    with pytest.raises(ValueError, match="need a study"):
        search(strategies[0], total, trials=40, shared=True)
