"""A hundred random networks; benchmarks/reparam/fuzz.py runs thousands."""

import importlib.util
import warnings
from pathlib import Path

import pytest

SOURCE = Path(__file__).parents[2] / "benchmarks" / "fold_fuzz.py"


@pytest.mark.parametrize("first", range(0, 100, 25))
def test_random_networks_fold_exactly(first: int) -> None:
    spec = importlib.util.spec_from_file_location("fold_fuzz", SOURCE)
    fuzz = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(fuzz)
    rewrites = 0
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Using padding='same' with even kernel")
        for seed in range(first, first + 25):
            count, problem = fuzz.check(seed)
            assert not problem, f"seed {seed}: {problem}"
            rewrites += count
    assert rewrites > 10
