"""Images and labels: read from files, decoded, split, batched and augmented.

The names below are imported on first use, so that images can be decoded without loading torch.
"""

import sys
from importlib import import_module
from types import ModuleType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from nascence.data.augment import augment
    from nascence.data.dataset import Batch, Dataset, Split, epoch_order
    from nascence.data.errors import DataError, MissingDataError
    from nascence.data.load import load
    from nascence.data.look import Look, look
    from nascence.data.random_labels import random_labels
    from nascence.data.table import Table, nasbench_macro, nats_size, nb201, read_table
    from nascence.data.table_csv import accel_nasbench, nb201_latencies

_HOMES = {
    **dict.fromkeys(("Batch", "Dataset", "Split", "epoch_order"), "dataset"),
    **dict.fromkeys(("DataError", "MissingDataError"), "errors"),
    **dict.fromkeys(("Table", "nasbench_macro", "nats_size", "nb201", "read_table"), "table"),
    **dict.fromkeys(("accel_nasbench", "nb201_latencies"), "table_csv"),
    "Look": "look",
    **{name: name for name in ("augment", "load", "look", "random_labels")},
}

__all__ = [
    "Batch",
    "DataError",
    "Dataset",
    "MissingDataError",
    "Split",
    "Table",
    "accel_nasbench",
    "augment",
    "epoch_order",
    "Look",
    "load",
    "look",
    "random_labels",
    "nasbench_macro",
    "nats_size",
    "nb201",
    "nb201_latencies",
    "read_table",
]


class _Package(ModuleType):
    """This package: a submodule does not take the place of a function of its name."""

    def __setattr__(self, name: str, value: Any) -> None:
        if not (name in _HOMES and isinstance(value, ModuleType)):
            super().__setattr__(name, value)

    def __getattr__(self, name: str) -> Any:
        if name not in _HOMES:
            raise AttributeError(f"module {self.__name__!r} has no attribute {name!r}")
        found = getattr(import_module(f"{self.__name__}.{_HOMES[name]}"), name)
        setattr(self, name, found)
        return found

    def __dir__(self) -> list[str]:
        return sorted({*super().__dir__(), *__all__})


sys.modules[__name__].__class__ = _Package
