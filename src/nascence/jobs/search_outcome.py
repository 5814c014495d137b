"""What a search with scores found: facts, words, and the report."""

import math
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from nascence.data import Table as AccuracyTable
from nascence.jobs.job import Table
from nascence.jobs.names import sizes_of
from nascence.report.page import put
from nascence.report.search_page import render_search
from nascence.search.history import Candidate, History
from nascence.search.ranking_report import Ranking, ranking_report, ranking_table
from nascence.spaces import SearchSpace

REPORT = "report.html"


@dataclass(frozen=True)
class SearchOutcome:
    """What a search found.

    Attributes:
        out: Folder of the study and the report.
        space: The space that was searched.
        history: All candidates of the study.
        rankings: How well the scores rank by the table, if there is one.
        truth: True accuracy of the best candidate in percent, if it is known.
        seconds: Wall time of this leg of the search.
    """

    out: Path
    space: SearchSpace
    history: History
    rankings: tuple[Ranking, ...]
    truth: float | None
    seconds: float

    def facts(self) -> dict[str, Any]:
        """Return the outcome as plain values: no NaN, and no number as a key."""
        history = self.history
        if not len(history):
            return {"run": str(self.out), "trials": 0}
        return {
            "run": str(self.out),
            "trials": len(history),
            "seconds": round(self.seconds, 3),
            "best": {**self._facts(history.best), "true_accuracy": self.truth},
            "front": [self._facts(each) for each in history.front()] if history.costs else [],
            "ranking": [
                {key: _plain(value) for key, value in ranking._asdict().items()}
                for ranking in self.rankings
            ],
            "report": str(self.out / REPORT),
        }

    def _facts(self, candidate: Candidate) -> dict[str, Any]:
        costs = dict(zip(self.history.costs, candidate.costs, strict=True))
        text = self.space.format(candidate.architecture)
        return {"architecture": text, "score": _plain(candidate.score), **costs}

    def summary(self) -> list[str | Table]:
        """Return the outcome in words, and the rankings as a table."""
        history = self.history
        if not len(history):
            return ["No architecture was scored; give a larger budget."]
        best, text = history.best, self.space.format
        said: list[str | Table] = [
            f"Best of {len(history)}: score {best.score:.6g}  {text(best.architecture)}"
        ]
        if self.truth is not None:
            said.append(f"Trained alone it reaches {self.truth:.2f} % by the table.")
        for each in history.front() if history.costs else ():
            costs = zip(history.costs, each.costs, strict=True)
            listed = ", ".join(f"{name} {cost:,.6g}" for name, cost in costs)
            said.append(f"  front: score {each.score:.6g}, {listed}  {text(each.architecture)}")
        if self.rankings:
            headings, *rows = ranking_table(self.rankings)
            title = "Scores and sizes as rankings of the architectures sampled"
            said.append(Table(title, headings, rows))
        return [*said, f"Report {self.out / REPORT}"]


def outcome_of(
    history: History,
    space: SearchSpace,
    table: AccuracyTable | None,
    *,
    out: Path,
    names: tuple[str, str, str],
    column: str,
    seconds: float,
) -> SearchOutcome:
    """Compare a history with the table of its space, and write the report.

    Args:
        history: History of the search.
        space: The space that was searched.
        table: Table of the space, if there is one.
        out: Folder for the report.
        names: Names of space, strategy and evaluator.
        column: Column of the table, ``DATA/ACCURACY``; empty for its first.
        seconds: Wall time of the search.
    """
    name, strategy, evaluator = names
    rankings, truth = _compared(history, table, evaluator or "table", column)
    title = f"{name}: {strategy}" + (f" by {evaluator}" if evaluator else "")
    page = render_search(
        title=title,
        space=space,
        history=history,
        drawn=_with_sizes(history, space),
        rankings=rankings,
        truth=truth,
    )
    put(page, out / REPORT)
    return SearchOutcome(out, space, history, rankings, truth, seconds)


def _with_sizes(history: History, space: SearchSpace) -> History:
    """Return the history with costs to plot the score against: its own, or else sizes."""
    if history.costs:
        return history
    known = sizes_of(space)
    candidates = tuple(
        replace(each, costs=tuple(float(cost(each.architecture)) for cost in known.values()))
        for each in history.candidates
    )
    return History(candidates, history.direction, tuple(known))


def _compared(
    history: History, table: AccuracyTable | None, name: str, column: str
) -> tuple[tuple[Ranking, ...], float | None]:
    """Return how well scores and sizes rank the networks, and the accuracy of the best one."""
    if table is None or not len(history):
        return (), None
    rows = [table.row(candidate.architecture) for candidate in history.candidates]
    truth = table.accuracies(column.partition("/")[0])[rows]
    best = float(truth[history.best.number])
    if len(rows) < 2:
        return (), best
    scores = [candidate.score for candidate in history.candidates]
    sizes = [each for each in ("flops", "parameters") if each in table.columns]
    baselines = {each: table.columns[each][rows] for each in sizes}
    return ranking_report({name: scores}, truth, baselines=baselines), best


def _plain(value: Any) -> Any:
    """Return a value as JSON has it: no NaN, no number as a key."""
    if isinstance(value, dict):
        return {f"{key:g}": _plain(each) for key, each in value.items()}
    return None if isinstance(value, float) and not math.isfinite(value) else value
