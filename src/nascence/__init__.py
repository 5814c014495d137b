"""Design a neural network, predict its first weights, train it and make it small.

The names below are the public interface. They are imported on first use, so that
``import nascence`` and the command line start without loading torch.
"""

from importlib import import_module
from typing import Any

__version__ = "0.1.0"

_SUBPACKAGES = ("data", "graph", "metrics", "models", "reparam", "search", "spaces")
_NAMES = {
    "evaluate": "nascence.train",
    "export": "nascence.export",
    "adamw": "nascence.train",
    "fold": "nascence.reparam",
    "sgd": "nascence.train",
    "train": "nascence.train",
}

__all__ = [
    "adamw",
    "data",
    "evaluate",
    "export",
    "fold",
    "graph",
    "metrics",
    "models",
    "reparam",
    "search",
    "sgd",
    "spaces",
    "train",
]


def __getattr__(name: str) -> Any:
    if name in _NAMES:
        return getattr(import_module(_NAMES[name]), name)
    if name in _SUBPACKAGES:
        return import_module(f"nascence.{name}")
    raise AttributeError(f"module 'nascence' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
