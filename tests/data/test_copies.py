"""Copies of an image stay on one side of a split."""

import numpy as np

from nascence.data.copies import apart, digests, remarks


def images(count: int) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (count, 3, 8, 8), dtype=np.uint8)


def test_equal_images_have_equal_digests() -> None:
    some = images(6)
    some[4] = some[1]
    of = digests(some, np.arange(6))
    assert of[4] == of[1]
    assert len(set(of.tolist())) == 5
    assert digests(some, np.array([4, 0])).tolist() == [of[1], of[0]]


def test_no_copy_is_held_out() -> None:
    of = np.array([1, 2, 3, 1, 4, 5], np.uint64)
    held_in, held_out = apart(np.array([0, 1, 2]), np.array([3, 4, 5]), of)
    assert (held_in.tolist(), held_out.tolist()) == ([0, 1, 2, 3], [4, 5])


def test_where_all_are_copies_the_split_stays() -> None:
    of = np.zeros(4, np.uint64)
    held_in, held_out = apart(np.array([0, 1]), np.array([2, 3]), of)
    assert (held_in.tolist(), held_out.tolist()) == ([0, 1], [2, 3])


def test_remarks_count_copies_and_doubtful_labels() -> None:
    of, labels = np.array([1, 1, 1, 2, 3], np.uint64), np.array([0, 1, 0, 0, 1])
    (line,) = remarks(of, labels, of[:0])
    assert line == "2 images are copies of another one; 1 image has copies in two classes"
    assert "1 validation image is a copy" in remarks(of[3:], labels[3:], of[3:4])[0]
    assert remarks(of[3:], labels[3:], of[:0]) == []
