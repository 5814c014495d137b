"""Independent decisions, by properties; NB201's own tests hold the rest."""

from collections import Counter

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from nascence.spaces import Decision, ProductSpace
from nascence.spaces.decisions import shortened


class Toy(ProductSpace):
    description = "Toy()"
    build = None  # type: ignore[assignment]


SPACE = Toy((Decision("a", ("x", "y", "z")), Decision("b", (1, 2)), Decision("c", (7,))))


@given(index=st.integers(0, 5))
def test_round_trips(index: int) -> None:
    architecture = SPACE.architecture(index)
    assert SPACE.index(architecture) == index
    assert list(SPACE)[index] == architecture
    assert SPACE.from_json(SPACE.to_json(architecture)) == architecture
    assert SPACE.parse(SPACE.format(architecture)) == architecture
    assert SPACE.indices(list(SPACE.values(architecture).values())) == architecture
    assert SPACE.codes([architecture])[0].tolist() == [
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


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("not json", "not JSON"),
        ("[" * 100_000, "not JSON|cannot read"),
        ("null", "object with the keys a, b, c"),
        ('{"a": "x"}', "object with the keys a, b, c"),
        ('{"a": "w", "b": 1, "c": 7}', "a is 'w'; use one of x, y, z"),
        ('{"a": ["x"], "b": 1, "c": 7}', "a is "),
        ('{"a": "x", "b": 1.0, "c": 7}', "b is 1.0; use one of 1, 2"),
        ('{"a": "x", "b": true, "c": 7}', "b is True"),
        ('{"a": "x", "b": ' + "9" * 5000 + ', "c": "x"}', "not JSON"),
    ],
)
def test_unreadable_json_says_why(text: str, message: str) -> None:
    with pytest.raises(ValueError, match=message) as caught:
        SPACE.from_json(text)
    assert len(str(caught.value)) < 300


def test_weights_that_do_not_fit_are_refused() -> None:
    good = [torch.zeros(3), torch.tensor([0.0, 1.0]), torch.zeros(1)]
    assert SPACE.derive(good) == (0, 1, 0)
    with pytest.raises(ValueError, match="got 2 weight vectors; this space has 3"):
        SPACE.derive(good[:2])
    with pytest.raises(ValueError, match=r"'b' have shape \(3,\); it must be \(2,\)"):
        SPACE.derive([good[0], torch.zeros(3), good[2]])
    with pytest.raises(ValueError, match="'c' are not finite"):
        SPACE.derive([*good[:2], torch.tensor([torch.nan])])


def test_long_values_are_cut() -> None:
    assert shortened("x" * 999, 10) == "'xxxxxxxxx…"
    assert shortened([1]) == "[1]"
