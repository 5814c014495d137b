"""Labels that readers hand on, good and bad."""

import numpy as np
import pytest

from nascence.data import DataError
from nascence.data.source import check_labels, evenly, name_classes


def test_good_labels() -> None:
    for kind in (np.uint8, np.int32, np.uint64):
        labels = check_labels(np.array([0, 2, 1], kind), "here", ("a", "b", "c"))
        assert labels.dtype == np.int64
        assert labels.tolist() == [0, 2, 1]
    assert check_labels(np.array([[1], [0]]), "here", None).tolist() == [1, 0]


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        (np.array([0, 3, 4]), "label 3 in row 1 of here is out of range .2 such rows.*0 to 2"),
        (np.array([0, 1, -1]), "label -1 in row 2"),
        (np.array([0.0, 1.0]), "float64.*whole numbers"),
        (np.array(["a"]), "whole numbers"),
        (np.eye(3, dtype=int), "one-hot"),
        (np.array([2**64 - 1], np.uint64), "label 18446744073709551615 in row 0"),
        (np.array([True, False]), "bool"),
    ],
)
def test_bad_labels(labels: np.ndarray, message: str) -> None:
    with pytest.raises(DataError, match=message) as caught:
        check_labels(labels, "here", ("a", "b", "c"))
    assert "\n" not in str(caught.value)


def test_unnamed_classes_leave_no_gap() -> None:
    assert name_classes(np.array([1, 0, 2, 1]), np.array([2]), "here") == ("0", "1", "2")
    with pytest.raises(DataError, match="label 7 in row 2 of here is out of range: no image has"):
        name_classes(np.array([1, 0, 7]), None, "here")
    with pytest.raises(DataError, match="label 3 in row 0 of the validation part of here"):
        name_classes(np.array([1, 0, 2]), np.array([3]), "here")


@pytest.mark.parametrize(("count", "most"), [(5, 10), (10, 10), (1003, 10)])
def test_evenly(count: int, most: int) -> None:
    found = evenly(count, most)
    assert len(found) == len(set(found)) == min(count, most)
    assert found[0] == 0
    assert found[-1] >= count - 1 - count / most
    assert found[-1] < count
