"""Plain data out of pickles, hostile bytes included; nothing is run."""

import pickle
import pickletools
from contextlib import suppress
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nascence.data.pickled import PickleError, read_pickled


class Boom:
    def __reduce__(self) -> Any:
        return exec, ("raise SystemExit('a pickle was run')",)


numbers = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False)
plain = st.recursive(
    numbers | st.text(max_size=20) | st.binary(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.tuples(inner, inner),
    max_leaves=6,
)


@settings(max_examples=50)
@given(plain | st.dictionaries(st.text() | st.integers(), plain, max_size=4), st.integers(0, 4))
def test_plain_data_come_out_as_pickle_gives_them(value: Any, protocol: int) -> None:
    data = pickle.dumps(value, protocol)
    if any(name in data for name in (b"bytearray", b"__builtin__")):
        return  # protocols 0 to 2 call a constructor for empty bytes
    assert read_pickled(data) == value


@given(st.binary(max_size=60))
def test_any_bytes_are_read_or_refused(data: bytes) -> None:
    with suppress(PickleError):
        read_pickled(data)


@pytest.mark.parametrize("protocol", range(2, 5))
@pytest.mark.parametrize("order", ["C", "F"])
def test_arrays_of_bytes(protocol: int, order: Any) -> None:
    array = np.asarray(np.arange(24, dtype=np.uint8).reshape(2, 3, 4), order=order)
    found = read_pickled(pickle.dumps({"data": array, "labels": [1, 2]}, protocol))
    assert found["data"].tolist() == array.tolist()
    assert found["labels"] == [1, 2]


def test_strings_of_python_2() -> None:
    """``{'labels': [6, 300], 'name': 'a\\xff'}`` as Python 2 wrote it."""
    data = b"\x80\x02}q\x01(U\x06labelsq\x02]q\x03(K\x06M,\x01eU\x04nameU\x02a\xffu."
    assert read_pickled(data) == {b"labels": [6, 300], b"name": b"a\xff"}


@pytest.mark.parametrize("protocol", range(6))
def test_nothing_is_run(protocol: int) -> None:
    for value in (Boom(), {"data": Boom()}, [Boom()]):
        with pytest.raises(PickleError, match=r"exec|not plain data"):
            read_pickled(pickle.dumps(value, protocol))


@pytest.mark.parametrize(
    "data",
    [
        b"cos\nsystem\n(S'true'\ntR.",
        b"(S'true'\nios\nsystem\n.",
        b"\x80\x02cnumpy\nndarray\n)\x81.",
        b"cnumpy\nload\n.",
        b"cnumpy\ndtype\n(S'O'\ntRcnumpy\nndarray\n\x86R.",
        b"P0\n.",
        b"\x82\x01.",
        b"c__main__\nBoom\n.",
    ],
)
def test_operations_beyond_plain_data(data: bytes) -> None:
    list(pickletools.genops(data))
    with pytest.raises(PickleError):
        read_pickled(data)


def test_arrays_of_other_kinds() -> None:
    for array in (np.zeros(3), np.array([Boom()], dtype=object)):
        with pytest.raises(PickleError):
            read_pickled(pickle.dumps({"data": array}, 2))


def test_damage() -> None:
    data = pickle.dumps({"data": np.zeros((2, 3), np.uint8), "labels": [0, 1]}, 2)
    for stop in range(len(data)):
        with pytest.raises(PickleError):
            read_pickled(data[:stop])


def test_nesting_that_would_never_end() -> None:
    """Each list holds the one before twice: 2 to the 40 leaves in 300 bytes."""
    data = b"\x80\x02]" + b"".join(b"q%c](h%ch%ce" % (i, i, i) for i in range(40)) + b"."
    assert len(read_pickled(data)) == 2
    keys = b"\x80\x02}K\x00" + b"".join(b"q%ch%c\x86" % (i, i) for i in range(40)) + b"K\x01s."
    with pytest.raises(PickleError, match="neither a string nor a number"):
        read_pickled(keys)
