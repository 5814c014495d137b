"""Implicit models: layers whose output is the fixed point of a map."""

from nascence.implicit.anderson import anderson
from nascence.implicit.backward import Implicit, Phantom, Unrolled
from nascence.implicit.broyden import broyden
from nascence.implicit.fixed_point import fixed_point
from nascence.implicit.newton_krylov import newton_krylov
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
    "ExplicitPyramid",
    "FusionCell",
    "Implicit",
    "ImplicitPyramid",
    "Phantom",
    "Solution",
    "Status",
    "TopDownPyramid",
    "Unrolled",
    "anderson",
    "broyden",
    "fixed_point",
    "newton_krylov",
    "picard",
]
