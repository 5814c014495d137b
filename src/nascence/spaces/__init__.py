"""Search spaces: what can be built, and how to build it."""

from nascence.spaces.additive import AdditiveSpace, Cost, CostTable
from nascence.spaces.block_space import BlockSpace
from nascence.spaces.candidates import CandidateSpace, RestrictedCandidates
from nascence.spaces.cell import identity_convolution
from nascence.spaces.costed import CostedSpace, Restricted
from nascence.spaces.darts import Darts
from nascence.spaces.darts_genotype import GENOTYPES, Genotype
from nascence.spaces.darts_network import set_drop_path_
from nascence.spaces.decisions import Architecture, Choices, Decision
from nascence.spaces.elastic_block import ElasticBlock
from nascence.spaces.elastic_mobile import ElasticMobile
from nascence.spaces.elastic_network import Elastic, Stage
from nascence.spaces.gan import GeneratorSpace
from nascence.spaces.mobile import Mobile
from nascence.spaces.nb201 import NB201
from nascence.spaces.product import ProductSpace
from nascence.spaces.shufflenet import ShuffleNetSpace
from nascence.spaces.small import SmallSpace
from nascence.spaces.space import (
    CellGraph,
    Cellular,
    Choose,
    Coded,
    Costed,
    Crossable,
    Derivable,
    Growing,
    Listable,
    NetworkSpace,
    Readable,
    Restrictable,
    Restriction,
    SearchSpace,
    Sharable,
    Zero,
    name_of,
)
from nascence.spaces.staged import StagedSpace
from nascence.spaces.staged_blocks import Operator

__all__ = [
    "AdditiveSpace",
    "Architecture",
    "BlockSpace",
    "CandidateSpace",
    "CellGraph",
    "Cellular",
    "Choices",
    "Choose",
    "Coded",
    "Cost",
    "CostTable",
    "Costed",
    "CostedSpace",
    "Crossable",
    "Darts",
    "Decision",
    "Derivable",
    "Elastic",
    "ElasticBlock",
    "ElasticMobile",
    "GENOTYPES",
    "GeneratorSpace",
    "Genotype",
    "Growing",
    "Listable",
    "Mobile",
    "NB201",
    "NetworkSpace",
    "Operator",
    "ProductSpace",
    "Readable",
    "Restrictable",
    "Restricted",
    "RestrictedCandidates",
    "Restriction",
    "SearchSpace",
    "Sharable",
    "ShuffleNetSpace",
    "SmallSpace",
    "Stage",
    "StagedSpace",
    "Zero",
    "identity_convolution",
    "name_of",
    "set_drop_path_",
]
