"""A hundred random networks; benchmarks/reparam/fuzz.py runs thousands."""

import warnings

import pytest

from benchmarks.reparam import fuzz


@pytest.mark.parametrize("first", range(0, 100, 25))
def test_random_networks_fold_exactly(first: int) -> None:
    rewrites = 0
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Using padding='same' with even kernel")
        for seed in range(first, first + 25):
            count, problem = fuzz.check(seed)
            assert not problem, f"seed {seed}: {problem}"
            rewrites += count
    assert rewrites > 10
