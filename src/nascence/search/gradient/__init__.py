"""Search by gradients: the architecture is learned while a supernet trains."""

from collections.abc import Callable, Mapping
from functools import partial

from nascence.search.gradient.binary_gates import BinaryGates
from nascence.search.gradient.controller import Beam, Controller, Draw
from nascence.search.gradient.derivation import check_derivable, derive
from nascence.search.gradient.gates import Gate, concrete, straight_through
from nascence.search.gradient.leaf import Prepare
from nascence.search.gradient.loop import gradient_search
from nascence.search.gradient.operations import partial_channels, single_path
from nascence.search.gradient.policy_gradient import PolicyGradient, RewardedController
from nascence.search.gradient.relaxation import Method, Relaxation
from nascence.search.gradient.second_order import unrolled_gradients
from nascence.search.gradient.strategies import darts, enas, gdas, pc_darts, proxyless, snas
from nascence.search.gradient.trajectory import Epoch, GradientSearchError, Trajectory

GRADIENT_STRATEGIES: Mapping[str, Callable[..., Trajectory]] = {
    "darts": darts,
    "darts-2nd": partial(darts, order=2),
    "enas": enas,
    "gdas": gdas,
    "pc-darts": pc_darts,
    "proxyless": proxyless,
    "snas": snas,
}
"""By the names that the command line calls them."""

__all__ = [
    "GRADIENT_STRATEGIES",
    "Beam",
    "BinaryGates",
    "Controller",
    "Draw",
    "Epoch",
    "Gate",
    "GradientSearchError",
    "Method",
    "PolicyGradient",
    "Prepare",
    "RewardedController",
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
