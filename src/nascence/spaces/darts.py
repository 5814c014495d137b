"""The DARTS space: pairs of cells, of which the genotype is the published form."""

from collections.abc import Iterator, Sequence

import torch
from torch import Tensor

from nascence.spaces.additive import (
    AdditiveSpace,
    Cost,
    CostTable,
    check_fraction,
    check_positive,
    total,
)
from nascence.spaces.darts_edges import (
    INCOMING,
    INPUTS,
    at_position,
    check_edges,
    count,
    numberings,
    position,
)
from nascence.spaces.darts_genotype import (
    NODES,
    OPERATIONS,
    Genotype,
    check_genotype,
    genotype,
    read_genotype,
)
from nascence.spaces.darts_network import (
    EDGES,
    KINDS,
    CellNetwork,
    fixed_cost,
    operation_cost,
    places,
)
from nascence.spaces.darts_restricted import RestrictedDarts
from nascence.spaces.decisions import Architecture, Choices, Decision, check_weights
from nascence.spaces.space import CellGraph, Choose

KEPT = len(OPERATIONS) - 1  # operations of an edge that is not none
STEMS = {"cifar": 32, "imagenet": 224}


class Darts(AdditiveSpace):
    """Pairs of a normal and a reduction cell, stacked to a network.

    Liu, Simonyan and Yang, "DARTS: Differentiable Architecture Search", ICLR 2019. A cell has two
    inputs (the outputs of the two cells before), four nodes and their concatenation as its
    output. Its 14 edges are decisions, each of eight operations with ``none`` among them;
    exactly two edges into each node are not ``none``. (1 · 3 · 6 · 10 · 7^8)^2 = 1.1e18 pairs.

    Networks take ``(B, in_channels, H, W)`` and give ``(B, classes)``; H and W are multiples of 4,
    with ``stem="imagenet"`` of 32.

    Args:
        classes, in_channels: of the classifier and of the images.
        width: channels of the nodes before the first reduction, an even number: published 36, 16
            while searching, and 48 on ImageNet.
        cells: number of cells, at least 3: published 20, 8 while searching, 14 on ImageNet.
        stem: ``"cifar"``, a convolution to three times the width, or ``"imagenet"``, three
            convolutions of stride 2.
        auxiliary: add the published second classifier at two thirds of the cells: in training the
            network gives the pair of both outputs, in evaluation mode the first alone. Parameters
            count it. Needs the published sides of 32 and 224 pixels, or greater ones.
        drop_path: probability, in training, to drop an edge's output for an image, but for
            identities (published: up to 0.2 or 0.3); :func:`nascence.spaces.set_drop_path_`
            changes it in the course of training.
        pool_norm: follow pooling by a BatchNorm without scale and shift, as the published
            supernet does.

    Raises:
        ValueError: ``width`` is odd, ``cells`` below 3, ``stem`` unknown, or a number not positive.
    """

    def __init__(
        self,
        *,
        classes: int = 10,
        in_channels: int = 3,
        width: int = 36,
        cells: int = 20,
        stem: str = "cifar",
        auxiliary: bool = False,
        drop_path: float = 0.0,
        pool_norm: bool = False,
    ) -> None:
        for name, value in (("classes", classes), ("in_channels", in_channels)):
            check_positive(name, value)
        check_positive("width", width)
        if width % 2:
            raise ValueError(f"width is {width}; it must be even")
        check_positive("cells", cells)
        if cells < 3:
            raise ValueError(f"cells is {cells}; at least 3 hold a normal cell and two reductions")
        if stem not in STEMS:
            raise ValueError(f"stem is {stem!r}; use one of {', '.join(map(repr, STEMS))}")
        check_fraction("drop_path", drop_path)
        self.classes, self.in_channels, self.width, self.cells = classes, in_channels, width, cells
        self.stem, self.auxiliary, self.pool_norm = stem, bool(auxiliary), bool(pool_norm)
        self.drop_path = float(drop_path)
        decisions = (
            Decision(f"{kind}_{source}_{node}", OPERATIONS)
            for kind in KINDS
            for source, node in EDGES
        )
        super().__init__(tuple(decisions), default_side=STEMS[stem])
        self.size = count([KEPT] * len(self.decisions))
        self.cell_graphs = tuple(
            CellGraph(
                tuple(range(start, start + len(EDGES))), tuple(EDGES), outputs=NODES, inputs=INPUTS
            )
            for start in (0, len(EDGES))
        )

    @property
    def description(self) -> str:
        """One line with the space and its settings: equal lines mean equal networks."""
        return (
            f"Darts(classes={self.classes}, in_channels={self.in_channels}, width={self.width}, "
            f"cells={self.cells}, stem={self.stem!r}, auxiliary={self.auxiliary}, "
            f"drop_path={self.drop_path}, pool_norm={self.pool_norm})"
        )

    def check(self, architecture: Architecture) -> Architecture:
        """Return ``architecture`` as a tuple; raise ``ValueError`` where it is not of the space."""
        return check_edges(super().check(architecture))

    def __iter__(self) -> Iterator[Architecture]:
        """Go through every architecture, in the order of :meth:`index`."""
        return map(self.architecture, range(self.size))

    def index(self, architecture: Architecture) -> int:
        """Return the position among ``size``, the last node of the reduction cell fastest."""
        return position(self.check(architecture), [KEPT] * len(self.decisions))

    def architecture(self, index: int) -> Architecture:
        """Return the architecture at a position from 0 to ``size - 1``: undoes :meth:`index`."""
        return at_position(self.check_index(index), [KEPT] * len(self.decisions))

    def sample(self, *, generator: torch.Generator) -> Architecture:
        """Draw an architecture, all of them equally likely."""
        drawn = [0] * len(self.decisions)
        for _, node, start in INCOMING:
            sources = torch.randperm(node, generator=generator)[:2].tolist()
            kept = torch.randint(1, KEPT + 1, (2,), generator=generator).tolist()
            for source, index in zip(sources, kept, strict=True):
                drawn[start + source] = index
        return tuple(drawn)

    def neighbours(self, architecture: Architecture) -> list[Architecture]:
        """List all 120 with one edge changed: another operation, or the same from another input."""
        architecture = self.check(architecture)
        found = []
        for _, node, start in INCOMING:
            incoming = architecture[start : start + node]
            free = [source for source in range(node) if incoming[source] == 0]
            for source in set(range(node)) - set(free):
                for index in range(1, KEPT + 1):
                    if index != incoming[source]:
                        found.append(_with(architecture, {start + source: index}))
                for other in free:
                    moved = {start + source: 0, start + other: incoming[source]}
                    found.append(_with(architecture, moved))
        return found

    def mutate(self, architecture: Architecture, *, generator: torch.Generator) -> Architecture:
        """Draw one of the :meth:`neighbours`, uniformly."""
        neighbours = self.neighbours(architecture)
        return neighbours[int(torch.randint(len(neighbours), (1,), generator=generator))]

    def crossover(
        self, first: Architecture, second: Architecture, *, generator: torch.Generator
    ) -> Architecture:
        """Take both edges of every node from one of the two, each with probability one half."""
        first, second = self.check(first), self.check(second)
        child: list[int] = []
        for _, node, start in INCOMING:
            parent = second if torch.randint(2, (1,), generator=generator) else first
            child += parent[start : start + node]
        return tuple(child)

    def canonical(self, architecture: Architecture) -> Architecture:
        """Return the least of the architectures that differ in the numbering of nodes only.

        Nodes may be numbered in any order in which edges lead from lower to higher numbers. The
        networks compute the same but for the order of the concatenated channels.
        """
        architecture = self.check(architecture)
        cells = [
            min(numberings(architecture[start : start + len(EDGES)])) for start in (0, len(EDGES))
        ]
        return cells[0] + cells[1]

    def derive(self, weights: Sequence[Tensor]) -> Architecture:
        """Keep the two strongest edges of each node, with their strongest operations.

        Section 2.4 of the paper: an edge is as strong as the strongest of its operations other
        than ``none``, whose weight only counts through the softmax that should have made
        ``weights``, one vector of eight for each decision. Of equals the first is kept.
        """
        check_weights(weights, self.decisions)
        strengths = [float(vector[1:].max()) for vector in weights]
        derived = [0] * len(self.decisions)
        for _, node, start in INCOMING:
            edges = sorted(range(start, start + node), key=lambda edge: -strengths[edge])
            for edge in edges[:2]:
                derived[edge] = 1 + int(weights[edge][1:].argmax())
        return tuple(derived)

    def operations(self, choices: Choices) -> Choices:
        """Return the choices but ``none``, a missing input, which every edge must keep."""
        return tuple(tuple(index for index in held if index) for held in choices)

    def restricted(self, choices: Sequence[Sequence[int]]) -> RestrictedDarts:
        """Return the space of the architectures that use only these choices.

        Args:
            choices: for each decision the indices that are left, 0 (``none``) among them.

        Raises:
            ValueError: no choice for a decision, one that it does not have, an edge without
                ``none`` or with nothing but it.
        """
        return RestrictedDarts(self, choices)

    def genotype(self, architecture: Architecture) -> Genotype:
        """Return the genotype of an architecture, the inputs of a node in ascending order."""
        architecture = self.check(architecture)
        cells: dict[str, list[tuple[str, int]]] = {kind: [] for kind in KINDS}
        for kind, node, start in INCOMING:
            for source, index in enumerate(architecture[start : start + node]):
                if index:
                    cells[kind].append((OPERATIONS[index], source))
        return genotype(cells["normal"], cells["reduce"])

    def from_genotype(self, value: Genotype) -> Architecture:
        """Return the architecture of a genotype; raises ``ValueError`` where there is none."""
        value = check_genotype(value)
        cells = {"normal": value.normal, "reduce": value.reduce}
        indices = [0] * len(self.decisions)
        for place, (kind, _, start) in enumerate(INCOMING):
            first = 2 * (place % len(NODES))
            for operation, source in cells[kind][first : first + 2]:
                indices[start + source] = OPERATIONS.index(operation)
        return tuple(indices)

    def format(self, architecture: Architecture) -> str:
        """Write the published form, ``Genotype(normal=[('sep_conv_3x3', 0), …], …)``."""
        return str(self.genotype(architecture))

    def parse(self, text: str) -> Architecture:
        """Read what :meth:`format` writes; raises ``ValueError`` naming what is wrong with it."""
        return self.from_genotype(read_genotype(text))

    def built(self, architecture: Architecture) -> tuple[bool, ...]:
        """Tell for each edge whether :meth:`build` puts its operation into the network."""
        return tuple(index != 0 for index in self.check(architecture))

    def network(self, choose: Choose) -> CellNetwork:
        """Build the network with what ``choose`` gives at all 14 edges of every cell.

        Edges for which it gives a :class:`nascence.spaces.Zero` are left out.
        """
        return CellNetwork(
            choose,
            classes=self.classes,
            in_channels=self.in_channels,
            width=self.width,
            cells=self.cells,
            stem=self.stem,
            auxiliary=self.auxiliary,
            drop_path=self.drop_path,
            pool_norm=self.pool_norm,
        )

    def cost_table(self, *, side: int | None = None) -> CostTable:
        """Add up what each choice costs at images of ``side`` pixels, at all its places.

        Raises:
            ValueError: ``side`` is no multiple of 4, or of 32 with the stem for ImageNet.
        """
        side = self.default_side if side is None else side
        least = 4 if self.stem == "cifar" else 32
        if isinstance(side, bool) or not isinstance(side, int) or side < least or side % least:
            raise ValueError(f"side is {side}; these networks need a positive multiple of {least}")
        fixed = fixed_cost(
            classes=self.classes,
            in_channels=self.in_channels,
            width=self.width,
            cells=self.cells,
            stem=self.stem,
            auxiliary=self.auxiliary,
            side=side,
        )
        side = side if self.stem == "cifar" else side // 8
        rows: dict[str, list[list[Cost]]] = {
            decision.name: [[] for _ in OPERATIONS] for decision in self.decisions
        }
        for place in places(width=self.width, cells=self.cells, stem=self.stem):
            side = side // 2 if place.kind == "reduce" else side
            for source, node in EDGES:
                stride = 2 if place.kind == "reduce" and source < 2 else 1
                for costs, name in zip(
                    rows[f"{place.kind}_{source}_{node}"], OPERATIONS, strict=True
                ):
                    costs.append(operation_cost(name, place.channels, stride, side))
        return CostTable(fixed, tuple(tuple(map(total, row)) for row in rows.values()))


def _with(architecture: Architecture, changes: dict[int, int]) -> Architecture:
    return tuple(changes.get(place, index) for place, index in enumerate(architecture))
