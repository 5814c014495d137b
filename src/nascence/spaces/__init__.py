"""Search spaces: what can be built, and how to build it."""

from nascence.spaces.cell import identity_convolution
from nascence.spaces.nb201 import NB201
from nascence.spaces.paths import (
    PathSampler,
    binned_paths,
    cost_edges,
    fair_paths,
    uniform_paths,
)
from nascence.spaces.product import ProductSpace
from nascence.spaces.small import Small
from nascence.spaces.space import Architecture, Choose, Decision, SearchSpace, Zero, name_of
from nascence.spaces.splitting import split
from nascence.spaces.supernet import Choices, MixedOperation, NetworkSpace, SuperNet

__all__ = [
    "NB201",
    "Architecture",
    "Choices",
    "Choose",
    "Decision",
    "MixedOperation",
    "NetworkSpace",
    "PathSampler",
    "ProductSpace",
    "SearchSpace",
    "Small",
    "SuperNet",
    "Zero",
    "binned_paths",
    "cost_edges",
    "fair_paths",
    "identity_convolution",
    "name_of",
    "split",
    "uniform_paths",
]
