"""Search: strategies that propose, evaluators that score, studies that remember."""

from nascence.search.evaluator import Evaluator, MetricEvaluator, derived_seed
from nascence.search.history import Candidate, History
from nascence.search.limits import ExhaustedError, Limit, LimitError, Limits, draw
from nascence.search.loop import search
from nascence.search.rank_evaluator import rank_evaluator
from nascence.search.strategy import Evolution, RandomSearch, Strategy
from nascence.search.study import open_study, read_history

__all__ = [
    "Candidate",
    "Evaluator",
    "Evolution",
    "ExhaustedError",
    "History",
    "Limit",
    "LimitError",
    "Limits",
    "MetricEvaluator",
    "RandomSearch",
    "Strategy",
    "derived_seed",
    "draw",
    "open_study",
    "rank_evaluator",
    "read_history",
    "search",
]
