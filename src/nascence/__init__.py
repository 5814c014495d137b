"""Design a neural network, predict its first weights, train it and make it small.

The names below are the public interface. They are imported on first use, so that
``import nascence`` and the command line start without loading torch.
"""

from importlib import import_module
from typing import Any

__version__ = "0.1.0"

_MODULES = frozenset(
    (
        *(
            "controllers",
            "data",
            "design",
            "detect",
            "export",
            "folding",
            "gan",
            "gradient",
            "graph",
        ),
        *(
            "hypernet",
            "implicit",
            "inference",
            "jobs",
            "latency",
            "metrics",
            "models",
            "optim",
            "params",
        ),
        *("reparam", "report", "search", "spaces", "supernets", "task"),
    )
)
_NAMES = {
    "adamw": "nascence.training",
    "evaluate": "nascence.training",
    "expand": "nascence.reparam",
    "fold": "nascence.folding",
    "sgd": "nascence.training",
    "trace": "nascence.graph",
    "train": "nascence.training",
}

__all__ = [
    "adamw",
    "controllers",
    "data",
    "design",
    "detect",
    "evaluate",
    "expand",
    "export",
    "fold",
    "folding",
    "gan",
    "gradient",
    "graph",
    "hypernet",
    "implicit",
    "inference",
    "jobs",
    "latency",
    "metrics",
    "models",
    "optim",
    "params",
    "reparam",
    "report",
    "search",
    "sgd",
    "spaces",
    "supernets",
    "task",
    "trace",
    "train",
]


def __getattr__(name: str) -> Any:
    if name in _NAMES:
        return getattr(import_module(_NAMES[name]), name)
    if name in _MODULES:
        return import_module(f"nascence.{name}")
    raise AttributeError(f"module 'nascence' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
