"""Independent decisions, by properties; NB201's own tests hold the rest."""

from collections import Counter

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from nascence.spaces import Decision, ProductSpace

SPACE = ProductSpace((Decision("a", ("x", "y", "z")), Decision("b", (1, 2)), Decision("c", (7,))))


@given(index=st.integers(0, 5))
def test_round_trips(index: int) -> None:
    architecture = SPACE.architecture(index)
    assert SPACE.index(architecture) == index
    assert list(SPACE)[index] == architecture
    assert SPACE.from_json(SPACE.to_json(architecture)) == architecture
    assert SPACE.indices(list(SPACE.values(architecture).values())) == architecture
    assert SPACE.encode(architecture).tolist() == [
        *(float(architecture[0] == i) for i in range(3)),
        *(float(architecture[1] == i) for i in range(2)),
        1.0,
    ]
    assert len(SPACE.neighbours(architecture)) == 3


def test_crossover_takes_each_decision_from_either(generator: torch.Generator) -> None:
    counts = Counter(
        SPACE.crossover((0, 0, 0), (2, 1, 0), generator=generator) for _ in range(1000)
    )
    assert set(counts) == {(0, 0, 0), (0, 1, 0), (2, 0, 0), (2, 1, 0)}
    assert all(abs(count - 250) < 70 for count in counts.values())
    with pytest.raises(ValueError, match="'a' has index 5"):
        SPACE.crossover((5, 0, 0), (0, 0, 0), generator=generator)
