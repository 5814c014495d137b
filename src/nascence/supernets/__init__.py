"""Networks that share weights: supernets, their paths, splitting, training and scoring."""

from nascence.supernets.angle_evaluator import AngleEvaluator
from nascence.supernets.elastic import ElasticSuperNet
from nascence.supernets.evaluators import FewShotEvaluator, OneShotEvaluator
from nascence.supernets.few_shot import FewShot, train_few_shot
from nascence.supernets.once_for_all import Specialised, once_for_all
from nascence.supernets.paths import (
    PathSampler,
    binned_paths,
    cost_edges,
    fair_paths,
    restricted_paths,
    uniform_paths,
)
from nascence.supernets.progressive_shrinking import (
    PHASES,
    Distillation,
    ElasticPaths,
    Phase,
    progressive_shrinking,
)
from nascence.supernets.shrinking import (
    ShrinkingRound,
    Shrunk,
    drop_worst,
    operation_scores,
    shrink,
)
from nascence.supernets.split_criteria import (
    Criterion,
    Match,
    at_random,
    balanced_cut,
    by_gradient_matching,
    gradient_matching,
    split_on,
)
from nascence.supernets.splitting import split
from nascence.supernets.supernet import MixedOperation, SuperNet
from nascence.supernets.training import SubSupernet, train_sub_supernets, train_supernet
from nascence.supernets.weight_sharing import AnySuperNet, WeightSharing

__all__ = [
    "AngleEvaluator",
    "AnySuperNet",
    "Criterion",
    "Distillation",
    "ElasticPaths",
    "ElasticSuperNet",
    "FewShot",
    "FewShotEvaluator",
    "SubSupernet",
    "Match",
    "MixedOperation",
    "OneShotEvaluator",
    "PHASES",
    "PathSampler",
    "Phase",
    "ShrinkingRound",
    "Shrunk",
    "Specialised",
    "SuperNet",
    "WeightSharing",
    "at_random",
    "balanced_cut",
    "binned_paths",
    "by_gradient_matching",
    "cost_edges",
    "drop_worst",
    "fair_paths",
    "split_on",
    "gradient_matching",
    "once_for_all",
    "operation_scores",
    "progressive_shrinking",
    "restricted_paths",
    "shrink",
    "split",
    "train_few_shot",
    "train_sub_supernets",
    "train_supernet",
    "uniform_paths",
]
