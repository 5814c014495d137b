"""The NAS-Bench-201 network as a module: cells of four nodes in a fixed skeleton.

Dong and Yang, "NAS-Bench-201: Extending the Scope of Reproducible Neural Architecture Search",
ICLR 2020, section 2 and figure 1.
"""

from collections import OrderedDict
from collections.abc import Callable, Iterator, Sequence
from functools import cache, partial, reduce
from itertools import product
from operator import add

import torch
from torch import Tensor, nn

from nascence.spaces.space import Zero

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


def live_edges(
    operations: Sequence[str], *, edges: Sequence[tuple[int, int]] = EDGES
) -> tuple[bool, ...]:
    """Tell for each edge of a cell whether it lies on a path from the input to the output.

    A path cannot use an edge that holds ``none``.
    """
    reached, reaching = {0}, {max(target for _, target in edges)}
    for (source, target), operation in zip(edges, operations, strict=True):
        if operation != "none" and source in reached:
            reached.add(target)
    for (source, target), operation in reversed(list(zip(edges, operations, strict=True))):
        if operation != "none" and target in reaching:
            reaching.add(source)
    return tuple(
        operation != "none" and source in reached and target in reaching
        for (source, target), operation in zip(edges, operations, strict=True)
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


class Rectified(nn.Module):
    """ReLU, then a block: the convolution candidates, whose ReLU a :class:`Cell` shares."""

    def __init__(self, block: nn.Module) -> None:
        super().__init__()
        self.relu = nn.ReLU()
        self.block = block

    def forward(self, x: Tensor) -> Tensor:
        """Compute ``(B, C, H, W)`` to what the block gives."""
        return self.block(self.relu(x))


def candidates(
    operations: Sequence[str], channels: int, *, conv: ConvolutionFactory
) -> list[Callable[[], nn.Module]]:
    """Return a builder for each of ``operations``, on (B, channels, H, W).

    ``conv`` is the factory of the convolution block, see :class:`nascence.spaces.NB201`.
    """

    def convolve(size: int) -> nn.Module:
        return Rectified(conv(channels, channels, kernel_size=size, stride=1, padding=size // 2))

    def separate() -> nn.Module:
        depthwise = nn.Conv2d(channels, channels, 3, padding=1, groups=channels, bias=False)
        return Rectified(nn.Sequential(depthwise, *convolution(channels, channels, kernel_size=1)))

    builders: dict[str, Callable[[], nn.Module]] = {
        "none": Zero,
        "skip_connect": nn.Identity,
        "nor_conv_1x1": partial(convolve, 1),
        "nor_conv_3x3": partial(convolve, 3),
        "sep_conv_3x3": separate,
        "avg_pool_3x3": partial(nn.AvgPool2d, 3, stride=1, padding=1, count_include_pad=False),
    }
    return [builders[operation] for operation in operations]


class Cell(nn.Module):
    """A graph of nodes, each the sum of what its incoming edges make of the earlier nodes.

    A node is a feature map (B, C, H, W); node 0 is the input, the last one the output.

    Args:
        modules: what stands at each edge and keeps the shape. :class:`Zero` contributes nothing,
            nor does a module that gives None; convolutions that read the same node as
            :class:`Rectified` share its ReLU.
        edges: source and target of each edge, by target.
    """

    def __init__(
        self, modules: Sequence[nn.Module], *, edges: Sequence[tuple[int, int]] = EDGES
    ) -> None:
        super().__init__()
        self.relu = nn.ReLU()
        self.edges = nn.ModuleDict()
        self.output = max(target for _, target in edges)
        self.incoming: dict[int, list[tuple[int, str, str]]] = {
            target: [] for target in range(1, self.output + 1)
        }
        for (source, target), module in zip(edges, modules, strict=True):
            if isinstance(module, Zero):
                continue
            name, reads = f"{source}_{target}", "value"
            if isinstance(module, Rectified):
                self.edges[name], reads = module.block, "rectified"
            elif type(module) is not nn.Identity:
                self.edges[name] = module
            self.incoming[target].append((source, name, reads))

    def forward(self, x: Tensor) -> Tensor:
        """Compute ``(B, C, H, W)`` to the same shape."""
        nodes = {0: x}
        rectified: dict[int, Tensor] = {}  # one ReLU for all the convolutions that read a node
        for target, incoming in self.incoming.items():
            terms = []
            for source, name, reads in incoming:
                value = nodes[source]
                if reads == "rectified":
                    if source not in rectified:
                        rectified[source] = self.relu(value)
                    value = rectified[source]
                terms.append(self.edges[name](value) if name in self.edges else value)
            terms = [term for term in terms if term is not None]
            if terms:
                nodes[target] = reduce(add, terms)
            elif target == self.output or self._is_read(target):
                nodes[target] = torch.zeros_like(x)
        return nodes[self.output]

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
        """Compute ``(B, C, H, W)`` to ``(B, D, H / 2, W / 2)``."""
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
