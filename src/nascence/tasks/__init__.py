"""Families of tasks to optimise, numbered, the same everywhere."""

from nascence.tasks.numbered import CostedFamily, NumberedFamily, NumberedProblem
from nascence.tasks.quadratics import Quadratic, Quadratics
from nascence.tasks.registry import (
    FAMILIES,
    HELD_OUT,
    TRAINING,
    chosen,
    family,
    task,
    task_names,
)
from nascence.tasks.reparametrised import Reparametrised, ReparametrisedFamily
from nascence.tasks.yardstick import Perceptron, Yardstick

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
