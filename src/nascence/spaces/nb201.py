"""The cell space of NAS-Bench-201, with free width, depth and convolution block."""

from functools import cache
from itertools import pairwise
from typing import Any, ClassVar

import torch
from torch import nn

from nascence.graph import count_macs, count_parameters
from nascence.spaces.additive import check_positive
from nascence.spaces.candidates import CandidateSpace
from nascence.spaces.cell import (
    EDGES,
    KERNELS,
    OPERATIONS,
    Cell,
    ConvolutionFactory,
    candidates,
    convolution,
    live_edges,
    representatives,
    skeleton,
)
from nascence.spaces.decisions import Architecture, Decision, check_architecture, shortened
from nascence.spaces.space import CellGraph, Choose, name_of


class NB201(CandidateSpace):
    """The 15,625 cells of NAS-Bench-201 (Dong and Yang, ICLR 2020) in its published skeleton.

    A cell has four nodes; each of its six edges holds one of ``none``, ``skip_connect``,
    ``nor_conv_1x1``, ``nor_conv_3x3``, ``avg_pool_3x3``. Networks take (B, in_channels, H, W),
    H and W multiples of 4, and give (B, classes).

    Args:
        classes: outputs of the linear layer.
        in_channels: channels of the images.
        width: channels of the first stage (the later two have twice and four times as many);
            a tuple makes it one more decision, named ``"width"``.
        cells: cells in each of the three stages; a tuple makes it a decision named ``"cells"``.
        conv: factory of the convolution block of the two convolution candidates, called as
            ``conv(in_channels, out_channels, kernel_size=3, stride=1, padding=1)`` and with
            ``kernel_size=1, padding=0``. The block must keep the shape and hold no activation:
            the cell applies ReLU before it, the published order. ``None``: convolution without
            bias, BatchNorm. Stem and reductions always are the published ones.
        prune: leave out the edges on no path from a cell's input to its output, which the
            output does not depend on (but for a constant, where a convolution reads an edge
            that is always zero). ``False`` builds and counts them, as the published table does.
            A cell without any path gives zeros.

    Equal architectures of two spaces with equal ``description`` build equal networks.
    """

    cell_graphs = (CellGraph(tuple(range(len(EDGES))), EDGES, outputs=(3,)),)
    angle_settings: ClassVar[dict[str, Any]] = {"identity": "empty", "norm": True}
    """What the published angles do differently here: identities are left out, and what supernets
    with ``affine="fixed"`` have of BatchNorm counts."""

    def __init__(
        self,
        *,
        classes: int = 10,
        in_channels: int = 3,
        width: int | tuple[int, ...] = 16,
        cells: int | tuple[int, ...] = 5,
        conv: ConvolutionFactory | None = None,
        prune: bool = True,
    ) -> None:
        check_positive("classes", classes)
        check_positive("in_channels", in_channels)
        self.classes, self.in_channels = classes, in_channels
        self.width, self.cells = _check_choices("width", width), _check_choices("cells", cells)
        self.conv, self.prune = conv, prune
        edges = tuple(Decision(f"edge_{source}_{target}", OPERATIONS) for source, target in EDGES)
        free = tuple(
            Decision(name, value)
            for name, value in (("width", self.width), ("cells", self.cells))
            if isinstance(value, tuple)
        )
        super().__init__(edges + free)

    @property
    def description(self) -> str:
        """One line with the space and its settings: equal lines mean equal networks."""
        conv = None if self.conv is None else name_of(self.conv)
        return (
            f"NB201(classes={self.classes}, in_channels={self.in_channels}, width={self.width}, "
            f"cells={self.cells}, conv={conv}, prune={self.prune})"
        )

    def canonical(self, architecture: Architecture) -> Architecture:
        """Return the architecture with the fewest operations of those isomorphic to this one.

        Isomorphic are cells with the same published string (``to_unique_str``: ``none`` gives
        zero, ``skip_connect`` its input, sums are unordered): 6,466 classes of cells.
        Width and cells stay as they are.
        """
        architecture = check_architecture(architecture, self.decisions)
        return representatives()[architecture[:6]] + architecture[6:]

    def format(self, architecture: Architecture) -> str:
        """Write the published string, ``|op~0|+|op~0|op~1|+|op~0|op~1|op~2|``.

        Decisions beyond the cell follow it: ``;width=16;cells=5``.
        """
        values = self.values(architecture)
        edges = [f"{values[f'edge_{source}_{target}']}~{source}" for source, target in EDGES]
        cell = f"|{edges[0]}|+|{'|'.join(edges[1:3])}|+|{'|'.join(edges[3:])}|"
        return cell + "".join(f";{name}={values[name]}" for name, _ in self.decisions[6:])

    def parse(self, text: str) -> Architecture:
        """Read what :meth:`format` writes; raises ``ValueError`` naming the part it cannot read."""
        cell, *settings = text.strip().split(";")
        nodes = cell.split("+")
        edges = [edge for node in nodes for edge in node.strip("|").split("|")]
        names = [f"{name}=" for name, _ in self.decisions[6:]]
        if (
            [len(node.strip("|").split("|")) for node in nodes] != [1, 2, 3]
            or not all(node.startswith("|") and node.endswith("|") for node in nodes)
            or [setting.partition("=")[0] + "=" for setting in settings] != names
        ):
            form = "|op~0|+|op~0|op~1|+|op~0|op~1|op~2|" + "".join(f";{name}…" for name in names)
            raise ValueError(f"cannot read the architecture {shortened(text)}; its form is {form}")
        values = []
        for edge, (source, target) in zip(edges, EDGES, strict=True):
            operation, _, origin = edge.partition("~")
            if origin != str(source):
                raise ValueError(
                    f"edge {shortened(edge)} in {shortened(text)} should end with ~{source}: it "
                    f"joins node {source} to node {target}"
                )
            values.append(operation)
        values += [setting.partition("=")[2] for setting in settings]
        return self.indices(values)

    def built(self, architecture: Architecture) -> tuple[bool, ...]:
        """Tell for each decision whether :meth:`build` puts its choice into the network."""
        operations, _, _ = self._settings(architecture)
        return self._built(operations) + (True,) * (len(self.decisions) - len(EDGES))

    def network(
        self, choose: Choose, *, width: int | None = None, cells: int | None = None
    ) -> nn.Sequential:
        """Build the skeleton with what ``choose`` gives at the six edges of every cell.

        ``width`` and ``cells`` are those of the space where it has one of each.

        Raises:
            ValueError: the space leaves width or cells open, and they are not given.
        """
        wide, deep = width or self.width, cells or self.cells
        if isinstance(wide, tuple) or isinstance(deep, tuple):
            raise ValueError(
                f"{self.description} leaves width or cells open, and one network has one of each; "
                "give NB201 ints for both"
            )
        conv = convolution if self.conv is None else self.conv

        def cell(channels: int) -> Cell:
            builders = candidates(OPERATIONS, channels, conv=conv)
            return Cell([choose(decision.name, builders) for decision in self.decisions[:6]])

        return skeleton(
            cell, classes=self.classes, in_channels=self.in_channels, width=wide, cells=deep
        )

    def build(self, architecture: Architecture) -> nn.Sequential:
        """Build the network, with PyTorch's initialisation from the global generator."""
        _, width, cells = self._settings(architecture)
        return self.network(self.chooser(architecture), width=width, cells=cells)

    def parameters(self, architecture: Architecture) -> int:
        """Count the learnable values of a network without building it."""
        operations, width, cells = self._settings(architecture)
        stages = (width, 2 * width, 4 * width)
        total = 9 * self.in_channels * width + 2 * width
        for channels in stages:
            total += cells * sum(
                _block_cost(self.conv, channels, KERNELS[operation])[0]
                for operation, built in zip(operations, self._built(operations), strict=True)
                if built and operation in KERNELS
            )
        for before, after in pairwise(stages):
            total += 10 * before * after + 9 * after**2 + 4 * after
        return total + 8 * width + (4 * width + 1) * self.classes

    def macs(self, architecture: Architecture, *, side: int | None = None) -> int:
        """Count the multiply-adds of one image, as :func:`nascence.graph.count_macs` does.

        Convolutions and the matrix product of the linear layer; the published table also counts
        the additions of that layer's bias, ``classes`` more.

        Args:
            architecture: of the network.
            side: side of the square image, in pixels, a multiple of 4; None is 32.

        Raises:
            ValueError: ``side`` is no positive multiple of 4.
        """
        side = self.default_side if side is None else side
        if side < 4 or side % 4:
            raise ValueError(f"side is {side}; these networks need a positive multiple of 4")
        operations, width, cells = self._settings(architecture)
        stages = (width, 2 * width, 4 * width)
        pixels = [side**2, side**2 // 4, side**2 // 16]
        total = 9 * self.in_channels * width * pixels[0]
        for channels, area in zip(stages, pixels, strict=True):
            total += cells * sum(
                _block_cost(self.conv, channels, KERNELS[operation])[1] * area
                for operation, built in zip(operations, self._built(operations), strict=True)
                if built and operation in KERNELS
            )
        for (before, after), area in zip(pairwise(stages), pixels[1:], strict=True):
            total += (10 * before * after + 9 * after**2) * area
        return total + 4 * width * self.classes

    def _built(self, operations: tuple[str, ...]) -> tuple[bool, ...]:
        if self.prune:
            return live_edges(operations)
        return tuple(operation != "none" for operation in operations)

    def _settings(self, architecture: Architecture) -> tuple[tuple[str, ...], int, int]:
        """Return the six operations, the width and the number of cells."""
        values = self.values(architecture)
        operations = tuple(str(values[decision.name]) for decision in self.decisions[:6])
        width, cells = values.get("width", self.width), values.get("cells", self.cells)
        assert isinstance(width, int)
        assert isinstance(cells, int)
        return operations, width, cells


@cache
def _block_cost(conv: ConvolutionFactory | None, channels: int, kernel: int) -> tuple[int, int]:
    """Parameters, and multiply-adds per pixel, of a convolution candidate."""
    if conv is None:
        weights = kernel**2 * channels**2
        return weights + 2 * channels, weights
    with torch.device("meta"):
        block = conv(channels, channels, kernel_size=kernel, stride=1, padding=kernel // 2)
        macs = count_macs(block, torch.zeros(1, channels, 8, 8))
    return count_parameters(block), macs // 64


def _check_choices(name: str, value: int | tuple[int, ...]) -> int | tuple[int, ...]:
    values = value if isinstance(value, tuple) else (value,)
    for each in values:
        check_positive(name, each)
    if not values or len(set(values)) < len(values):
        raise ValueError(f"{name} is {value!r}; give an int, or a tuple of different ints")
    return value
