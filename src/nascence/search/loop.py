"""The search loop: ask, evaluate, tell, and record in a study."""

import math
import time
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from nascence.search.evaluator import Evaluator
from nascence.search.history import Candidate, History
from nascence.search.limits import ExhaustedError
from nascence.search.strategy import Strategy
from nascence.search.study import bind, new_study, read_history, record
from nascence.spaces import Architecture

if TYPE_CHECKING:
    from optuna import Study


def search(
    strategy: Strategy,
    evaluate: Evaluator,
    *,
    trials: int,
    study: "Study | None" = None,
    seconds: float | None = None,
    on_trial: Callable[[Candidate], None] | None = None,
    attributes: Callable[[Architecture], Mapping[str, Any]] | None = None,
) -> History:
    """Evaluate what ``strategy`` proposes, until the study holds ``trials`` trials.

    Every trial is recorded once it is complete. A study that holds trials already is resumed: a
    new strategy is asked and told them again, without evaluation, and the search goes on; killed
    at any moment and resumed, it ends with the history of an undisturbed one. One search at a
    time may use a study.

    Args:
        strategy: proposes architectures; to resume, one made as that of the study was, unused.
        evaluate: their score. If it has a ``description``, the study holds on to it.
        trials: of the study as a whole, earlier ones included.
        study: from :func:`open_study`; by default one in memory.
        seconds: that evaluations may take together, earlier ones included; no trial starts
            when they are spent.
        on_trial: called with each new candidate.
        attributes: further facts of an architecture to record, such as its size.

    Returns:
        All candidates. Fewer than ``trials`` if the seconds or the new architectures run out.

    Raises:
        ValueError: a study made with another space, strategy, seed or evaluator, which stays as
            it is; a score that is NaN.
        LimitError: no architecture is allowed.
    """
    space = strategy.space
    study = new_study(space=space) if study is None else study
    bind(study, "space", space.description)
    bind(study, "strategy", strategy.description)
    if (description := getattr(evaluate, "description", None)) is not None:
        bind(study, "evaluator", description)
    history = read_history(study, space=space)
    sign = 1 if history.direction == "maximize" else -1
    candidates = list(history.candidates)
    for candidate in candidates:
        _replay(strategy, candidate, sign)
    spent = sum(candidate.seconds for candidate in candidates)
    while len(candidates) < trials and (seconds is None or spent < seconds):
        try:
            architecture = strategy.ask()
        except ExhaustedError:
            break
        candidate = _evaluate(evaluate, architecture, len(candidates))
        strategy.tell(architecture, sign * candidate.score)
        facts = attributes(architecture) if attributes else {}
        record(study, candidate, space=space, attributes=facts)
        candidates.append(candidate)
        spent += candidate.seconds
        if on_trial:
            on_trial(candidate)
    return History(tuple(candidates), history.direction)


def _evaluate(evaluate: Evaluator, architecture: Architecture, number: int) -> Candidate:
    start = time.perf_counter()
    score = float(evaluate(architecture))
    if math.isnan(score):
        raise ValueError(f"the evaluator gave NaN for the architecture {architecture}")
    return Candidate(architecture, score, time.perf_counter() - start, number)


def _replay(strategy: Strategy, candidate: Candidate, sign: int) -> None:
    """Ask and tell a recorded candidate, which must be what the strategy proposes."""
    architecture = strategy.ask()
    if architecture != candidate.architecture:
        raise ValueError(
            f"trial {candidate.number} of the study is {candidate.architecture}, where this "
            f"strategy proposes {architecture}: resume with the strategy, settings and seed that "
            "the study was made with, not used before, or use another study name"
        )
    strategy.tell(architecture, sign * candidate.score)
