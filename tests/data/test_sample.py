"""The bundled sample: its counts, and the rule by which it was taken."""

import io
import time
from importlib.resources import files

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch
from PIL import Image

from nascence.data import Dataset, load

PATH = files("nascence.data") / "samples" / "cifar10-sample.parquet"
CLASSES = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")


@pytest.fixture(scope="module")
def sample() -> Dataset:
    return load(cache=False)


def test_counts_and_names(sample: Dataset) -> None:
    assert sample.class_names == CLASSES
    assert sample.image_shape == (3, 32, 32)
    assert sample.train.labels.bincount().tolist() == [500] * 10
    assert sample.validation.labels.bincount().tolist() == [100] * 10
    assert sample.skipped == ()


def test_size_and_provenance() -> None:
    assert len(PATH.read_bytes()) <= 2_500_000
    about = (PATH.parent / "README.md").read_text()
    assert "Krizhevsky" in about
    assert "research use" in about


def test_rows_follow_the_rule_and_are_disjoint() -> None:
    table = pq.read_table(io.BytesIO(PATH.read_bytes()))
    rows = table["row"].to_numpy()
    assert (np.diff(rows) > 0).all()
    assert rows[4_999] < 45_000 <= rows[5_000]
    assert rows[-1] < 50_000
    # The first 500 of each class are taken: they end where about 5,000 of all rows have passed.
    labels = table["label"].to_numpy()
    for label in range(10):
        of_class = rows[:5_000][labels[:5_000] == label]
        assert 4_500 < of_class[-1] < 5_700


def test_no_image_twice(sample: Dataset) -> None:
    images = torch.cat([sample.train.images, sample.validation.images])
    assert len({image.numpy().tobytes() for image in images}) == 6_000


def test_pixels_are_those_of_the_stored_files(sample: Dataset) -> None:
    stored = pq.read_table(io.BytesIO(PATH.read_bytes()))["img"].to_pylist()
    images = torch.cat([sample.train.images, sample.validation.images])
    for index in range(0, 6_000, 37):
        expected = np.asarray(Image.open(io.BytesIO(stored[index]["bytes"])))
        assert np.array_equal(images[index].permute(1, 2, 0).numpy(), expected)


def test_mean_and_deviation(sample: Dataset) -> None:
    scaled = sample.train.images.double() / 255
    assert torch.allclose(scaled.mean((0, 2, 3)), torch.tensor(sample.mean, dtype=torch.float64))
    deviation = scaled.std((0, 2, 3), correction=0)
    assert torch.allclose(deviation, torch.tensor(sample.std, dtype=torch.float64), atol=1e-6)
    # The published figures of the whole training set.
    assert np.allclose(sample.mean, (0.4914, 0.4822, 0.4465), atol=0.01)
    assert np.allclose(sample.std, (0.2470, 0.2435, 0.2616), atol=0.01)


def test_loads_within_a_second() -> None:
    """Of processor time, which a busy machine does not stretch as it does the clock."""
    for _ in range(2):
        start = time.process_time()
        load()
        seconds = time.process_time() - start
    assert seconds < 1
