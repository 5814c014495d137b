"""Families of tasks to optimise, numbered, the same everywhere."""

from collections.abc import Callable

from nascence.optim.families.autoencoders import autoencoder
from nascence.optim.families.convolutional import convolutional
from nascence.optim.families.functions import function
from nascence.optim.families.mlp import Perceptron, Yardstick
from nascence.optim.families.multilayer import multilayer, softmax
from nascence.optim.families.numbered import NumberedFamily, NumberedProblem
from nascence.optim.families.quadratics import Quadratic, Quadratics
from nascence.optim.families.recurrent import characters, recurrent
from nascence.task import TaskFamily

FAMILIES: dict[str, Callable[[], TaskFamily]] = {
    "yardstick": Yardstick,
    "quadratic": Quadratics,
    "mlp": multilayer,
    "softmax": softmax,
    "autoencoder": autoencoder,
    "function": function,
    "recurrent": recurrent,
    "convolutional": convolutional,
    "characters": characters,
}


def family(name: str) -> TaskFamily:
    """A family by its name; raises ValueError for one that there is not."""
    if name not in FAMILIES:
        raise ValueError(f"task family is {name!r}; allowed are {', '.join(FAMILIES)}")
    return FAMILIES[name]()


__all__ = [
    "FAMILIES",
    "NumberedFamily",
    "NumberedProblem",
    "Perceptron",
    "Quadratic",
    "Quadratics",
    "Yardstick",
    "family",
]
