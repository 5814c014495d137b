"""Families of tasks to optimise, numbered, the same everywhere."""

from nascence.optim.families.mlp import Perceptron, Yardstick
from nascence.optim.families.quadratics import Quadratic, Quadratics

__all__ = ["Perceptron", "Quadratic", "Quadratics", "Yardstick"]
