"""Search: strategies that propose, evaluators that score, studies that remember."""

from nascence.search.box import Box
from nascence.search.evaluator import Evaluator, MetricEvaluator, derived_seed
from nascence.search.history import Candidate, History
from nascence.search.limits import ExhaustedError, Limit, LimitError, Limits, draw
from nascence.search.local_search import LocalSearch
from nascence.search.loop import search
from nascence.search.seen import Distinct, Seen
from nascence.search.strategy import Evolution, RandomSearch, Strategy
from nascence.search.study import open_study, read_history
from nascence.search.tree_search import LaMCTS, LaNAS

__all__ = [
    "Box",
    "Candidate",
    "Distinct",
    "Evaluator",
    "Evolution",
    "ExhaustedError",
    "History",
    "LaMCTS",
    "LaNAS",
    "Limit",
    "LimitError",
    "Limits",
    "LocalSearch",
    "MetricEvaluator",
    "RandomSearch",
    "Seen",
    "Strategy",
    "derived_seed",
    "draw",
    "open_study",
    "read_history",
    "search",
]
