"""The NAS-Bench-201 network as a module: cells of four nodes in a fixed skeleton.

Dong and Yang, "NAS-Bench-201: Extending the Scope of Reproducible Neural Architecture Search",
ICLR 2020, section 2 and figure 1.
"""

from collections import OrderedDict
from collections.abc import Callable, Iterator
from functools import cache, reduce
from itertools import product
from operator import add

import torch
from torch import Tensor, nn

OPERATIONS = ("none", "skip_connect", "nor_conv_1x1", "nor_conv_3x3", "avg_pool_3x3")
EDGES = ((0, 1), (0, 2), (1, 2), (0, 3), (1, 3), (2, 3))
KERNELS = {"nor_conv_1x1": 1, "nor_conv_3x3": 3}
ConvolutionFactory = Callable[..., nn.Module]


def convolution(
    in_channels: int, out_channels: int, *, kernel_size: int, stride: int = 1, padding: int = 0
) -> nn.Sequential:
    """Build convolution and BatchNorm, without bias: the published candidate after its ReLU."""
    return nn.Sequential(
        nn.Conv2d(in_channels, out_channels, kernel_size, stride, padding, bias=False),
        nn.BatchNorm2d(out_channels),
    )


def identity_convolution(
    in_channels: int, out_channels: int, *, kernel_size: int, stride: int = 1, padding: int = 0
) -> nn.Sequential:
    """Build convolution and BatchNorm whose kernel starts as the identity plus the usual noise.

    The identity branch of a re-parameterised block put into the kernel from the start (compare
    Zagoruyko and Komodakis, "DiracNets", 2017, eq. 2): it trains at the cost of one convolution.
    Where the channels differ there is no identity, and it is the published candidate.
    """
    block = convolution(
        in_channels, out_channels, kernel_size=kernel_size, stride=stride, padding=padding
    )
    if in_channels == out_channels and stride == 1 and kernel_size == 2 * padding + 1:
        kernel = block.get_parameter("0.weight")
        with torch.no_grad():
            kernel.add_(nn.init.dirac_(torch.empty_like(kernel)))
    return block


def live_edges(operations: tuple[str, ...]) -> tuple[bool, ...]:
    """Tell for each of the six edges whether it lies on a path from the input to the output.

    A path cannot use an edge that holds ``none``.
    """
    reached, reaching = {0}, {3}
    for (source, target), operation in zip(EDGES, operations, strict=True):
        if operation != "none" and source in reached:
            reached.add(target)
    for (source, target), operation in reversed(list(zip(EDGES, operations, strict=True))):
        if operation != "none" and target in reaching:
            reaching.add(source)
    return tuple(
        operation != "none" and source in reached and target in reaching
        for (source, target), operation in zip(EDGES, operations, strict=True)
    )


@cache
def representatives() -> dict[tuple[int, ...], tuple[int, ...]]:
    """Map all 15,625 cells to the member of their class with the fewest operations."""
    classes: dict[str, tuple[int, ...]] = {}
    cells = list(product(range(len(OPERATIONS)), repeat=len(EDGES)))
    for cell in sorted(cells, key=lambda cell: len(EDGES) - cell.count(0)):
        classes.setdefault(_unique_string(cell), cell)
    return {cell: classes[_unique_string(cell)] for cell in cells}


def _unique_string(cell: tuple[int, ...]) -> str:
    """Write what a cell computes, as ``to_unique_str`` of the benchmark's authors does.

    Some cells that compute the same keep different strings: a sum of zeros is not taken for zero,
    and a sum passed on by ``skip_connect`` stays a term of its own.
    """
    nodes = ["0"]
    for target in (1, 2, 3):
        terms = []
        for (source, end), index in zip(EDGES, cell, strict=True):
            if end != target:
                continue
            operation = OPERATIONS[index]
            if operation == "none" or nodes[source] == "#":
                terms.append("#")
            elif operation == "skip_connect":
                terms.append(nodes[source])
            else:
                terms.append(f"({nodes[source]})@{operation}")
        nodes.append("+".join(sorted(terms)))
    return nodes[3]


class Cell(nn.Module):
    """Four nodes, each the sum of what its incoming edges make of the earlier nodes.

    Args:
        operations: the operation of each edge, in the order of ``EDGES``.
        channels: of the input, (B, C, H, W), and of the output, which has the same shape.
        conv: factory of the convolution block, see :class:`nascence.spaces.NB201`.
        built: which edges to build; the others contribute nothing, as ``none`` does.
    """

    def __init__(
        self,
        operations: tuple[str, ...],
        channels: int,
        *,
        conv: ConvolutionFactory,
        built: tuple[bool, ...],
    ) -> None:
        super().__init__()
        self.relu = nn.ReLU()
        self.edges = nn.ModuleDict()
        self.incoming: dict[int, list[tuple[int, str, str]]] = {1: [], 2: [], 3: []}
        for (source, target), operation, build in zip(EDGES, operations, built, strict=True):
            if not build or operation == "none":
                continue
            name = f"{source}_{target}"
            self.incoming[target].append((source, name, operation))
            if operation in KERNELS:
                size = KERNELS[operation]
                block = conv(channels, channels, kernel_size=size, stride=1, padding=size // 2)
                self.edges[name] = block
            elif operation == "avg_pool_3x3":
                self.edges[name] = nn.AvgPool2d(3, stride=1, padding=1, count_include_pad=False)

    def forward(self, x: Tensor) -> Tensor:
        nodes = {0: x}
        rectified: dict[int, Tensor] = {}  # one ReLU for all the convolutions that read a node
        for target, incoming in self.incoming.items():
            terms = []
            for source, name, operation in incoming:
                value = nodes[source]
                if operation in KERNELS:
                    if source not in rectified:
                        rectified[source] = self.relu(value)
                    value = rectified[source]
                terms.append(value if operation == "skip_connect" else self.edges[name](value))
            if terms:
                nodes[target] = reduce(add, terms)
            elif target == 3 or self._is_read(target):
                nodes[target] = torch.zeros_like(x)
        return nodes[3]

    def _is_read(self, node: int) -> bool:
        return any(source == node for edges in self.incoming.values() for source, _, _ in edges)


class Reduction(nn.Module):
    """Residual block between stages: (B, C, H, W) to (B, D, H/2, W/2).

    Two 3x3 ReLU-Conv-BN, the first with stride 2, beside a 2x2 average pool and a 1x1 convolution.
    """

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.ReLU(),
            *convolution(in_channels, out_channels, kernel_size=3, stride=2, padding=1),
            nn.ReLU(),
            *convolution(out_channels, out_channels, kernel_size=3, padding=1),
        )
        self.shortcut = nn.Sequential(
            nn.AvgPool2d(2), nn.Conv2d(in_channels, out_channels, 1, bias=False)
        )

    def forward(self, x: Tensor) -> Tensor:
        return self.body(x) + self.shortcut(x)


def skeleton(
    cell: Callable[[int], nn.Module], *, classes: int, in_channels: int, width: int, cells: int
) -> nn.Sequential:
    """Build the network around ``cell(channels)``: (B, in_channels, H, W) to (B, classes).

    A 3x3 convolution with BatchNorm; three stages of ``cells`` cells with ``width``, twice and
    four times that many channels, a :class:`Reduction` between them; BatchNorm, ReLU, global
    average and a linear layer. H and W must be multiples of 4.
    """

    def stages() -> Iterator[nn.Module]:
        for channels in (width, 2 * width, 4 * width):
            if channels > width:
                yield Reduction(channels // 2, channels)
            for _ in range(cells):
                yield cell(channels)

    return nn.Sequential(
        OrderedDict(
            stem=convolution(in_channels, width, kernel_size=3, padding=1),
            cells=nn.Sequential(*stages()),
            norm=nn.BatchNorm2d(4 * width),
            relu=nn.ReLU(),
            pool=nn.AdaptiveAvgPool2d(1),
            flatten=nn.Flatten(),
            classifier=nn.Linear(4 * width, classes),
        )
    )
