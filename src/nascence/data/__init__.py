"""Images and labels: read from files, decoded, split, batched and augmented."""

from nascence.data.augment import augment
from nascence.data.dataset import Batch, Dataset, Split, epoch_order
from nascence.data.errors import DataError, MissingDataError
from nascence.data.load import load
from nascence.data.look import Look, look
from nascence.data.random_labels import random_labels
from nascence.data.table import Table, nasbench_macro, nats_size, nb201, read_table
from nascence.data.table_csv import accel_nasbench, nb201_latencies

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
