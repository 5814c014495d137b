"""Which decision of a supernet to split, and into which groups of choices."""

from collections.abc import Callable, Mapping, Sequence
from itertools import combinations
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional

from nascence.data import Batch
from nascence.supernets.paths import PathSampler, uniform_paths
from nascence.supernets.weight_sharing import WeightSharing

Groups = Sequence[Sequence[int]]
Criterion = Callable[[WeightSharing, torch.Generator], Mapping[str, Groups]]
"""Tells where to split a supernet: groups of choices by name of the decision, for ``split``."""


class Match(NamedTuple):
    """How well the choices of one decision agree on the weights that they share.

    Attributes:
        decision: its name.
        choices: the m indices that the supernet holds.
        similarity: (m, m), cosines of the gradients of the shared weights, in [-1, 1].
        groups: the two groups of equal size (to within one) that agree least with each other.
        cut: the mean similarity between a choice of one group and one of the other.
    """

    decision: str
    choices: tuple[int, ...]
    similarity: Tensor
    groups: tuple[tuple[int, ...], tuple[int, ...]]
    cut: float


def split_on(decisions: Sequence[str]) -> Criterion:
    """Split these decisions into their single choices, unless they are already split."""

    def choose(supernet: WeightSharing, generator: torch.Generator) -> Mapping[str, Groups]:
        names = [decision.name for decision in supernet.space.decisions]
        for name in decisions:
            if name not in names:
                raise ValueError(f"there is no decision {name!r} to split; use {', '.join(names)}")
        return {name: _singles(supernet, name) for name in decisions}

    return choose


def at_random(count: int = 1) -> Criterion:
    """Split ``count`` decisions, drawn uniformly among those left, into their single choices."""

    def choose(supernet: WeightSharing, generator: torch.Generator) -> Mapping[str, Groups]:
        names = _open_decisions(supernet)
        if not 1 <= count <= len(names):
            raise ValueError(f"count is {count}; this supernet has {len(names)} decisions to split")
        order = torch.randperm(len(names), generator=generator)[:count].tolist()
        return {names[place]: _singles(supernet, names[place]) for place in order}

    return choose


def by_gradient_matching(batches: Sequence[Batch], *, count: int = 1) -> Criterion:
    """Split the ``count`` decisions whose two groups agree least; see :func:`gradient_matching`.

    Batches are images ``(B, C, H, W)``, normalised, and labels ``(B,)``.
    """

    def choose(supernet: WeightSharing, generator: torch.Generator) -> Mapping[str, Groups]:
        matches = gradient_matching(supernet, batches, generator=generator)
        if not 1 <= count <= len(matches):
            raise ValueError(
                f"count is {count}; this supernet has {len(matches)} decisions to split"
            )
        return {match.decision: match.groups for match in matches[:count]}

    return choose


def gradient_matching(
    supernet: WeightSharing,
    batches: Sequence[Batch],
    *,
    generator: torch.Generator,
    sampler: PathSampler = uniform_paths,
) -> list[Match]:
    """Compare the gradients that the choices of each decision give to the weights they share.

    Hu et al., "Generalizing Few-Shot NAS with Gradient Matching", ICLR 2022, section 3: each
    choice of a decision is taken alone, the others along a random path that is the same for all;
    the gradients of all weights outside of that decision, added up over the batches, are compared
    by their cosine. A balanced minimum cut of the graph of these similarities gives two groups,
    and the decision with the least cut is the one to split.

    Args:
        supernet: read, not changed.
        batches: normalised images ``(B, C, H, W)`` and labels ``(B,)``; each has random paths of
            its own.
        generator: source of the paths.
        sampler: draws them.

    Returns:
        One match for each decision with two choices or more, the least cut first.

    Raises:
        ValueError: ``batches`` is empty.
    """
    if not batches:
        raise ValueError("batches is empty; give at least one")
    matches = []
    for name in _open_decisions(supernet):
        place = [decision.name for decision in supernet.space.decisions].index(name)
        held, shared = supernet.choices[place], supernet.shared_parameters(name)
        sums = torch.zeros(len(held), sum(parameter.numel() for parameter in shared))
        for images, labels in batches:
            path = sampler(supernet.space, supernet.choices, generator=generator)[0]
            for row, index in enumerate(held):
                chosen = (*path[:place], index, *path[place + 1 :])
                loss = functional.cross_entropy(supernet(images, chosen), labels)
                gradients = torch.autograd.grad(
                    loss, shared, allow_unused=True, materialize_grads=True
                )
                sums[row] += torch.cat([gradient.flatten().cpu() for gradient in gradients])
        directions = functional.normalize(sums, dim=1)
        similarity = directions @ directions.T
        groups, cut = balanced_cut(similarity)
        first, second = (tuple(held[each] for each in group) for group in groups)
        matches.append(Match(name, held, similarity, (first, second), cut))
    return sorted(matches, key=lambda match: match.cut)


def balanced_cut(
    similarity: Tensor,
) -> tuple[tuple[tuple[int, ...], tuple[int, ...]], float]:
    """Return the two groups of rows of ``(m, m)`` with the least mean similarity, and that mean.

    The sizes differ by at most one; all such pairs are tried, so it is for m up to about 20.
    The first group holds row 0.

    Raises:
        ValueError: not ``(m, m)`` with m of 2 or more.
    """
    count = len(similarity)
    if similarity.shape != (count, count) or count < 2:
        raise ValueError(f"similarity is {tuple(similarity.shape)}; give (m, m) with m 2 or more")
    best: tuple[tuple[tuple[int, ...], tuple[int, ...]], float] | None = None
    for size in {count // 2, count - count // 2}:
        for others in combinations(range(1, count), size - 1):
            first = (0, *others)
            second = tuple(row for row in range(count) if row not in first)
            cut = similarity[list(first)][:, list(second)].mean().item()
            if best is None or cut < best[1]:
                best = (first, second), cut
    assert best is not None
    return best


def _open_decisions(supernet: WeightSharing) -> list[str]:
    return [
        decision.name
        for decision, held in zip(supernet.space.decisions, supernet.choices, strict=True)
        if len(held) > 1
    ]


def _singles(supernet: WeightSharing, name: str) -> Groups:
    names = [decision.name for decision in supernet.space.decisions]
    return [(index,) for index in supernet.choices[names.index(name)]]
