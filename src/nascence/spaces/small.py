"""A space of 1,296 small networks, all of which can be trained: a bench for supernets.

Zhao et al., "Few-shot Neural Architecture Search", ICML 2021, section 3.1, rest their method on a
space of this size (four compound edges with six operations), which they did not release. This one
is our own.
"""

from collections import OrderedDict
from collections.abc import Iterator
from functools import cache
from itertools import product

from torch import nn

from nascence.spaces.additive import check_positive
from nascence.spaces.candidates import CandidateSpace
from nascence.spaces.cell import Cell, candidates, convolution, live_edges
from nascence.spaces.decisions import Architecture, Decision, check_architecture, shortened
from nascence.spaces.space import CellGraph, Choose

OPERATIONS = (
    "none",
    "skip_connect",
    "nor_conv_1x1",
    "nor_conv_3x3",
    "sep_conv_3x3",
    "avg_pool_3x3",
)
EDGES = ((0, 1), (0, 2), (1, 3), (2, 3))


class SmallSpace(CandidateSpace):
    """Four edges with six operations each: 1,296 cells, of which 253 compute different functions.

    A cell has four nodes and two branches: 0 to 1 to 3 and 0 to 2 to 3; node 3, the sum of both,
    is its output. Operations are ``none``, ``skip_connect``, ``nor_conv_1x1``, ``nor_conv_3x3``,
    ``sep_conv_3x3`` and ``avg_pool_3x3``; a convolution is ReLU, convolution without bias,
    BatchNorm, and the separable one has a depthwise 3x3 kernel, then a 1x1 kernel. Around the
    cells: a 3x3 convolution with BatchNorm, ``cells`` cells, 2x2 average pool with a 1x1
    convolution to twice the width and BatchNorm, ``cells`` cells, BatchNorm, ReLU, global
    average, linear layer. Only cells hold 3x3 kernels beyond the first, so they matter.

    Networks take (B, in_channels, H, W), H and W even, and give (B, classes).

    Args:
        classes: outputs of the linear layer.
        in_channels: channels of the images.
        width: channels of the first stage.
        cells: cells in each of the two stages.
        prune: leave out the edges of a branch that holds ``none``, which have no effect.

    Equal architectures of two spaces with equal ``description`` build equal networks.
    """

    cell_graphs = (CellGraph(tuple(range(len(EDGES))), EDGES, outputs=(3,)),)

    def __init__(
        self,
        *,
        classes: int = 10,
        in_channels: int = 3,
        width: int = 16,
        cells: int = 1,
        prune: bool = True,
    ) -> None:
        settings = {"classes": classes, "in_channels": in_channels, "width": width, "cells": cells}
        for name, value in settings.items():
            check_positive(name, value)
        super().__init__(tuple(Decision(f"edge_{s}_{t}", OPERATIONS) for s, t in EDGES))
        self.classes, self.in_channels = classes, in_channels
        self.width, self.cells, self.prune = width, cells, prune

    @property
    def description(self) -> str:
        """One line with the space and its settings: equal lines mean equal networks."""
        return (
            f"Small(classes={self.classes}, in_channels={self.in_channels}, width={self.width}, "
            f"cells={self.cells}, prune={self.prune})"
        )

    def canonical(self, architecture: Architecture) -> Architecture:
        """Return the architecture with the fewest operations of those that compute the same.

        The two branches can be exchanged, ``skip_connect`` can come before or after the other
        operation of its branch, and a branch with ``none`` has no effect: 253 classes.
        """
        return _representatives()[check_architecture(architecture, self.decisions)]

    def built(self, architecture: Architecture) -> tuple[bool, ...]:
        """Tell for each edge whether :meth:`build` puts its operation into the network."""
        operations = self._operations(architecture)
        if self.prune:
            return live_edges(operations, edges=EDGES)
        return tuple(operation != "none" for operation in operations)

    def format(self, architecture: Architecture) -> str:
        """Write the four operations, as ``nor_conv_3x3,none,skip_connect,avg_pool_3x3``."""
        return ",".join(self._operations(architecture))

    def parse(self, text: str) -> Architecture:
        """Read what :meth:`format` writes; raises ``ValueError`` naming the part it cannot read."""
        operations = text.strip().split(",")
        if len(operations) != len(EDGES):
            raise ValueError(
                f"cannot read the architecture {shortened(text)}; its form is four operations with "
                "commas"
            )
        return self.indices(operations)

    def network(self, choose: Choose) -> nn.Sequential:
        """Build the network with what ``choose`` gives at the four edges of every cell."""
        width = self.width

        def stages() -> Iterator[nn.Module]:
            for channels in (width, 2 * width):
                if channels > width:
                    yield nn.AvgPool2d(2)
                    yield convolution(width, channels, kernel_size=1)
                for _ in range(self.cells):
                    builders = candidates(OPERATIONS, channels, conv=convolution)
                    modules = [choose(decision.name, builders) for decision in self.decisions]
                    yield Cell(modules, edges=EDGES)

        return nn.Sequential(
            OrderedDict(
                stem=convolution(self.in_channels, width, kernel_size=3, padding=1),
                cells=nn.Sequential(*stages()),
                norm=nn.BatchNorm2d(2 * width),
                relu=nn.ReLU(),
                pool=nn.AdaptiveAvgPool2d(1),
                flatten=nn.Flatten(),
                classifier=nn.Linear(2 * width, self.classes),
            )
        )

    def parameters(self, architecture: Architecture) -> int:
        """Count the learnable values of a network without building it."""
        width = self.width
        total = 9 * self.in_channels * width + 2 * width + 2 * width**2 + 4 * width
        for channels in (width, 2 * width):
            kernels = self._kernels(architecture, channels)
            total += self.cells * sum(weights + 2 * channels for weights in kernels)
        return total + 4 * width + (2 * width + 1) * self.classes

    def macs(self, architecture: Architecture, *, side: int | None = None) -> int:
        """Count the multiply-adds of one image, as :func:`nascence.graph.count_macs` does.

        Args:
            architecture: of the network.
            side: of the square image, in pixels, an even number; None is 32.

        Raises:
            ValueError: ``side`` is no positive even number.
        """
        side = self.default_side if side is None else side
        if side < 2 or side % 2:
            raise ValueError(f"side is {side}; these networks need a positive even number")
        width = self.width
        total = 9 * self.in_channels * width * side**2 + 2 * width**2 * side**2 // 4
        for channels, pixels in ((width, side**2), (2 * width, side**2 // 4)):
            total += self.cells * pixels * sum(self._kernels(architecture, channels))
        return total + 2 * width * self.classes

    def _kernels(self, architecture: Architecture, channels: int) -> list[int]:
        """Return the weights of each convolution candidate that is built."""
        weights = {
            "nor_conv_1x1": channels**2,
            "nor_conv_3x3": 9 * channels**2,
            "sep_conv_3x3": 9 * channels + channels**2,
        }
        return [
            weights[operation]
            for operation, built in zip(
                self._operations(architecture), self.built(architecture), strict=True
            )
            if built and operation in weights
        ]

    def _operations(self, architecture: Architecture) -> tuple[str, ...]:
        indices = check_architecture(architecture, self.decisions)
        return tuple(OPERATIONS[index] for index in indices)


@cache
def _representatives() -> dict[Architecture, Architecture]:
    """Map all 1,296 cells to the member of their class with the fewest operations."""
    classes: dict[tuple[tuple[str, ...], ...], Architecture] = {}
    cells = list(product(range(len(OPERATIONS)), repeat=len(EDGES)))
    for cell in sorted(cells, key=lambda cell: len(EDGES) - cell.count(0)):
        classes.setdefault(_function(cell), cell)
    return {cell: classes[_function(cell)] for cell in cells}


def _function(cell: Architecture) -> tuple[tuple[str, ...], ...]:
    """Write what a cell computes: its live branches without their ``skip_connect``, sorted."""
    branches = []
    for first, second in ((cell[0], cell[2]), (cell[1], cell[3])):
        operations = (OPERATIONS[first], OPERATIONS[second])
        if "none" not in operations:
            branches.append(tuple(each for each in operations if each != "skip_connect"))
    return tuple(sorted(branches))
