"""Search spaces: what can be built, and how to build it."""

from nascence.spaces.additive import AdditiveSpace, Cost, CostTable
from nascence.spaces.cell import identity_convolution
from nascence.spaces.darts import Darts
from nascence.spaces.darts_genotype import GENOTYPES, Genotype
from nascence.spaces.darts_network import set_drop_path_
from nascence.spaces.elastic_block import ElasticBlock
from nascence.spaces.elastic_mobile import ElasticMobile
from nascence.spaces.elastic_network import Stage
from nascence.spaces.elastic_supernet import ElasticSuperNet
from nascence.spaces.gan import GeneratorSpace
from nascence.spaces.mobile import Mobile
from nascence.spaces.nb201 import NB201
from nascence.spaces.paths import (
    PathSampler,
    binned_paths,
    cost_edges,
    fair_paths,
    uniform_paths,
)
from nascence.spaces.product import ProductSpace
from nascence.spaces.restricted import Restricted, restricted_paths
from nascence.spaces.shufflenet import ShuffleNetV2
from nascence.spaces.small import Small
from nascence.spaces.space import Architecture, Choose, Decision, SearchSpace, Zero, name_of
from nascence.spaces.splitting import split
from nascence.spaces.supernet import MixedOperation, NetworkSpace, SuperNet
from nascence.spaces.weight_sharing import AnySuperNet, Choices, WeightSharing

__all__ = [
    "restricted_paths",
    "Restricted",
    "GENOTYPES",
    "NB201",
    "AdditiveSpace",
    "AnySuperNet",
    "Architecture",
    "Choices",
    "Choose",
    "Cost",
    "CostTable",
    "Darts",
    "Decision",
    "GeneratorSpace",
    "ElasticBlock",
    "ElasticMobile",
    "ElasticSuperNet",
    "Genotype",
    "MixedOperation",
    "Mobile",
    "NetworkSpace",
    "PathSampler",
    "ProductSpace",
    "SearchSpace",
    "ShuffleNetV2",
    "Small",
    "Stage",
    "SuperNet",
    "WeightSharing",
    "Zero",
    "binned_paths",
    "cost_edges",
    "fair_paths",
    "identity_convolution",
    "name_of",
    "set_drop_path_",
    "split",
    "uniform_paths",
]
