"""The training loop and its settings: optimizers, schedules, objectives."""

from nascence.training.evaluation import Evaluation, evaluate, mean_recall
from nascence.training.loop import Training, train
from nascence.training.precision import Precision, faster_precision, unmeasured_precision
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
    "Measurement",
    "Objective",
    "OptimizerFactory",
    "Precision",
    "Training",
    "adamw",
    "average_into",
    "cosine",
    "evaluate",
    "faster_precision",
    "mean_recall",
    "parameter_groups",
    "sgd",
    "train",
    "unmeasured_precision",
]
