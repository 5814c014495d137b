"""The search loop: ask, evaluate, tell, and record in a study."""

import math
import time
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

from nascence.search.evaluator import Evaluator
from nascence.search.history import Candidate, History
from nascence.search.limits import ExhaustedError
from nascence.search.strategy import Strategy, without_seed
from nascence.search.study import bind, read_history, record
from nascence.spaces import Architecture

if TYPE_CHECKING:
    from optuna import Study


@runtime_checkable
class MultiObjective(Protocol):
    """A strategy that learns of costs too: ``objectives`` is one more than their number."""

    objectives: int

    def tell_all(self, architecture: Architecture, values: tuple[float, ...]) -> None:
        """Learn all values of an architecture, of which higher is better."""


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
        trials: of the study as a whole, earlier ones included.
        study: from :func:`open_study`; without it nothing is recorded.
        seconds: that evaluations may take together, earlier ones included; no trial starts
            when they are spent.
        on_trial: called with each new candidate.
        attributes: further facts of an architecture to record, such as its size.
        costs: of an architecture, lower is better, by name; the study was opened with the names.
            A strategy with several objectives learns of them, any other of the score alone.
        shared: several searches, each with a seed of its own, work on the study at once and learn
            of all scores. The order of trials then depends on their speed, and the study can end
            with as many trials too many as there are other searches.

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
    run = _Run(strategy, evaluate, study, costs, attributes, shared)
    history = run.take_up()
    spent = sum(candidate.seconds for candidate in history.candidates)
    candidates = list(history.candidates)
    while len(candidates) < trials and (seconds is None or spent < seconds):
        try:
            candidate = run.evaluated(len(candidates))
        except ExhaustedError:
            break
        new = run.recorded(candidate)
        candidates += new
        spent += sum(each.seconds for each in new)
        if on_trial:
            for each in new:
                on_trial(each)
    return History(tuple(candidates), history.direction, tuple(costs))


class _Run:
    """A strategy at work on a study."""

    def __init__(
        self,
        strategy: Strategy,
        evaluate: Evaluator,
        study: "Study | None",
        costs: Mapping[str, Callable[[Architecture], float]],
        attributes: Callable[[Architecture], Mapping[str, Any]] | None,
        shared: bool,
    ) -> None:
        self.strategy, self.evaluate, self.study = strategy, evaluate, study
        self.costs, self.attributes, self.shared = costs, attributes, shared
        self.sign = 1
        self.known = 0

    def take_up(self) -> History:
        """Tell the strategy what the study holds."""
        if self.study is None:
            return History((), costs=tuple(self.costs))
        space, description = self.strategy.space, self.strategy.description
        if self.shared:
            description = f"{without_seed(description)}, shared"
        bind(self.study, "space", space.description)
        bind(self.study, "strategy", description)
        if (evaluator := getattr(self.evaluate, "description", None)) is not None:
            bind(self.study, "evaluator", evaluator)
        if self.costs or len(self.study.directions) > 1:
            bind(self.study, "costs", ", ".join(self.costs) or "none")
        history = read_history(self.study, space=space)
        self.sign = 1 if history.direction == "maximize" else -1
        for candidate in history.candidates:
            if not self.shared:
                self._propose_again(candidate)
            self._tell(candidate)
        self.known = len(history)
        return history

    def evaluated(self, number: int) -> Candidate:
        """Ask for an architecture and evaluate it."""
        architecture = self.strategy.ask()
        start = time.perf_counter()
        score = float(self.evaluate(architecture))
        seconds = time.perf_counter() - start
        costs = tuple(float(cost(architecture)) for cost in self.costs.values())
        if math.isnan(score) or any(map(math.isnan, costs)):
            raise ValueError(f"the evaluator gave NaN for the architecture {architecture}")
        return Candidate(architecture, score, seconds, number, costs)

    def recorded(self, candidate: Candidate) -> list[Candidate]:
        """Record and tell a candidate, and with a shared study those of others; return the new."""
        new = [candidate]
        if self.study is not None:
            facts = self.attributes(candidate.architecture) if self.attributes else {}
            space = self.strategy.space
            record(self.study, candidate, space=space, attributes=facts)
            if self.shared:
                found = read_history(self.study, space=space, start=self.known)
                new = list(found.candidates)
        self.known += len(new)
        for each in new:
            self._tell(each)
        return new

    def _tell(self, candidate: Candidate) -> None:
        score = self.sign * candidate.score
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
