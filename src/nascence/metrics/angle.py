"""The angle between initial and current weights, of all sub-networks of a supernet at once.

Hu et al., "Angle-based Search Space Shrinking for Neural Architecture Search", ECCV 2020, eq. 2
(ABS); Zhang et al., "Neural Architecture Search with Random Labels", CVPR 2021 (RLNAS).

A sub-network's weight vector holds its fixed parts once and the weights of each operation once per
live path through it. What an operation contributes to any angle is therefore just three sums of
squares.
"""

from collections.abc import Iterable, Sequence
from typing import Literal, NamedTuple

import torch
from torch import Tensor


class Convention(NamedTuple):
    """Which weights enter the vector: publications differ on this.

    Attributes:
        name: name of the convention.
        norm: the scale and shift of BatchNorm, and biases, enter.
        identity: an identity enters as its C x C matrix, or not at all.
        every_node: in a cell whose output is all of its nodes, paths end at each node, not only at
            the last.
        fixed: whether the parts that every network has (stem, reductions, classifier) are included.
        dead: the angle of a network without a live path: that of its ``"fixed"`` parts, or
            ``"zero"``.
    """

    name: str
    norm: bool
    identity: Literal["empty", "matrix"]
    every_node: bool
    fixed: bool
    dead: Literal["fixed", "zero"]


ABS = Convention("abs", norm=False, identity="empty", every_node=False, fixed=True, dead="fixed")
RLNAS = Convention("rlnas", norm=True, identity="matrix", every_node=True, fixed=True, dead="zero")
# Not published: fixed parts take part in every step and may turn further than any candidate; with
# them, short trainings on random labels, or without BatchNorm's scales, rank networks without
# weights first.
CANDIDATES = RLNAS._replace(name="candidates", identity="empty", fixed=False)
CONVENTIONS = {convention.name: convention for convention in (ABS, RLNAS, CANDIDATES)}


class AngleTable(NamedTuple):
    """Sums of squares ``(|initial|^2, |current|^2, |current - initial|^2)``, float64.

    Attributes:
        fixed: (3,), of what every network has.
        operations: for each decision (choices, 3), of each operation, over all of its places.
    """

    fixed: Tensor
    operations: tuple[Tensor, ...]


def squares(pairs: Iterable[tuple[Tensor, Tensor]]) -> Tensor:
    """Sums of squares ``(3,)`` of the (initial, current) tensors of one part of a network.

    The difference is summed directly, because subtracting two nearly equal norms would lose it.

    Raises:
        ValueError: the two tensors of a pair have different shapes.
    """
    total = torch.zeros(3, dtype=torch.float64)
    for initial, current in pairs:
        if initial.shape != current.shape:
            raise ValueError(
                f"initial weights of shape {tuple(initial.shape)} stand beside current ones of "
                f"shape {tuple(current.shape)}; give those of the same network"
            )
        start, end = initial.detach().double(), current.detach().double()
        sums = (start.square().sum(), end.square().sum(), (end - start).square().sum())
        total += torch.stack(sums).cpu()
    return total


def angle(sums: Tensor) -> Tensor:
    """Angles ``(...)`` in radians, from 0 to pi, of sums of squares ``(..., 3)``.

    With norms r and s and distance d it is 2 atan2(sqrt(d^2 - (r - s)^2), sqrt((r + s)^2 - d^2)),
    which is accurate where an arc cosine would lose half of the digits (Kahan, "Miscalculating Area
    and Angles of a Needle-like Triangle", 2014). Zero where either vector is; NaN where a sum is
    not finite.
    """
    first, second, distance = sums.double().sqrt().unbind(-1)
    inner = (distance - (first - second)) * (distance + (first - second))
    outer = (first + second - distance) * (first + second + distance)
    found = 2 * torch.atan2(inner.clamp_min(0).sqrt(), outer.clamp_min(0).sqrt())
    found = torch.where((first == 0) | (second == 0), torch.zeros_like(found), found)
    return torch.where(sums.isfinite().all(-1), found, torch.full_like(found, torch.nan))


def angles(
    table: AngleTable,
    architectures: Tensor,
    paths: Tensor,
    *,
    live: Tensor | None = None,
    dead: Literal["fixed", "zero"] = "fixed",
) -> Tensor:
    """Return the angles of many architectures, ``(N,)`` in radians, float64.

    Args:
        table: what each operation adds.
        architectures: ``(N, decisions)`` indices of choices.
        paths: ``(N, decisions)``, how many live paths use each operation; see :func:`live_paths`.
        live: ``(N,)`` bool, whether there is any live path; by default there always is.
        dead: the angle where there is none, see :class:`Convention`.

    Raises:
        ValueError: the weights of an architecture's operations are not finite.
    """
    width = max(len(rows) for rows in table.operations)
    padded = torch.stack(
        [torch.cat((rows, rows.new_zeros(width - len(rows), 3))) for rows in table.operations]
    )
    offsets = width * torch.arange(len(table.operations))
    chosen = padded.flatten(0, 1)[architectures + offsets]  # (N, decisions, 3)
    weights = paths.double().unsqueeze(-1)
    sums = torch.where(weights > 0, chosen * weights, 0.0).sum(1) + table.fixed
    found = angle(sums)
    if bool(found.isnan().any()):
        place = int(found.isnan().nonzero()[0])
        raise ValueError(
            f"the weights of architecture {tuple(architectures[place].tolist())} are not finite; "
            "train the supernet again with a lower learning rate"
        )
    if dead == "zero" and live is not None:
        found = torch.where(live, found, torch.zeros_like(found))
    return found


def live_paths(
    edges: Sequence[tuple[int, int]], alive: Tensor, *, outputs: Sequence[int]
) -> tuple[Tensor, Tensor]:
    """Count the paths of a cell from its inputs to ``outputs`` that use edges ``alive`` only.

    Args:
        edges: source and target of each, every source below its target.
        alive: ``(N, edges)`` bool, for N cells.
        outputs: nodes at which paths end; they may go on to a later one.

    Returns:
        The number of paths through each edge ``(N, edges)`` and in all ``(N,)``, int64.
    """
    nodes = 1 + max(target for _, target in edges)
    targets = {target for _, target in edges}
    one, zero = (
        torch.ones(len(alive), dtype=torch.int64),
        torch.zeros(len(alive), dtype=torch.int64),
    )
    arriving = [zero if node in targets else one for node in range(nodes)]
    leaving = [one if node in outputs else zero for node in range(nodes)]
    for place, (source, target) in sorted(enumerate(edges), key=lambda item: item[1][1]):
        arriving[target] = arriving[target] + arriving[source] * alive[:, place]
    for place, (source, target) in sorted(enumerate(edges), key=lambda item: -item[1][0]):
        leaving[source] = leaving[source] + leaving[target] * alive[:, place]
    through = [
        arriving[source] * leaving[target] * alive[:, place]
        for place, (source, target) in enumerate(edges)
    ]
    total = sum((arriving[node] for node in outputs), zero)
    return torch.stack(through, 1), total
