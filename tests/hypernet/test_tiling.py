"""Tiling against indexing by remainder."""

import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from nascence.graph import Node, Parameter
from nascence.hypernet.layout import layout
from nascence.hypernet.tiling import fill, folded, repeat, stretch

side = st.integers(1, 9)


@settings(max_examples=80, deadline=None)
@given(side, side, st.integers(1, 4), st.integers(1, 4), st.integers(1, 3), st.integers(1, 3))
def test_fill_and_repeat_equal_indexing_by_remainder(
    rows: int, columns: int, o: int, i: int, kh: int, kw: int
) -> None:
    o, i = min(o, rows), min(i, columns)
    block = torch.randn(o, i, kh, kw)
    out = torch.empty(rows, columns, kh, kw)
    fill(block, out)
    for r in range(rows):
        for c in range(columns):
            assert torch.equal(out[r, c], block[r % o, c % i])
    assert torch.equal(repeat(block, rows, columns), out)


def folds(shape: tuple[int, ...], role: str) -> torch.Tensor:
    parameter = Parameter("p", shape, role)
    item = layout(parameter, Node("conv", (parameter,)), classifier=False, classes=10)
    kernel = torch.arange(float(torch.Size(item.size).numel())).view(item.size)
    result = folded(kernel, item)
    assert result.shape == shape
    return result


def test_folds_of_other_shapes() -> None:
    assert torch.equal(folds((3, 5), "weight_transposed")[:, 1], torch.arange(3.0) + 3)
    deep = folds((2, 3, 4, 3, 3), "weight")
    assert torch.equal(deep[:, :, 0], deep[:, :, 3])
    tokens = folds((1, 10, 4), "position")
    # row 0 is the class token, at the mean of the 3 x 3 grid
    assert torch.allclose(tokens[0, 0], tokens[0, 1:].mean(0))
    assert torch.equal(tokens[0, 1], torch.arange(4.0) * 9)
    assert folds((1, 7, 4), "position").shape == (1, 7, 4)


def test_stretch_keeps_a_constant() -> None:
    assert torch.allclose(stretch(torch.ones(2, 3, 4, 4), 9, 7), torch.ones(2, 3, 9, 7))
