"""Search: strategies that propose, evaluators that score, studies that remember."""

from nascence.search.accuracy_predictor import AccuracyPredictor
from nascence.search.angle_evaluator import AngleEvaluator
from nascence.search.box import Box
from nascence.search.crossover_evolution import CrossoverEvolution
from nascence.search.evaluator import (
    Evaluator,
    MetricEvaluator,
    RankSum,
    TableEvaluator,
    TrainingEvaluator,
    derived_seed,
)
from nascence.search.few_shot import FewShot, train_few_shot
from nascence.search.history import Candidate, History
from nascence.search.latency import LatencyTable, LatencyTerm, read_latencies
from nascence.search.latency_measurement import measure_latencies
from nascence.search.limits import ExhaustedError, Limit, LimitError, Limits, draw
from nascence.search.listed_space import ListedSpace
from nascence.search.local_search import LocalSearch
from nascence.search.loop import search
from nascence.search.once_for_all import Specialised, once_for_all
from nascence.search.optuna_strategies import NSGA2, TPE
from nascence.search.predictor_search import PredictorSearch
from nascence.search.progressive_shrinking import (
    PHASES,
    Distillation,
    ElasticPaths,
    Phase,
    progressive_shrinking,
)
from nascence.search.ranking_report import Ranking, ranking_report, ranking_table
from nascence.search.reinforce import Reinforce
from nascence.search.seen import Distinct, Seen
from nascence.search.shrinking import Round, Shrunk, drop_worst, operation_scores, shrink
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
from nascence.search.table_space import TableSpace
from nascence.search.tree_search import LaMCTS, LaNAS

__all__ = [
    "PHASES",
    "Distillation",
    "ElasticPaths",
    "Phase",
    "Specialised",
    "once_for_all",
    "progressive_shrinking",
    "shrink",
    "operation_scores",
    "drop_worst",
    "Shrunk",
    "Round",
    "AccuracyPredictor",
    "AngleEvaluator",
    "NSGA2",
    "TPE",
    "Box",
    "Candidate",
    "Criterion",
    "CrossoverEvolution",
    "Distinct",
    "Evaluator",
    "Evolution",
    "ExhaustedError",
    "FewShot",
    "FewShotEvaluator",
    "History",
    "LaMCTS",
    "LaNAS",
    "LatencyTable",
    "LatencyTerm",
    "Leaf",
    "Limit",
    "LimitError",
    "Limits",
    "ListedSpace",
    "LocalSearch",
    "Match",
    "MetricEvaluator",
    "OneShotEvaluator",
    "PredictorSearch",
    "RandomSearch",
    "RankSum",
    "Ranking",
    "Reinforce",
    "Seen",
    "Strategy",
    "TableEvaluator",
    "TableSpace",
    "TrainingEvaluator",
    "at_random",
    "balanced_cut",
    "by_gradient_matching",
    "derived_seed",
    "draw",
    "given",
    "gradient_matching",
    "measure_latencies",
    "open_study",
    "ranking_report",
    "ranking_table",
    "read_history",
    "read_latencies",
    "search",
    "train_few_shot",
    "train_leaves",
    "train_supernet",
]
