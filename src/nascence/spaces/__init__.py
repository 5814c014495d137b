"""Search spaces: what can be built, and how to build it."""

from nascence.spaces.cell import identity_convolution
from nascence.spaces.nb201 import NB201
from nascence.spaces.space import Architecture, Choose, Decision, SearchSpace, name_of

__all__ = [
    "NB201",
    "Architecture",
    "Choose",
    "Decision",
    "SearchSpace",
    "identity_convolution",
    "name_of",
]
