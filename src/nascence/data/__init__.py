"""Images and labels: read from files, decoded, split, batched and augmented."""

from nascence.data.augment import augment
from nascence.data.dataset import Batch, Dataset, Split
from nascence.data.errors import DataError, MissingDataError
from nascence.data.load import load
from nascence.data.random_labels import random_labels
from nascence.data.table import (
    Table,
    accel_nasbench,
    nasbench_macro,
    nats_size,
    nb201,
    nb201_latencies,
    read_table,
)

__all__ = [
    "Batch",
    "DataError",
    "Dataset",
    "MissingDataError",
    "Split",
    "Table",
    "accel_nasbench",
    "augment",
    "load",
    "random_labels",
    "nasbench_macro",
    "nats_size",
    "nb201",
    "nb201_latencies",
    "read_table",
]
