"""Families of tasks to optimise, numbered, the same everywhere."""

from collections.abc import Callable

from nascence.optim.families.mlp import Perceptron, Yardstick
from nascence.optim.families.quadratics import Quadratic, Quadratics
from nascence.task import TaskFamily

FAMILIES: dict[str, Callable[[], TaskFamily]] = {"yardstick": Yardstick, "quadratic": Quadratics}


def family(name: str) -> TaskFamily:
    """A family by its name; raises ValueError for one that there is not."""
    if name not in FAMILIES:
        raise ValueError(f"task family is {name!r}; allowed are {', '.join(FAMILIES)}")
    return FAMILIES[name]()


__all__ = ["FAMILIES", "Perceptron", "Quadratic", "Quadratics", "Yardstick", "family"]
