"""Held-out images keep the shares of their classes."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from nascence.data.split import stratified_split


@given(
    counts=st.lists(st.integers(1, 30), min_size=1, max_size=6),
    fraction=st.floats(0.001, 0.999),
    seed=st.integers(0, 9),
)
def test_every_class_keeps_its_share(counts: list[int], fraction: float, seed: int) -> None:
    labels = np.random.default_rng(seed).permutation(np.repeat(np.arange(len(counts)), counts))
    train, validation = stratified_split(labels, fraction, seed)
    assert sorted([*train, *validation]) == list(range(len(labels)))
    for label, count in enumerate(counts):
        held_out = int((labels[validation] == label).sum())
        if count == 1:
            assert held_out == 0
        else:
            assert 1 <= held_out <= count - 1
            assert held_out in (round(fraction * count), 1, count - 1)


def test_seed_decides() -> None:
    labels = np.repeat(np.arange(3), 50)
    first, again, other = (stratified_split(labels, 0.2, seed)[1] for seed in (0, 0, 1))
    assert first.tolist() == again.tolist()
    assert first.tolist() != other.tolist()
