"""Designs by hand, drawn and mutated ones keep what they promise."""

import pytest
import torch

from nascence.design.families import staged_designs as designs
from nascence.spaces import StagedSpace

SPACE = StagedSpace()


def test_a_hand_design_is_a_residual_network_with_doubling_channels() -> None:
    lines = [SPACE.format(each) for each in designs.hand_designs(SPACE)]
    assert lines[1] == "stem2;32x1 residual;64x1 residual;128x1 residual"
    assert len(lines) == 4
    large = StagedSpace(stages=4, side=224)
    first = large.format(designs.hand_designs(large)[0])
    assert first == "stem4;16x1 residual;32x1 residual;64x1 residual;128x1 residual"


@pytest.mark.parametrize(
    ("line", "sensible"),
    [
        ("stem2;32x1 plain;32x0 plain;128x0 plain", True),
        ("stem2;32x0 plain;32x0 plain;128x0 plain", False),
        ("stem2;32x1 plain;16x0 plain;64x0 plain", False),
        ("stem2;16x1 plain;96x0 plain;96x0 plain", False),
    ],
)
def test_channels_that_shrink_or_leap_are_not_sensible(line: str, sensible: bool) -> None:
    assert designs.is_sensible(SPACE, SPACE.parse(line)) == sensible


def test_drawn_and_mutated_networks_are_new_allowed_and_sensible() -> None:
    def allowed(architecture: tuple[int, ...]) -> bool:
        return SPACE.macs(architecture) < 10_000_000

    hands = designs.hand_designs(SPACE)
    found = designs.drawn(
        SPACE, 12, allowed=allowed, known=set(hands), generator=torch.Generator().manual_seed(1)
    )
    children = designs.mutants(
        SPACE,
        list(hands[:2]),
        12,
        allowed=allowed,
        known={*hands, *found},
        generator=torch.Generator().manual_seed(2),
    )
    assert len({*hands, *found, *children}) == len(hands) + 24
    for each in (*found, *children):
        assert allowed(each)
        assert designs.is_sensible(SPACE, each)
        assert SPACE.canonical(each) == each


def test_what_nothing_allows_is_found_nowhere() -> None:
    generator = torch.Generator().manual_seed(1)
    assert not designs.drawn(SPACE, 1, allowed=lambda _: False, known=set(), generator=generator)
