"""Images and labels: read from files, decoded, split, batched and augmented."""

from nascence.data.augment import augment
from nascence.data.dataset import Batch, Dataset, Split
from nascence.data.errors import DataError, MissingDataError
from nascence.data.load import load
from nascence.data.random_labels import random_labels

__all__ = [
    "Batch",
    "DataError",
    "Dataset",
    "MissingDataError",
    "Split",
    "augment",
    "load",
    "random_labels",
]
