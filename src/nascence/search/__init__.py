"""Ask and tell: strategies that propose, evaluators that score, studies that remember."""

from nascence.search.accuracy_predictor import AccuracyPredictor
from nascence.search.box import Box
from nascence.search.crossover_evolution import CrossoverEvolution
from nascence.search.evaluator import (
    Evaluator,
    MetricEvaluator,
    RankSumEvaluator,
    TableEvaluator,
    TrainingEvaluator,
)
from nascence.search.history import Candidate, History
from nascence.search.limits import (
    Allowed,
    ExhaustedError,
    Limit,
    LimitError,
    Limits,
    sample_allowed,
)
from nascence.search.local_search import LocalSearch
from nascence.search.loop import search
from nascence.search.optuna_strategies import NSGA2, TPE
from nascence.search.predictor_search import PredictorSearch
from nascence.search.ranking_report import Ranking, ranking_report, ranking_table
from nascence.search.reinforce import Reinforce
from nascence.search.seen import Distinct, Seen
from nascence.search.strategy import DistinctStrategy, Evolution, RandomSearch, Strategy
from nascence.search.study import open_study, read_history
from nascence.search.table_space import ListedSpace, TableSpace
from nascence.search.tree_search import LaMCTS, LaNAS

__all__ = [
    "Allowed",
    "AccuracyPredictor",
    "Box",
    "Candidate",
    "CrossoverEvolution",
    "Distinct",
    "DistinctStrategy",
    "Evaluator",
    "Evolution",
    "ExhaustedError",
    "History",
    "LaMCTS",
    "LaNAS",
    "Limit",
    "LimitError",
    "Limits",
    "ListedSpace",
    "LocalSearch",
    "MetricEvaluator",
    "NSGA2",
    "PredictorSearch",
    "RandomSearch",
    "RankSumEvaluator",
    "Ranking",
    "Reinforce",
    "Seen",
    "Strategy",
    "TPE",
    "TableEvaluator",
    "TableSpace",
    "TrainingEvaluator",
    "sample_allowed",
    "open_study",
    "ranking_report",
    "ranking_table",
    "read_history",
    "search",
]
