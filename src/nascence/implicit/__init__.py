"""Implicit models: layers whose output is the fixed point of a map."""

from nascence.implicit.anderson import anderson
from nascence.implicit.backward import Implicit, Phantom, Unrolled
from nascence.implicit.broyden import broyden
from nascence.implicit.deq import DEQ, fixed_iterations, unrolled
from nascence.implicit.dropout import SolveDropout
from nascence.implicit.fixed_point import fixed_point
from nascence.implicit.jacobian import jacobian_penalty, spectral_radius
from nascence.implicit.mdeq import (
    MDEQBackbone,
    MDEQClassifier,
    MDEQSegmenter,
    mdeq_large,
    mdeq_small,
    mdeq_tiny,
)
from nascence.implicit.newton_krylov import newton_krylov
from nascence.implicit.normalise import spectral_normalise, weight_normalise
from nascence.implicit.picard import picard
from nascence.implicit.pyramid import (
    ExplicitPyramid,
    FusionCell,
    ImplicitPyramid,
    TopDownPyramid,
)
from nascence.implicit.solution import ConvergenceError, ConvergenceWarning, Solution, Status

__all__ = [
    "ConvergenceError",
    "ConvergenceWarning",
    "DEQ",
    "ExplicitPyramid",
    "FusionCell",
    "Implicit",
    "ImplicitPyramid",
    "MDEQBackbone",
    "MDEQClassifier",
    "MDEQSegmenter",
    "Phantom",
    "Solution",
    "SolveDropout",
    "Status",
    "TopDownPyramid",
    "Unrolled",
    "anderson",
    "broyden",
    "fixed_iterations",
    "fixed_point",
    "jacobian_penalty",
    "mdeq_large",
    "mdeq_small",
    "mdeq_tiny",
    "newton_krylov",
    "picard",
    "spectral_normalise",
    "spectral_radius",
    "unrolled",
    "weight_normalise",
]
