"""The angle of any path of a trained supernet, as a score."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Protocol, runtime_checkable

import torch
from torch import Tensor, nn

from nascence.core.modes import evaluation_mode
from nascence.metrics.angle import CONVENTIONS, AngleTable, Convention, angles, live_paths, squares
from nascence.spaces import Architecture, Cellular, SearchSpace, Zero
from nascence.supernets.paths import restricted_paths
from nascence.supernets.supernet import SuperNet
from nascence.supernets.training import fingerprint

POOLS = (nn.AvgPool2d, nn.MaxPool2d)


@runtime_checkable
class AngledSpace(Protocol):
    """A space whose published angles follow conventions of their own."""

    @property
    def angle_settings(self) -> Mapping[str, Any]:
        """Fields of a :class:`Convention` that differ, and their values."""


class AngleEvaluator:
    """Scores an architecture by the angle between its path's weights and their initial values.

    No image is needed and no forward pass: a table of the supernet's operations gives all angles.
    Higher is better (Hu et al., ECCV 2020; Zhang et al., CVPR 2021). Under a convention with
    ``dead="zero"`` a network without a live path scores 0.

    Args:
        initial: the supernet before its first step.
        current: the same supernet, trained.
        convention: ``"rlnas"``, ``"abs"`` or ``"candidates"``, see :func:`published_convention`,
            or one of your own. Pooling enters as its kernel of 1 / k^2, (C, k, k), under each.

    Raises:
        ValueError: supernets of different spaces or weights, or untrained ones: equal weights.
    """

    def __init__(
        self,
        initial: SuperNet,
        current: SuperNet,
        *,
        convention: Convention | str = "rlnas",
    ) -> None:
        if initial.space.description != current.space.description:
            raise ValueError(
                f"the initial supernet is of {initial.space.description}, the current one of "
                f"{current.space.description}; keep a copy of the supernet before its training"
            )
        if isinstance(convention, str):
            convention = published_convention(convention, current.space)
        self.space, self.convention = current.space, convention
        self.initial, self.current = initial, current
        self.table = _table(initial, current, convention)
        if all(part[..., 2].sum() == 0 for part in (self.table.fixed, *self.table.operations)):
            raise ValueError(
                "initial and current weights are equal, so every angle is zero; give the "
                "supernet as it was before its first step, and the trained one"
            )
        self.description = (
            f"angle ({convention.name}), supernets {fingerprint(initial)}, {fingerprint(current)}"
        )

    def __call__(self, architecture: Architecture) -> float:
        """Return the angle of one architecture, in radians."""
        return float(self.many([self.current.check(architecture)])[0])

    def many(self, architectures: Sequence[Architecture] | Tensor) -> Tensor:
        """Return the angles ``(N,)`` of architectures, or of their indices ``(N, decisions)``."""
        indices = torch.as_tensor(architectures)
        paths, live = path_counts(self.space, indices, every_node=self.convention.every_node)
        return angles(self.table, indices, paths, live=live, dead=self.convention.dead)


def published_convention(name: str, space: SearchSpace) -> Convention:
    """Return ``abs`` or ``rlnas`` as published for a space, or ``candidates``.

    On NAS-Bench-201 both leave out identities and put in what supernets with ``affine="fixed"``
    have of BatchNorm, and differ for networks without a live path alone. Elsewhere ABS takes
    weights alone, and RLNAS a matrix for an identity.

    Raises:
        ValueError: there is none of this name.
    """
    if name not in CONVENTIONS:
        raise ValueError(f"there is no convention {name!r}; use one of {', '.join(CONVENTIONS)}")
    convention = CONVENTIONS[name]
    own = space.angle_settings if isinstance(space, AngledSpace) else {}
    return convention._replace(**own)


def path_counts(
    space: SearchSpace, architectures: Tensor, *, every_node: bool
) -> tuple[Tensor, Tensor]:
    """Live paths through each decision ``(N, decisions)``, and whether there is any ``(N,)``.

    Over an edge of a cell that holds ``none`` no path leads; a decision that is no edge of a cell
    stands on every path.

    Args:
        space: whose cells, if it has any, are looked at.
        architectures: indices, ``(N, decisions)``.
        every_node: let paths end at every node that a cell's output is made of, not the last
            alone.
    """
    counts = torch.ones_like(architectures)
    live = torch.ones(len(architectures), dtype=torch.bool)
    for cell in space.cell_graphs if isinstance(space, Cellular) else ():
        none = [
            choices.index("none") if "none" in choices else -1
            for choices in (space.decisions[place].choices for place in cell.places)
        ]
        alive = architectures[:, cell.places] != torch.tensor(none)
        outputs = cell.outputs if every_node else cell.outputs[-1:]
        through, total = live_paths(cell.edges, alive, outputs=outputs)
        counts[:, cell.places] = through
        live &= total > 0
    return counts, live


def _table(initial: SuperNet, current: SuperNet, convention: Convention) -> AngleTable:
    places = {name: place for place, (name, _) in enumerate(current.space.decisions)}
    rows = [torch.zeros(len(d.choices), 3, dtype=torch.float64) for d in current.space.decisions]
    channels = _input_channels(current)
    starts = {mixed.place: mixed for mixed in initial.operations()}
    inside: set[int] = set()
    for mixed in current.operations():
        inside |= {id(parameter) for parameter in mixed.parameters()}
        for key, candidate in mixed.candidates.items():
            if mixed.place not in starts or key not in starts[mixed.place].candidates:
                raise ValueError(
                    f"the initial supernet holds no choice {key} of {mixed.decision!r}; give the "
                    "whole supernet as it was before training"
                )
            start = starts[mixed.place].candidates[key]
            sums = squares(_pairs(start, candidate, convention))
            sums = sums + _constant(candidate, channels[mixed.place], convention)
            rows[places[mixed.decision]][int(key)] += sums
    before = dict(initial.named_parameters())
    fixed = [
        (before[name], value)
        for name, value in current.named_parameters()
        if convention.fixed and id(value) not in inside and _enters(value, convention)
    ]
    return AngleTable(squares(fixed), tuple(rows))


def _pairs(
    initial: nn.Module, current: nn.Module, convention: Convention
) -> Iterator[tuple[Tensor, Tensor]]:
    before = dict(initial.named_parameters())
    for name, value in current.named_parameters():
        if name not in before:
            raise ValueError(f"the initial supernet has no weights {name!r} of the current one")
        if _enters(value, convention):
            yield before[name], value


def _enters(parameter: Tensor, convention: Convention) -> bool:
    return convention.norm or parameter.ndim > 1


def _constant(candidate: nn.Module, channels: int, convention: Convention) -> Tensor:
    """Sums of squares of the vectors that stand for operations without weights."""
    square = 0.0
    if type(candidate) is nn.Identity and convention.identity == "matrix":
        square = float(channels)
    for module in candidate.modules():
        if isinstance(module, POOLS) and not isinstance(candidate, Zero):
            kernel = module.kernel_size
            area = kernel**2 if isinstance(kernel, int) else kernel[0] * kernel[1]
            square += channels / area
    return torch.tensor([square, square, 0.0], dtype=torch.float64)


def _input_channels(supernet: SuperNet) -> dict[int, int]:
    """Channels that reach each mixed operation, by its place, from one forward pass."""
    space = supernet.space
    found: dict[int, int] = {}
    handles = [
        mixed.register_forward_pre_hook(
            lambda mixed, inputs: found.update({mixed.place: inputs[0].shape[1]})
        )
        for mixed in supernet.operations()
    ]
    first = next(iter(supernet.parameters()))
    images = torch.zeros(2, space.in_channels, 32, 32, device=first.device)
    try:
        sampler = torch.Generator().manual_seed(0)
        (architecture,) = restricted_paths(space, supernet.choices, generator=sampler)
        with evaluation_mode(supernet):
            supernet(images, architecture)
    finally:
        for handle in handles:
            handle.remove()
    return found
