"""The operations that a graph may hold, as published."""

from nascence.graph import NEAREST_PRIMITIVE, OPERATIONS, PRIMITIVES


def test_fifteen_primitives_and_every_extension_near_one() -> None:
    assert len(PRIMITIVES) == len(set(OPERATIONS) - set(NEAREST_PRIMITIVE)) == 15
    assert set(NEAREST_PRIMITIVE.values()) <= set(PRIMITIVES)
