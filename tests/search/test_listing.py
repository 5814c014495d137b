"""Listings: one architecture for each function, and what was met is gone."""

import pytest

from nascence.search import Seen
from nascence.search.listing import Listing, listing
from nascence.spaces import NB201, Architecture, Mobile, SmallSpace

SPACE = SmallSpace(width=4)


def listed(seen: Seen, allowed=None) -> Listing:
    found = listing(SPACE, allowed, seen)
    assert found is not None
    return found


def test_functions_are_listed_once_each() -> None:
    functions = listed(Seen(SPACE, "functions"))
    assert len(functions.architectures) == 253  # as the docs have it
    assert {SPACE.canonical(each) for each in functions.architectures} == {
        SPACE.canonical(each) for each in SPACE
    }
    everything = listed(Seen(SPACE, "architectures"))
    assert everything.architectures == list(SPACE)
    assert (everything.codes == SPACE.codes([SPACE.canonical(each) for each in SPACE])).all()


def test_only_what_is_allowed_is_listed() -> None:
    def allowed(architecture: Architecture) -> bool:
        return architecture[0] == 2

    found = listed(Seen(SPACE, "architectures"), allowed)
    assert found.architectures == [each for each in SPACE if each[0] == 2]


@pytest.mark.parametrize("distinct", ["functions", "architectures", "nothing"])
def test_what_was_met_is_gone(distinct) -> None:
    seen = Seen(SPACE, distinct)
    early, late = SPACE.architecture(700), SPACE.architecture(900)
    seen.add(early)
    found = listed(seen)
    seen.add(late)
    found.remove(late)
    left = [each for each, open_ in zip(found.architectures, found.left, strict=True) if open_]
    assert all((each in left) == (each not in seen) for each in found.architectures)
    assert (len(left) == len(found.architectures)) == (distinct == "nothing")


def test_spaces_too_large_are_not_listed() -> None:
    for space in (Mobile(), NB201(width=(4, 6), cells=(1, 2, 3, 4))):
        assert listing(space, None, Seen(space, "functions")) is None
