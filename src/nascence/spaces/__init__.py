"""Search spaces: what can be built, and how to build it."""

from nascence.spaces.cell import identity_convolution
from nascence.spaces.darts import Darts
from nascence.spaces.darts_genotype import GENOTYPES, Genotype
from nascence.spaces.darts_network import set_drop_path_
from nascence.spaces.mobile import Mobile
from nascence.spaces.nb201 import NB201
from nascence.spaces.shufflenet import ShuffleNetV2
from nascence.spaces.space import Architecture, Choose, Decision, SearchSpace, name_of

__all__ = [
    "GENOTYPES",
    "NB201",
    "Architecture",
    "Choose",
    "Darts",
    "Decision",
    "Genotype",
    "Mobile",
    "SearchSpace",
    "ShuffleNetV2",
    "identity_convolution",
    "name_of",
    "set_drop_path_",
]
