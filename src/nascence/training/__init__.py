"""The training loop and its settings: optimizers, schedules, objectives."""

from nascence.training.evaluation import Evaluation, evaluate
from nascence.training.loop import Training, train
from nascence.training.recipe import (
    Objective,
    OptimizerFactory,
    adamw,
    cosine,
    parameter_groups,
    sgd,
)
from nascence.training.run import DivergenceError, Measurement, Precision, average_into

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
    "parameter_groups",
    "sgd",
    "train",
]
