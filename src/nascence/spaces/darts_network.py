"""The DARTS network as a module: two kinds of cells of seven nodes in the NASNet skeleton.

Liu, Simonyan and Yang, "DARTS: Differentiable Architecture Search", ICLR 2019, sections 2.1 and 3;
Zoph et al., "Learning Transferable Architectures for Scalable Image Recognition", CVPR 2018.
"""

from collections.abc import Callable, Iterator
from functools import partial, reduce
from operator import add
from typing import NamedTuple

import torch
from torch import Tensor, nn

from nascence.spaces.additive import Cost, total
from nascence.spaces.darts_genotype import NODES, OPERATIONS
from nascence.spaces.depthwise import DilatedSeparable
from nascence.spaces.space import Choose, Zero

EDGES = tuple((source, node) for node in NODES for source in range(node))
KINDS = ("normal", "reduce")


class Place(NamedTuple):
    """One cell of the skeleton: its kind, the channels of its two inputs and of its nodes.

    ``halved``: the first input has twice the side of the second.
    """

    kind: str
    first: int
    second: int
    channels: int
    halved: bool


def places(*, width: int, cells: int, stem: str) -> Iterator[Place]:
    """The cells in order; reductions, with twice the channels, at one and two thirds."""
    first = second = 3 * width if stem == "cifar" else width
    channels, halved = width, stem != "cifar"
    for number in range(cells):
        kind = "reduce" if number in (cells // 3, 2 * cells // 3) else "normal"
        channels *= 2 if kind == "reduce" else 1
        yield Place(kind, first, second, channels, halved)
        first, second, halved = second, len(NODES) * channels, kind == "reduce"


class StridedZero(Zero):
    """``none``: zeros, ``(B, C, H, W)`` to ``(B, C, ceil(H / stride), ceil(W / stride))``."""

    def __init__(self, stride: int) -> None:
        super().__init__()
        self.stride = stride

    def forward(self, x: Tensor) -> Tensor:
        """Return zeros for ``(B, C, H, W)``."""
        return super().forward(x[:, :, :: self.stride, :: self.stride])


class FactorizedReduce(nn.Module):
    """Two 1x1 convolutions at stride 2, one pixel apart, each giving half of the channels.

    ``(B, in_channels, H, W)`` to ``(B, out_channels, H / 2, W / 2)``; H and W must be even.
    """

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__()
        self.relu = nn.ReLU()
        half = out_channels // 2
        self.even = nn.Conv2d(in_channels, half, 1, stride=2, bias=False)
        self.odd = nn.Conv2d(in_channels, out_channels - half, 1, stride=2, bias=False)
        self.norm = nn.BatchNorm2d(out_channels)

    def forward(self, x: Tensor) -> Tensor:
        """Compute ``(B, C, H, W)`` to ``(B, D, H / 2, W / 2)``."""
        x = self.relu(x)
        return self.norm(torch.cat((self.even(x), self.odd(x[:, :, 1:, 1:])), dim=1))


class DropPath(nn.Module):
    """In training, drop a whole image's tensor with ``probability`` and scale up the others.

    Larsson, Maire and Shakhnarovich, "FractalNet", ICLR 2017.
    """

    def __init__(self, probability: float) -> None:
        super().__init__()
        self.probability = probability

    def forward(self, x: Tensor) -> Tensor:
        """Return ``(B, C, H, W)``, in training with some images zero."""
        if not self.training or self.probability == 0:
            return x
        kept = 1 - self.probability
        return x * (x.new_empty(len(x), 1, 1, 1).bernoulli_(kept) / kept)


def set_drop_path_(model: nn.Module, probability: float) -> None:
    """Set the probability of every drop path: the published one grows linearly in training."""
    for module in model.modules():
        if isinstance(module, DropPath):
            module.probability = probability


def _separable(channels: int, kernel: int, *, stride: int = 1, dilation: int = 1) -> list:
    depthwise = nn.Conv2d(
        channels,
        channels,
        kernel,
        stride,
        dilation * (kernel // 2),
        dilation,
        groups=channels,
        bias=False,
    )
    pointwise = nn.Conv2d(channels, channels, 1, bias=False)
    return [nn.ReLU(), depthwise, pointwise, nn.BatchNorm2d(channels)]


def _pooling(pool: nn.Module, channels: int, norm: bool) -> nn.Module:
    return nn.Sequential(pool, nn.BatchNorm2d(channels, affine=False)) if norm else pool


def operation(name: str, channels: int, stride: int, *, pool_norm: bool = False) -> nn.Module:
    """Build one of ``OPERATIONS`` for ``(B, channels, H, W)`` with stride 1 or 2."""
    kind, _, size = name.rpartition("_")
    kernel = int(size[0]) if size[0].isdigit() else 0
    if name == "none":
        return StridedZero(stride)
    if name == "skip_connect":
        return nn.Identity() if stride == 1 else FactorizedReduce(channels, channels)
    if kind == "max_pool":
        return _pooling(nn.MaxPool2d(kernel, stride, kernel // 2), channels, pool_norm)
    if kind == "avg_pool":
        pool = nn.AvgPool2d(kernel, stride, kernel // 2, count_include_pad=False)
        return _pooling(pool, channels, pool_norm)
    if kind == "dil_conv":
        return DilatedSeparable(*_separable(channels, kernel, stride=stride, dilation=2))
    return nn.Sequential(
        *_separable(channels, kernel, stride=stride), *_separable(channels, kernel)
    )


def operation_cost(name: str, channels: int, stride: int, out: int) -> Cost:
    """Cost of :func:`operation`, its output of ``out`` pixels a side."""
    kind, _, size = name.rpartition("_")
    if name == "skip_connect" and stride == 2:
        return pointwise_cost(channels, channels, out)
    if kind not in ("sep_conv", "dil_conv"):
        return Cost(0, 0)
    weights = int(size[0]) ** 2 * channels + channels**2
    times = 2 if kind == "sep_conv" else 1
    return Cost(times * (weights + 2 * channels), times * weights * out**2)


def pointwise_cost(in_channels: int, out_channels: int, out: int) -> Cost:
    """Cost of a 1x1 convolution, or of a factorised reduction, with BatchNorm."""
    weights = in_channels * out_channels
    return Cost(weights + 2 * out_channels, weights * out**2)


class Cell(nn.Module):
    """Four nodes, each the sum of what its incoming edges make of the inputs and earlier nodes.

    Two inputs ``(B, first, H or 2 H, W or 2 W)`` and ``(B, second, H, W)`` to their concatenation,
    ``(B, 4 channels, H, W)`` or in a reduction ``(B, 4 channels, H / 2, W / 2)``. An edge that
    gives None contributes nothing.
    """

    def __init__(self, place: Place, choose: Choose, *, drop_path: float, pool_norm: bool) -> None:
        super().__init__()
        kind, first, second, channels, halved = place
        self.first = FactorizedReduce(first, channels) if halved else _reader(first, channels)
        self.second = _reader(second, channels)
        self.drop = DropPath(drop_path)
        self.edges = nn.ModuleDict()
        self.incoming: dict[int, list[int]] = {node: [] for node in NODES}
        for source, node in EDGES:
            stride = 2 if kind == "reduce" and source < 2 else 1
            builders: list[Callable[[], nn.Module]] = [
                partial(operation, name, channels, stride, pool_norm=pool_norm)
                for name in OPERATIONS
            ]
            chosen = choose(f"{kind}_{source}_{node}", builders)
            if not isinstance(chosen, Zero):
                self.edges[f"{source}_{node}"] = chosen
                self.incoming[node].append(source)

    def forward(self, first: Tensor, second: Tensor) -> Tensor:
        """Compute the two inputs to ``(B, 4 channels, H, W)``, in a reduction half the sides."""
        states = [self.first(first), self.second(second)]
        for node, sources in self.incoming.items():
            terms = []
            for source in sources:
                edge = self.edges[f"{source}_{node}"]
                value = edge(states[source])
                if value is not None:
                    terms.append(value if isinstance(edge, nn.Identity) else self.drop(value))
            states.append(reduce(add, terms))
        return torch.cat(states[2:], dim=1)


def _reader(in_channels: int, channels: int) -> nn.Sequential:
    convolution = nn.Conv2d(in_channels, channels, 1, bias=False)
    return nn.Sequential(nn.ReLU(), convolution, nn.BatchNorm2d(channels))


def _stem_part(in_channels: int, channels: int, stride: int) -> list[nn.Module]:
    convolution = nn.Conv2d(in_channels, channels, 3, stride, 1, bias=False)
    return [convolution, nn.BatchNorm2d(channels)]


class AuxiliaryHead(nn.Module):
    """Second classifier for training, ``(B, channels, H, W)`` to ``(B, classes)``.

    Published for H = W = 8 (CIFAR) and 14 (ImageNet, whose head lacks the last BatchNorm); needs
    at least 8 and 7, and averages where more than one position is left.
    """

    def __init__(self, channels: int, classes: int, *, stem: str) -> None:
        super().__init__()
        small = stem == "cifar"
        self.least = 8 if small else 7
        self.features = nn.Sequential(
            nn.ReLU(),
            nn.AvgPool2d(5, stride=3 if small else 2),
            nn.Conv2d(channels, 128, 1, bias=False),
            nn.BatchNorm2d(128),
            nn.ReLU(inplace=True),
            nn.Conv2d(128, 768, 2, bias=False),
            *([nn.BatchNorm2d(768)] if small else []),
            nn.ReLU(inplace=True),
        )
        self.classifier = nn.Linear(768, classes)

    def forward(self, x: Tensor) -> Tensor:
        """Compute ``(B, C, H, W)`` to ``(B, classes)``; ``ValueError`` for smaller images."""
        if min(x.shape[2:]) < self.least:
            raise ValueError(
                f"the auxiliary head got {tuple(x.shape[2:])} pixels and needs {self.least} a "
                f"side, images of {4 * self.least if self.least == 8 else 16 * self.least}; build "
                "the space with auxiliary=False for smaller ones"
            )
        return self.classifier(self.features(x).mean((2, 3)))


class CellNetwork(nn.Module):
    """Stem, cells, global average and classifier: ``(B, in_channels, H, W)`` to ``(B, classes)``.

    With ``auxiliary``, training gives the pair of the classifier's and the auxiliary head's
    outputs. For the arguments see :class:`nascence.spaces.Darts`.
    """

    def __init__(
        self,
        choose: Choose,
        *,
        classes: int,
        in_channels: int,
        width: int,
        cells: int,
        stem: str,
        auxiliary: bool,
        drop_path: float,
        pool_norm: bool,
    ) -> None:
        super().__init__()
        if stem == "cifar":
            self.stem = nn.Sequential(*_stem_part(in_channels, 3 * width, 1))
            self.second_stem: nn.Module = nn.Identity()
        else:
            half = _stem_part(in_channels, width // 2, 2)
            self.stem = nn.Sequential(*half, nn.ReLU(), *_stem_part(width // 2, width, 2))
            self.second_stem = nn.Sequential(nn.ReLU(), *_stem_part(width, width, 2))
        self.cells = nn.ModuleList(
            Cell(place, choose, drop_path=drop_path, pool_norm=pool_norm)
            for place in places(width=width, cells=cells, stem=stem)
        )
        channels = 4 * width * len(NODES)  # after both reductions
        self.branches = 2 * cells // 3
        self.auxiliary = AuxiliaryHead(channels, classes, stem=stem) if auxiliary else None
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.classifier = nn.Linear(channels, classes)

    def forward(self, images: Tensor) -> Tensor | tuple[Tensor, Tensor]:
        """Compute ``(B, C, H, W)`` to ``(B, classes)``, or the pair that the class tells of."""
        first = self.stem(images)
        second, auxiliary = self.second_stem(first), None
        for number, cell in enumerate(self.cells):
            first, second = second, cell(first, second)
            if number == self.branches and self.auxiliary is not None and self.training:
                auxiliary = self.auxiliary(second)
        logits = self.classifier(self.pool(second).flatten(1))
        return logits if auxiliary is None else (logits, auxiliary)


def fixed_cost(
    *, classes: int, in_channels: int, width: int, cells: int, stem: str, auxiliary: bool, side: int
) -> Cost:
    """Cost of everything but the edges, at images of ``side``; no work for the auxiliary head."""

    def convolution(before: int, after: int, out: int) -> Cost:
        return Cost(9 * before * after + 2 * after, 9 * before * after * out**2)

    if stem == "cifar":
        costs = [convolution(in_channels, 3 * width, side)]
    else:
        steps = ((in_channels, width // 2), (width // 2, width), (width, width))
        costs = [convolution(*step, side // 2**k) for k, step in enumerate(steps, start=1)]
        side //= 8
    for kind, first, second, channels, _ in places(width=width, cells=cells, stem=stem):
        costs += [pointwise_cost(first, channels, side), pointwise_cost(second, channels, side)]
        side //= 2 if kind == "reduce" else 1
    channels = 4 * width * len(NODES)
    costs.append(Cost((channels + 1) * classes, channels * classes))
    if auxiliary:
        norms = 2 * 128 + (2 * 768 if stem == "cifar" else 0)
        costs.append(Cost(128 * channels + 4 * 128 * 768 + norms + 769 * classes, 0))
    return total(costs)
