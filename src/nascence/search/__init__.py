"""Search: strategies that propose, evaluators that score, studies that remember."""

from nascence.search.angle_evaluator import AngleEvaluator
from nascence.search.evaluator import Evaluator, MetricEvaluator, derived_seed
from nascence.search.few_shot import FewShot, train_few_shot
from nascence.search.history import Candidate, History
from nascence.search.limits import ExhaustedError, Limit, LimitError, Limits, draw
from nascence.search.loop import search
from nascence.search.split_criteria import (
    Criterion,
    Match,
    at_random,
    balanced_cut,
    by_gradient_matching,
    given,
    gradient_matching,
)
from nascence.search.strategy import Evolution, RandomSearch, Strategy
from nascence.search.study import open_study, read_history
from nascence.search.supernet_evaluator import FewShotEvaluator, OneShotEvaluator
from nascence.search.supernet_training import Leaf, train_leaves, train_supernet

__all__ = [
    "AngleEvaluator",
    "Candidate",
    "Criterion",
    "Evaluator",
    "Evolution",
    "ExhaustedError",
    "FewShot",
    "FewShotEvaluator",
    "History",
    "Leaf",
    "Limit",
    "LimitError",
    "Limits",
    "Match",
    "MetricEvaluator",
    "OneShotEvaluator",
    "RandomSearch",
    "Strategy",
    "at_random",
    "balanced_cut",
    "by_gradient_matching",
    "derived_seed",
    "draw",
    "given",
    "gradient_matching",
    "open_study",
    "read_history",
    "search",
    "train_few_shot",
    "train_leaves",
    "train_supernet",
]
