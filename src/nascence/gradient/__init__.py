"""Search by gradients: the architecture is learned while a supernet trains."""

from nascence.gradient.binary_gates import BinaryGates
from nascence.gradient.derivation import check_derivable, derive
from nascence.gradient.gates import Gate, concrete, straight_through
from nascence.gradient.loop import gradient_search
from nascence.gradient.operations import partial_channels, single_path
from nascence.gradient.policy_gradient import PolicyGradient
from nascence.gradient.relaxation import Method, Relaxation
from nascence.gradient.second_order import unrolled_gradients
from nascence.gradient.strategies import darts, enas, gdas, pc_darts, proxyless, snas
from nascence.gradient.supernet_search import Prepare
from nascence.gradient.trajectory import Epoch, GradientSearchError, Trajectory

__all__ = [
    "BinaryGates",
    "Epoch",
    "Gate",
    "GradientSearchError",
    "Method",
    "PolicyGradient",
    "Prepare",
    "Relaxation",
    "Trajectory",
    "check_derivable",
    "concrete",
    "darts",
    "derive",
    "enas",
    "gdas",
    "gradient_search",
    "partial_channels",
    "pc_darts",
    "proxyless",
    "single_path",
    "snas",
    "straight_through",
    "unrolled_gradients",
]
