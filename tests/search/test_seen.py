"""What counts as seen."""

import pytest

from nascence.search import Seen
from nascence.spaces import NB201

SPACE = NB201()
ZERO, SAME = (0, 0, 0, 0, 0, 0), (1, 0, 0, 0, 0, 0)  # both give zeros
assert SPACE.canonical(ZERO) == SPACE.canonical(SAME)


def test_what_counts_as_seen() -> None:
    for distinct, seen_too in (("functions", True), ("architectures", False)):
        seen = Seen(SPACE, distinct)  # type: ignore[arg-type]
        seen.add(ZERO)
        assert ZERO in seen
        assert (SAME in seen) == seen_too
    nothing = Seen(SPACE, "nothing")
    nothing.add(ZERO)
    assert ZERO not in nothing


def test_other_words_are_refused() -> None:
    with pytest.raises(ValueError, match="distinct is 'all'; use 'functions'"):
        Seen(SPACE, "all")  # type: ignore[arg-type]
