"""Monte-Carlo tree search over regions that are learned from the scores: LaNAS and LA-MCTS."""

from functools import partial
from typing import Any

import numpy as np
import torch

from nascence.core.randomness import drawn_seed
from nascence.search.codes import coder, finite
from nascence.search.limits import Allowed
from nascence.search.partition import (
    Divide,
    Region,
    add_score,
    divide_by_clusters,
    divide_by_line,
    grow,
    leaf_numbers,
    select_leaf,
)
from nascence.search.seen import Distinct
from nascence.search.strategy import DistinctStrategy
from nascence.search.support_vectors import Array, Kernel
from nascence.spaces import Architecture, Listable, SearchSpace

MOST_ENUMERATED = 100_000
"""Spaces of up to this many architectures are divided as a whole."""
_MUTANTS = 100
"""Mutants that are made at a time for a region of a larger space."""


class _TreeSearch(DistinctStrategy):
    """What LaNAS and LA-MCTS have in common; they differ in how a region is divided.

    From a region of a space that can be listed, an architecture is drawn uniformly; of any other,
    one of the mutants of its scored members that lie in it.
    """

    def __init__(
        self,
        space: SearchSpace,
        divide: Divide,
        *,
        name: str,
        generator: torch.Generator,
        height: int,
        leaf_size: int,
        exploration: float,
        initial: int,
        refit: int,
        allowed: Allowed | None,
        distinct: Distinct,
    ) -> None:
        if initial < 2 or refit < 1:
            raise ValueError(f"initial is {initial} and refit {refit}; give at least 2 and 1")
        if exploration < 0:
            raise ValueError(f"exploration is {exploration}; it must not be negative")
        super().__init__(
            space, name=f"{name}, ", generator=generator, allowed=allowed, distinct=distinct
        )
        self._divide, self._height, self._leaf_size = divide, height, leaf_size
        self._exploration, self._initial = exploration, initial
        self._refit = refit
        self._choices = np.random.default_rng(drawn_seed(generator))
        self._codes = coder(space)
        self._members: list[Architecture] = []
        self._scores: list[float] = []
        self._all = self._listed()
        self._tree: Region | None = None
        self._fitted = 0
        self._kept: dict[int, list[Architecture]] = {}

    def tell(self, architecture: Architecture, score: float) -> None:
        """Learn the score, which counts in every region that the architecture lies in."""
        self._meet(architecture)
        self._members.append(architecture)
        self._scores.append(score)
        if self._tree is not None:
            code = self._codes([architecture])[0]
            add_score(self._tree, code, float(finite(self._scores)[-1]))

    def _proposed(self) -> Architecture | None:
        if len(self._members) < self._initial:
            return None
        if self._tree is None or len(self._members) - self._fitted >= self._refit:
            self._fit()
        assert self._tree is not None
        scores = finite(self._scores)
        low, high = float(scores.min()), float(scores.max())
        while not self._tree.closed:
            leaf = select_leaf(
                self._tree,
                exploration=self._exploration,
                low=low,
                high=high,
                is_open=self._is_open,
            )
            if leaf is None:
                continue
            architecture = self._listed_of(leaf) if self._all is not None else self._mutant(leaf)
            if architecture is not None:
                return architecture
            leaf.closed = True
        return None

    def _fit(self) -> None:
        """Grow a new tree from all scores."""
        points = self._codes(self._members)
        self._tree = grow(
            points,
            finite(self._scores),
            self._divide,
            height=self._height,
            leaf_size=self._leaf_size,
            generator=self._choices,
        )
        self._fitted = len(self._members)
        self._kept = {}
        if self._all is None:
            self._homes = leaf_numbers(self._tree, points)
        else:
            self._tree.places = np.arange(len(self._all[0]))

    def _is_open(self, parent: Region, child: Region) -> bool:
        """Whether a region has something left; in a listed space, hand its parent's down to it."""
        if self._all is not None and child.places is None:
            assert parent.side is not None
            assert parent.places is not None
            assert parent.good is not None
            assert parent.bad is not None
            good = parent.side(self._all[1][parent.places])
            parent.good.places, parent.bad.places = parent.places[good], parent.places[~good]
        return not child.closed and (child.places is None or len(child.places) > 0)

    def _listed_of(self, leaf: Region) -> Architecture | None:
        """An architecture of a listed space in a leaf, drawn at random; None if none is left."""
        assert self._all is not None
        if leaf.number not in self._kept:
            assert leaf.places is not None
            drawn = self._all[0][self._choices.permutation(leaf.places)].tolist()
            self._kept[leaf.number] = [tuple(architecture) for architecture in drawn]
        return self._pop(self._kept[leaf.number])

    def _mutant(self, leaf: Region) -> Architecture | None:
        """A mutant of a leaf's scored members that also lies in it; None if few or none do."""
        assert self._tree is not None
        kept = self._kept.get(leaf.number, [])
        found = self._pop(kept)
        members = np.flatnonzero(self._homes == leaf.number)
        if found is not None or not len(members):
            return found
        parents = self._choices.choice(members, _MUTANTS)
        mutants = [
            self.space.mutate(self._members[parent], generator=self._generator)
            for parent in parents
        ]
        inside = leaf_numbers(self._tree, self._codes(mutants)) == leaf.number
        kept = [mutant for mutant, within in zip(mutants, inside, strict=True) if within]
        self._kept[leaf.number] = kept
        return self._pop(kept)

    def _pop(self, architectures: list[Architecture]) -> Architecture | None:
        while architectures:
            architecture = architectures.pop()
            if self._fits(architecture):
                return architecture
        return None

    def _listed(self) -> tuple[Any, Array] | None:
        """All architectures, (n, decisions), and their codes, if they can be listed."""
        if not isinstance(self.space, Listable) or self.space.size > MOST_ENUMERATED:
            return None
        every = np.array(list(self.space))
        return every, self._codes(every).astype(np.float32)  # half the time of float64


class LaNAS(_TreeSearch):
    """Latent action search: Wang, Xie, Li, Fonseca and Tian, TPAMI 2021.

    Architectures are drawn uniformly from the chosen region, the paper's meta-sampling.
    After ``initial`` random architectures, every ``refit`` scores a tree of regions is learnt: each
    is divided where the least-squares fit of its scores crosses its mean. A region is chosen by
    upper confidence bounds, and an architecture drawn from it.

    Args:
        space: the space to draw from.
        height: levels of the tree: 5 make 16 regions.
        exploration: weight of a region's uncertainty, in units of the range of scores seen.
        initial: random architectures in the beginning.
        refit: scores from one tree to the next.
        generator, allowed, distinct: see :class:`DistinctStrategy`.

    Raises:
        ValueError: ``height`` is below 1.
    """

    def __init__(
        self,
        space: SearchSpace,
        *,
        generator: torch.Generator,
        height: int = 5,
        exploration: float = 0.1,
        initial: int = 10,
        refit: int = 20,
        allowed: Allowed | None = None,
        distinct: Distinct = "functions",
    ) -> None:
        if height < 1:
            raise ValueError(f"height is {height}; it must be at least 1")
        super().__init__(
            space,
            divide_by_line,
            name=f"LaNAS(height={height}, exploration={exploration}, initial={initial}, "
            f"refit={refit}",
            generator=generator,
            height=height,
            leaf_size=1,
            exploration=exploration,
            initial=initial,
            refit=refit,
            allowed=allowed,
            distinct=distinct,
        )


class LaMCTS(_TreeSearch):
    """Latent action Monte-Carlo tree search: Wang, Fonseca and Tian, NeurIPS 2020.

    After ``initial`` random points, every ``refit`` scores a tree of regions is learnt: a region
    with more than ``leaf_size`` points is divided into two clusters of points and scores by a
    support-vector boundary. A region is chosen by upper confidence bounds, and a point drawn from
    it uniformly: the paper's sampler of a leaf without a model.

    Args:
        space: the space to draw from, a :class:`Box` included.
        leaf_size: points that a region may have without being divided.
        kernel: kernel of the boundary: ``"rbf"``, ``"poly"`` or ``"linear"``.
        exploration: weight of a region's uncertainty, in units of the range of scores seen.
        initial: random points in the beginning.
        refit: scores from one tree to the next.
        generator, allowed, distinct: see :class:`DistinctStrategy`.

    Raises:
        ValueError: ``leaf_size`` is below 2, or ``kernel`` is unknown.
    """

    def __init__(
        self,
        space: SearchSpace,
        *,
        generator: torch.Generator,
        leaf_size: int = 10,
        kernel: Kernel = "poly",
        exploration: float = 0.1,
        initial: int = 40,
        refit: int = 20,
        allowed: Allowed | None = None,
        distinct: Distinct = "functions",
    ) -> None:
        if leaf_size < 2:
            raise ValueError(f"leaf_size is {leaf_size}; it must be at least 2")
        if kernel not in ("rbf", "poly", "linear"):
            raise ValueError(f"kernel is {kernel!r}; use 'rbf', 'poly' or 'linear'")
        super().__init__(
            space,
            partial(divide_by_clusters, kernel=kernel),
            name=f"LaMCTS(leaf_size={leaf_size}, kernel={kernel!r}, exploration={exploration}, "
            f"initial={initial}, refit={refit}",
            generator=generator,
            height=40,
            leaf_size=leaf_size,
            exploration=exploration,
            initial=initial,
            refit=refit,
            allowed=allowed,
            distinct=distinct,
        )
