"""A part of the small space whose architectures can be listed."""

from nascence.spaces import Architecture
from nascence.supernets import SuperNet


def part_of_eight(supernet: SuperNet) -> SuperNet:
    """Of the small space: two choices of three edges, one of the fourth."""
    return supernet.restrict([(1, 3), (0, 4), (2, 5), (3,)])


def listed(part: SuperNet) -> list[Architecture]:
    return [(a, b, c, d) for a in part.choices[0] for b in part.choices[1]
            for c in part.choices[2] for d in part.choices[3]]  # fmt: skip
