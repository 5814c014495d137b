"""Random convolutions in sequence, in parallel and side by side, against running them."""

import itertools

import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from torch import nn

from nascence.reparam.arguments import convolution_of
from nascence.reparam.composition import (
    add_branches,
    compose,
    composed_geometry,
    input_slice,
    stack_branches,
)
from nascence.reparam.materialise import layer_of
from nascence.reparam.operators import Convolution, NotExact
from nascence.reparam.paddings import is_same, is_symmetric


def run(convolution: Convolution, x: torch.Tensor) -> torch.Tensor:
    """The operator through torch's own layer, padding written out."""
    from dataclasses import replace

    if not (is_symmetric(convolution) or is_same(convolution)):
        amounts = [value for pair in reversed(convolution.padding) for value in pair]
        mode = "constant" if convolution.mode == "zeros" else convolution.mode
        x = nn.functional.pad(x, amounts, mode=mode)
        convolution = replace(convolution, padding=((0, 0),) * convolution.rank, mode="zeros")
    return layer_of(convolution)(x)


def random_convolution(ins, outs, kernel, stride, padding, dilation, groups, bias, seed):
    generator = torch.Generator().manual_seed(seed)
    weight = torch.randn(outs, ins // groups, *kernel, generator=generator, dtype=torch.float64)
    shift = torch.randn(outs, generator=generator, dtype=torch.float64) if bias else None
    return convolution_of(weight, shift, stride, padding, dilation, groups)


geometry = st.fixed_dictionaries(
    {
        "kernel": st.tuples(st.integers(1, 3), st.integers(1, 3)),
        "stride": st.integers(1, 2),
        "padding": st.integers(0, 2),
        "dilation": st.integers(1, 2),
        "groups": st.sampled_from([1, 2, 4]),
        "bias": st.booleans(),
    }
)


@settings(max_examples=150, deadline=None, derandomize=True)
@given(one=geometry, two=geometry, seed=st.integers(0, 9))
def test_composition_is_exact_wherever_it_is_allowed(one, two, seed) -> None:
    first = random_convolution(4, 8, **one, seed=seed)
    second = random_convolution(8, 4, **two, seed=seed + 1)
    try:
        composed_geometry(first, second)
    except NotExact:
        assume(False)
    x = torch.randn(2, 4, 13, 14, dtype=torch.float64)
    torch.testing.assert_close(
        run(compose(first, second), x), run(second, run(first, x)), rtol=1e-11, atol=1e-11
    )


@settings(max_examples=100, deadline=None, derandomize=True)
@given(one=geometry, two=geometry, seed=st.integers(0, 9))
def test_sum_of_branches_is_exact_wherever_it_is_allowed(one, two, seed) -> None:
    two = {**two, "stride": one["stride"]}
    branches = [
        random_convolution(4, 4, **one, seed=seed),
        random_convolution(4, 4, **two, seed=seed + 1),
    ]
    x = torch.randn(2, 4, 13, 14, dtype=torch.float64)
    apart = [run(branch, x) for branch in branches]
    try:
        merged = add_branches(branches)
    except NotExact:
        reach = [(b.dilation[0] * (b.kernel[0] - 1), b.padding[0][0] * 2) for b in branches]
        same_size = apart[0].shape == apart[1].shape
        odd = [r % 2 for r, _ in reach]
        assert not same_size or one["stride"] > 1 or odd or reach
        return
    torch.testing.assert_close(run(merged, x), apart[0] + apart[1], rtol=1e-11, atol=1e-11)


def test_same_size_branches_of_stride_one_always_merge() -> None:
    sizes = [(k, d) for k, d in itertools.product((1, 3, 5), (1, 2))]
    branches = [
        random_convolution(4, 4, (k, k), 1, d * (k - 1) // 2, d, g, True, k)
        for (k, d), g in zip(sizes, (1, 2, 4, 1, 2, 4), strict=True)
    ]
    x = torch.randn(1, 4, 9, 9, dtype=torch.float64)
    merged = add_branches(branches)
    torch.testing.assert_close(run(merged, x), sum(run(branch, x) for branch in branches))
    assert merged.kernel == (9, 9)
    stacked = stack_branches(branches)
    torch.testing.assert_close(run(stacked, x), torch.cat([run(b, x) for b in branches], 1))


def test_a_biased_first_convolution_does_not_cross_zero_padding() -> None:
    first = random_convolution(4, 4, (1, 1), 1, 0, 1, 1, True, 0)
    second = random_convolution(4, 4, (3, 3), 1, 1, 1, 1, True, 1)
    with pytest.raises(NotExact, match="does not pad with the first bias"):
        compose(first, second)


def test_input_slices_add_up() -> None:
    second = random_convolution(6, 4, (3, 3), 1, 1, 1, 1, False, 0)
    x = torch.randn(1, 6, 7, 7, dtype=torch.float64)
    parts = [run(input_slice(second, a, b), x[:, a:b]) for a, b in ((0, 2), (2, 6))]
    torch.testing.assert_close(parts[0] + parts[1], run(second, x))
    with pytest.raises(NotExact, match="grouped"):
        input_slice(random_convolution(6, 4, (1, 1), 1, 0, 1, 2, False, 0), 0, 3)
