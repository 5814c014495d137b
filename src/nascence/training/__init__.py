"""The training loop and its settings: optimizers, schedules, objectives."""

from nascence.training.evaluation import Evaluation, evaluate, mean_recall
from nascence.training.loop import Training, scaled, train
from nascence.training.muon import KernelMuon
from nascence.training.precision import (
    Precision,
    autocast_dtype,
    faster_precision,
    unmeasured_precision,
)
from nascence.training.recipe import (
    Objective,
    OptimizerFactory,
    adamw,
    cosine,
    parameter_groups,
    sgd,
)
from nascence.training.run import DivergenceError, Measurement, average_into

__all__ = [
    "DivergenceError",
    "Evaluation",
    "KernelMuon",
    "Measurement",
    "Objective",
    "OptimizerFactory",
    "Precision",
    "Training",
    "adamw",
    "autocast_dtype",
    "average_into",
    "cosine",
    "evaluate",
    "faster_precision",
    "mean_recall",
    "parameter_groups",
    "scaled",
    "sgd",
    "train",
    "unmeasured_precision",
]
