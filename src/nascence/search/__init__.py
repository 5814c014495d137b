"""Search: strategies that propose, evaluators that score, studies that remember."""

from nascence.search.evaluator import Evaluator, MetricEvaluator, derived_seed
from nascence.search.history import Candidate, History
from nascence.search.limits import ExhaustedError, Limit, LimitError, Limits, draw
from nascence.search.loop import search
from nascence.search.strategy import Evolution, RandomSearch, Strategy
from nascence.search.study import open_study, read_history
from nascence.search.supernet_evaluator import FewShotEvaluator, OneShotEvaluator
from nascence.search.supernet_training import Leaf, train_leaves, train_supernet

__all__ = [
    "Candidate",
    "Evaluator",
    "Evolution",
    "ExhaustedError",
    "FewShotEvaluator",
    "History",
    "Leaf",
    "Limit",
    "LimitError",
    "Limits",
    "MetricEvaluator",
    "OneShotEvaluator",
    "RandomSearch",
    "Strategy",
    "derived_seed",
    "draw",
    "open_study",
    "read_history",
    "search",
    "train_leaves",
    "train_supernet",
]
