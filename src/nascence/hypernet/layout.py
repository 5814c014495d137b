"""How a parameter of any shape and role is laid out as what a decoder predicts.

Matrices and kernels are predicted as ``(out, in, kh, kw)``, vectors as one of two rows. This is
the only place that knows about roles, so decoders and tiling see numbers alone.
"""

from math import isqrt, prod
from typing import NamedTuple

from nascence.graph import Node, Parameter


class Layout(NamedTuple):
    """One parameter to predict.

    ``kind`` is ``"kernel"``, ``"vector"``, ``"class_weight"`` or ``"class_bias"``; ``size`` is
    the full ``(out, in, kh, kw)``, or ``(length,)``; ``row`` picks scale (0) or shift (1) of a
    vector; ``finish`` names the last step: ``"fan_in"`` (times ``gain``), ``"scale"``,
    ``"shift"`` or ``"none"``; ``fold`` says how the prediction becomes the parameter.
    """

    name: str
    shape: tuple[int, ...]
    kind: str
    size: tuple[int, ...]
    row: int
    finish: str
    gain: float
    fold: str


def _kernel_size(shape: tuple[int, ...]) -> tuple[int, int, int, int]:
    out, inner, *spatial = shape
    if not spatial:
        return out, inner, 1, 1
    if len(spatial) == 1:
        return out, inner, 1, spatial[0]
    return out, inner, spatial[-2], spatial[-1]


def _weight(parameter: Parameter, node: Node) -> Layout:
    """Fan-in scaling of Knyazev et al. (2021), section 3.2: gain sqrt(beta / fan-in).

    beta is 2, and 1 for one input channel (depthwise) or the first half of a factorised pair.
    """
    shape = parameter.shape
    fold = "repeat" if len(shape) > 4 else "plain"
    if parameter.role == "weight_transposed":
        shape = (shape[1], shape[0], *shape[2:])
        fold = "transpose_repeat" if len(shape) > 4 else "transpose"
    size = _kernel_size(shape)
    beta = 1.0 if (size[1] == 1 or size[2] < size[3]) and len(shape) > 2 else 2.0
    fan_in = prod(shape[1:])
    gain = (beta / fan_in) ** 0.5
    return Layout(parameter.name, parameter.shape, "kernel", size, 0, "fan_in", gain, fold)


def _grid(parameter: Parameter, finish: str) -> Layout:
    """Position encodings and tables: channels over a square grid, or along a line."""
    shape = tuple(size for size in parameter.shape if size != 1) or (1,)
    name = parameter.name
    if len(parameter.shape) == 4 and parameter.shape[0] == 1 and len(shape) > 1:
        return Layout(name, parameter.shape, "kernel", parameter.shape, 0, finish, 1.0, "plain")
    if len(shape) == 1:
        return _vector(parameter, 1, finish)
    positions, channels = prod(shape[:-1]), shape[-1]
    side = isqrt(positions)
    if 0 <= positions - side * side <= 2 and side > 1:
        return Layout(
            name, parameter.shape, "kernel", (1, channels, side, side), 0, finish, 1.0, "grid"
        )
    return Layout(
        name, parameter.shape, "kernel", (1, channels, 1, positions), 0, finish, 1.0, "grid"
    )


def _vector(parameter: Parameter, row: int, finish: str) -> Layout:
    length = prod(parameter.shape)
    return Layout(parameter.name, parameter.shape, "vector", (length,), row, finish, 1.0, "plain")


def layout(parameter: Parameter, node: Node, *, classifier: bool, classes: int) -> Layout:
    """The layout of ``parameter`` of ``node``.

    ``classifier`` says that the network returns what this node computes; where it has exactly
    ``classes`` rows, the decoder's class heads predict it.
    """
    shape, role = parameter.shape, parameter.role
    if role in ("weight", "weight_transposed"):
        if len(shape) < 2:
            return _vector(parameter, 0, "shift")
        plain = _weight(parameter, node)
        points = plain.size[2:] == (1, 1) and role == "weight" and len(shape) <= 4
        if classifier and shape[0] == classes and points:
            return plain._replace(kind="class_weight")
        return plain
    if role == "bias" and classifier and shape == (classes,):
        return _vector(parameter, 1, "shift")._replace(kind="class_bias")
    if role in ("norm_weight", "scale"):
        return _vector(parameter, 0, "scale")
    if role in ("bias", "norm_bias", "token"):
        return _vector(parameter, 1, "shift")
    if role == "embedding":
        size = (shape[0], prod(shape[1:]), 1, 1)
        return Layout(parameter.name, shape, "kernel", size, 0, "none", 1.0, "plain")
    return _grid(parameter, "none" if role == "position" else "shift")
