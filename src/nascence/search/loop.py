"""The search loop: ask, evaluate, tell, and record in a study."""

import math
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

from nascence.search.claims import Claims
from nascence.search.evaluator import Evaluator
from nascence.search.history import Candidate, History
from nascence.search.limits import ExhaustedError
from nascence.search.strategy import Strategy, without_seed
from nascence.search.study import (
    bind,
    bind_costs,
    candidates_of,
    direction_of,
    open_claims,
    record,
    trials_from,
)
from nascence.spaces import Architecture

if TYPE_CHECKING:
    from optuna import Study


WAIT = 0.02
"""Seconds between two checks whether the searches at work leave a trial to do."""
TRIES = 1_000
"""Number of proposals after which even one that another search is evaluating is taken."""


@runtime_checkable
class MultiObjective(Protocol):
    """A strategy that also learns from costs: ``objectives`` is one more than their number."""

    objectives: int

    def tell_all(self, architecture: Architecture, values: tuple[float, ...]) -> None:
        """Learn all values of an architecture; higher is better for each."""


def search(
    strategy: Strategy,
    evaluate: Evaluator,
    *,
    trials: int,
    study: "Study | None" = None,
    seconds: float | None = None,
    on_trial: Callable[[Candidate], None] | None = None,
    attributes: Callable[[Architecture], Mapping[str, Any]] | None = None,
    costs: Mapping[str, Callable[[Architecture], float]] | None = None,
    shared: bool = False,
) -> History:
    """Evaluate what ``strategy`` proposes, until the study holds ``trials`` trials.

    Every trial is recorded once it is complete. A study that holds trials already is resumed: a
    new strategy is asked and told them again, without evaluation, and the search goes on; killed
    at any moment and resumed, it ends with the history of an undisturbed one. One search at a
    time may use a study, unless all of them are ``shared``.

    Args:
        strategy: proposes architectures; to resume, one made as that of the study was, unused.
        evaluate: their score. If it has a ``description``, the study holds on to it.
        trials: trials of the study as a whole, earlier ones included.
        study: from :func:`open_study`; without it nothing is recorded.
        seconds: time that evaluations may take together, earlier ones included; no trial starts
            when they are spent.
        on_trial: called with each new candidate.
        attributes: further facts of an architecture to record, such as its size.
        costs: of an architecture, lower is better, by name; the study was opened with the names.
            A strategy with several objectives learns of them, any other of the score alone.
        shared: several searches, each with a seed of its own, work on the study at once and learn
            of all scores. Each claims what it evaluates, so that nothing is evaluated twice and
            the study ends with ``trials`` trials. Their order depends on the searches' speed.

    Returns:
        All candidates. Fewer than ``trials`` if the seconds or the new architectures run out.

    Raises:
        ValueError: a study made with another space, strategy, seed, evaluator or other costs,
            which stays as it is; a score that is NaN.
        LimitError: no architecture is allowed.
    """
    costs = costs or {}
    objectives = getattr(strategy, "objectives", 1)
    if objectives not in (1, 1 + len(costs)):
        raise ValueError(
            f"the strategy has {objectives} objectives, and there are a score and "
            f"{len(costs)} costs; make it with {1 + len(costs)}"
        )
    if shared and study is None:
        raise ValueError("shared searches need a study; open one with open_study")
    run = _Run(strategy, evaluate, study, costs, attributes, on_trial)
    run.take_up(shared)

    def done() -> bool:
        return len(run.candidates) >= trials or (seconds is not None and run.spent >= seconds)

    with suppress(ExhaustedError), run.joined(study if shared else None):
        while not done():
            if (architecture := run.next(trials, done)) is not None:
                run.finish(architecture)
    return History(tuple(run.candidates), run.direction, tuple(costs))


class _Run:
    """A strategy at work on a study."""

    def __init__(
        self,
        strategy: Strategy,
        evaluate: Evaluator,
        study: "Study | None",
        costs: Mapping[str, Callable[[Architecture], float]],
        attributes: Callable[[Architecture], Mapping[str, Any]] | None,
        on_trial: Callable[[Candidate], None] | None,
    ) -> None:
        self.strategy, self.evaluate, self.study = strategy, evaluate, study
        self.costs, self.attributes, self.on_trial = costs, attributes, on_trial
        self.direction = "maximize"
        self.candidates: list[Candidate] = []
        self.spent = 0.0
        self.claims: Claims | None = None
        self._read = 0  # trials of the study, from the first on
        self._reported = 0

    def take_up(self, shared: bool) -> None:
        """Tell the strategy what the study holds."""
        if self.study is None:
            return
        space, description = self.strategy.space, self.strategy.description
        if shared:
            description = f"{without_seed(description)}, shared"
        bind(self.study, "space", space.description)
        bind(self.study, "strategy", description)
        if (evaluator := getattr(self.evaluate, "description", None)) is not None:
            bind(self.study, "evaluator", evaluator)
        bind_costs(self.study, tuple(self.costs))
        self.direction = direction_of(self.study)
        trials = self.study.get_trials(deepcopy=False)
        for candidate in candidates_of(self.study, trials, space):
            if not shared:
                self._propose_again(candidate)
            self._learn(candidate)
        self._read, self._reported = len(trials), len(self.candidates)

    @contextmanager
    def joined(self, study: "Study | None") -> Iterator[None]:
        """Work on the study together with others."""
        if study is None:
            yield
            return
        self.claims = open_claims(study)
        try:
            yield
        finally:
            self.claims.close()

    def next(self, trials: int, done: Callable[[], bool]) -> Architecture | None:
        """Return what to evaluate, which no other search evaluates; None if all is done."""
        if self.claims is None:
            return self.strategy.ask()
        while not self._has_place(trials):
            if done():
                return None
            time.sleep(WAIT)
        for attempt in range(TRIES):
            architecture = self.strategy.ask()
            key = self.strategy.space.canonical(architecture)
            with self.claims.held():
                others = self.claims.others()
                others += [self.strategy.space.canonical(new) for new in self._catch_up()]
                if key not in others or attempt == TRIES - 1:
                    self.claims.claim(key)
                    break
        self._report()
        return architecture

    def _has_place(self, trials: int) -> bool:
        """Claim a place among the trials, if the other searches leave one."""
        assert self.claims is not None
        with self.claims.held():
            self._catch_up()
            free = len(self.candidates) + len(self.claims.others()) < trials
            if free:
                self.claims.claim()
        self._report()
        return free

    def finish(self, architecture: Architecture) -> None:
        """Evaluate an architecture, record it, and learn from it."""
        start = time.perf_counter()
        score = float(self.evaluate(architecture))
        seconds = time.perf_counter() - start
        costs = tuple(float(cost(architecture)) for cost in self.costs.values())
        if math.isnan(score) or any(map(math.isnan, costs)):
            raise ValueError(f"the evaluator gave NaN for the architecture {architecture}")
        candidate = Candidate(architecture, score, seconds, len(self.candidates), costs)
        if self.claims is None:
            self._record(candidate)
            self._learn(candidate)
        else:
            with self.claims.held():
                self._record(candidate)
                self.claims.release()
                self._catch_up()
        self._report()

    def _record(self, candidate: Candidate) -> None:
        if self.study is not None:
            facts = self.attributes(candidate.architecture) if self.attributes else {}
            record(self.study, candidate, space=self.strategy.space, attributes=facts)

    def _catch_up(self) -> list[Architecture]:
        """Learn from what has been recorded since, including one's own trials."""
        assert self.study is not None
        trials = trials_from(self.study, self._read)
        self._read += len(trials)
        found = candidates_of(self.study, trials, self.strategy.space)
        for each in found:
            self._learn(replace(each, number=len(self.candidates)))
        return [each.architecture for each in found]

    def _learn(self, candidate: Candidate) -> None:
        self.candidates.append(candidate)
        self.spent += candidate.seconds
        self._tell(candidate)

    def _report(self) -> None:
        """Tell the caller of new candidates, outside of every lock."""
        new, self._reported = self.candidates[self._reported :], len(self.candidates)
        for each in new:
            if self.on_trial:
                self.on_trial(each)

    def _tell(self, candidate: Candidate) -> None:
        score = candidate.score if self.direction == "maximize" else -candidate.score
        if isinstance(self.strategy, MultiObjective) and self.strategy.objectives > 1:
            values = (score, *(-cost for cost in candidate.costs))
            self.strategy.tell_all(candidate.architecture, values)
        else:
            self.strategy.tell(candidate.architecture, score)

    def _propose_again(self, candidate: Candidate) -> None:
        """Ask for a recorded candidate, which must be what the strategy proposes."""
        architecture = self.strategy.ask()
        if architecture != candidate.architecture:
            raise ValueError(
                f"trial {candidate.number} of the study is {candidate.architecture}, where this "
                f"strategy proposes {architecture}: resume with the strategy, settings and seed "
                "that the study was made with, not used before, or use another study name"
            )
