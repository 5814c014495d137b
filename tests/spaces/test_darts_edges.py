"""Two edges into every node: counted and numbered, against all combinations tried."""

from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nascence.spaces.darts_edges import INCOMING, at_position, check_edges, count, position

counts = st.lists(st.integers(1, 7), min_size=28, max_size=28)


def test_published_count() -> None:
    assert count([7] * 28) == (1 * 3 * 6 * 10 * 7**8) ** 2


@given(counts, st.data())
def test_positions_and_architectures_undo_each_other(
    operations: list[int], data: st.DataObject
) -> None:
    number = data.draw(st.integers(0, count(operations) - 1))
    architecture = at_position(number, operations)
    assert check_edges(architecture) == architecture
    assert all(index <= most for index, most in zip(architecture, operations, strict=True))
    assert position(architecture, operations) == number


def test_one_node_is_as_all_combinations_tried() -> None:
    """Only the node 3 of the normal cell has a choice to speak of: three edges, two of them."""
    operations = [1] * 28
    _, node, start = INCOMING[1]
    operations[start : start + node] = [2, 1, 3]
    tried = [each for each in product(range(3), range(2), range(4)) if sum(map(bool, each)) == 2]
    assert count(operations) == len(tried) * (6 * 10) * (1 * 3 * 6 * 10)
    step = 6 * 10 * 1 * 3 * 6 * 10
    found = {at_position(step * n, operations)[start : start + node] for n in range(len(tried))}
    assert found == set(tried)


def test_other_numbers_of_edges_are_refused() -> None:
    legal = at_position(5, [7] * 28)
    with pytest.raises(ValueError, match=r"1 edges into node 2 of the normal cell"):
        check_edges((0, *legal[1:]))
