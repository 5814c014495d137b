"""Families of tasks to optimise, numbered, the same everywhere."""

from nascence.optim.families.mlp import Perceptron, Yardstick
from nascence.optim.families.numbered import CostedFamily, NumberedFamily, NumberedProblem
from nascence.optim.families.quadratics import Quadratic, Quadratics
from nascence.optim.families.registry import (
    FAMILIES,
    HELD_OUT,
    TRAINING,
    chosen,
    family,
    task,
    task_names,
)
from nascence.optim.families.reparametrised import Reparametrised, ReparametrisedFamily

__all__ = [
    "FAMILIES",
    "HELD_OUT",
    "TRAINING",
    "CostedFamily",
    "NumberedFamily",
    "NumberedProblem",
    "Perceptron",
    "Quadratic",
    "Quadratics",
    "Reparametrised",
    "ReparametrisedFamily",
    "Yardstick",
    "chosen",
    "family",
    "task",
    "task_names",
]
