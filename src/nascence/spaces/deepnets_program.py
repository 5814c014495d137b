"""A network as a flat list of layers, from which both the module and the graph are made."""

from math import prod
from typing import Any, NamedTuple

from nascence.spaces.deepnets_genome import Cell, Genome

LARGE_IMAGE = 128  # pixels; from here on stems reduce as for ImageNet

Size = tuple[int, ...]  # (C, H, W) of a map, (N, C) of tokens, (C,) of a vector


class Layer(NamedTuple):
    """One layer: what it does, its name, the values it reads, its settings, its parameters.

    ``parameters`` are ``(suffix, shape, role)``; value 0 is the image, value k + 1 the result
    of layer k.
    """

    kind: str
    name: str
    inputs: tuple[int, ...]
    settings: tuple[Any, ...]
    parameters: tuple[tuple[str, Size, str], ...]
    size: Size
    macs: int


class Builder:
    """Collects layers; every method appends one and returns the index of its result."""

    def __init__(self, image_size: int, norm: str) -> None:
        self.layers: list[Layer] = []
        self.sizes: list[Size] = [(3, image_size, image_size)]
        self.norm = norm

    def _add(
        self,
        kind: str,
        name: str,
        inputs: tuple[int, ...],
        size: Size,
        settings: tuple[Any, ...] = (),
        parameters: tuple[tuple[str, Size, str], ...] = (),
        macs: int = 0,
    ) -> int:
        self.layers.append(Layer(kind, name, inputs, settings, parameters, size, macs))
        self.sizes.append(size)
        return len(self.layers)

    def conv(
        self,
        x: int,
        name: str,
        out: int,
        kernel: tuple[int, int],
        *,
        stride: int = 1,
        dilation: int = 1,
        groups: int = 1,
        padding: tuple[int, int] | None = None,
        bias: bool = False,
    ) -> int:
        """A convolution that keeps the size but for its stride."""
        c, *spatial = self.sizes[x]
        if padding is None:
            padding = tuple(dilation * (k - 1) // 2 for k in kernel)  # type: ignore[assignment]
        assert padding is not None
        height, width = (
            (s + 2 * p - dilation * (k - 1) - 1) // stride + 1
            for s, p, k in zip(spatial, padding, kernel, strict=True)
        )
        weight = (out, c // groups, *kernel)
        parameters: list[tuple[str, Size, str]] = [("weight", weight, "weight")]
        if bias:
            parameters.append(("bias", (out,), "bias"))
        macs = out * height * width * prod(weight[1:])
        settings = (c, out, kernel, stride, padding, dilation, groups, bias)
        return self._add(
            "conv", name, (x,), (out, height, width), settings, tuple(parameters), macs
        )

    def linear(self, x: int, name: str, out: int, *, bias: bool = True) -> int:
        """A linear layer on the last axis."""
        size = self.sizes[x]
        parameters: list[tuple[str, Size, str]] = [("weight", (out, size[-1]), "weight")]
        if bias:
            parameters.append(("bias", (out,), "bias"))
        shape = (*size[:-1], out)
        settings = (size[-1], out, bias)
        return self._add(
            "linear", name, (x,), shape, settings, tuple(parameters), prod(shape) * size[-1]
        )

    def normalise(self, x: int, name: str) -> int:
        """Batch normalisation, or nothing in a network without it."""
        if self.norm == "none":
            return x
        c = self.sizes[x][0]
        parameters = (("weight", (c,), "norm_weight"), ("bias", (c,), "norm_bias"))
        return self._add("bn", name, (x,), self.sizes[x], (c,), parameters)

    def layer_norm(self, x: int, name: str) -> int:
        """Layer normalisation of the last axis."""
        c = self.sizes[x][-1]
        parameters = (("weight", (c,), "norm_weight"), ("bias", (c,), "norm_bias"))
        return self._add("ln", name, (x,), self.sizes[x], (c,), parameters)

    def plain(self, kind: str, x: int, size: Size | None = None) -> int:
        """A layer without parameters or settings, which keeps the size unless one is given."""
        return self._add(kind, "", (x,), self.sizes[x] if size is None else size)

    def pool(self, kind: str, x: int, stride: int) -> int:
        """Pooling over 3x3 positions."""
        c, *spatial = self.sizes[x]
        size = (c, *((s - 1) // stride + 1 for s in spatial))
        return self._add(kind, "", (x,), size, (stride,))

    def join(self, kind: str, values: list[int]) -> int:
        """``sum`` or ``concat`` of several values; one value is itself."""
        if len(values) == 1:
            return values[0]
        size = self.sizes[values[0]]
        if kind == "concat":
            size = (sum(self.sizes[value][0] for value in values), *size[1:])
        return self._add(kind, "", tuple(values), size)

    def position(self, x: int, name: str) -> int:
        """A learned map that is added."""
        size = self.sizes[x]
        return self._add("pos_enc", name, (x,), size, size, (("grid", (1, *size), "position"),))

    # Operations of a cell

    def convolution(self, x: int, name: str, out: int, kernel: int, stride: int = 1) -> int:
        """ReLU, convolution, normalisation."""
        x = self.conv(self.plain("relu", x), f"{name}.conv", out, (kernel, kernel), stride=stride)
        return self.normalise(x, f"{name}.norm")

    def factorized(self, x: int, name: str, out: int) -> int:
        """Halve the map with two 1x1 convolutions of which the second is shifted: DARTS."""
        x = self.plain("relu", x)
        first = self.conv(x, f"{name}.conv_0", out // 2, (1, 1), stride=2)
        shifted = self.plain("shift", x)
        second = self.conv(shifted, f"{name}.conv_1", out - out // 2, (1, 1), stride=2)
        return self.normalise(self.join("concat", [first, second]), f"{name}.norm")

    def separable(self, x: int, name: str, kernel: int, stride: int, dilation: int) -> int:
        """Depthwise and pointwise convolution: twice for ``sep_conv``, once for ``dil_conv``."""
        for turn in range(2 if dilation == 1 else 1):
            c = self.sizes[x][0]
            x = self.plain("relu", x)
            x = self.conv(
                x,
                f"{name}.depthwise_{turn}",
                c,
                (kernel, kernel),
                stride=stride if turn == 0 else 1,
                dilation=dilation,
                groups=c,
            )
            x = self.conv(x, f"{name}.pointwise_{turn}", c, (1, 1))
            x = self.normalise(x, f"{name}.norm_{turn}")
        return x

    def subsample(self, x: int) -> int:
        """Every second position of a map."""
        c, *spatial = self.sizes[x]
        return self.plain("subsample", x, (c, *((s - 1) // 2 + 1 for s in spatial)))

    def squeeze_excite(self, x: int, name: str, stride: int) -> int:
        """A gate for every channel: Hu et al. (2018)."""
        c = self.sizes[x][0]
        gate = self.plain("glob_avg", x, (c, 1, 1))
        gate = self.conv(gate, f"{name}.squeeze", c // 2, (1, 1), bias=True)
        gate = self.conv(self.plain("relu", gate), f"{name}.excite", c, (1, 1), bias=True)
        x = self._add("cse", "", (x, gate), self.sizes[x])
        return self.subsample(x) if stride > 1 else x

    def attention(self, x: int, name: str) -> int:
        """A pre-norm transformer layer on the positions of a map: Dosovitskiy et al. (2021)."""
        c, height, width = self.sizes[x]
        count = height * width
        tokens = self.plain("tokens", x, (count, c))
        inner = self.layer_norm(tokens, f"{name}.norm_0")
        inner = self.linear(inner, f"{name}.qkv", 3 * c, bias=False)
        heads = next(h for h in (8, 4, 2, 1) if c % h == 0)
        macs = 2 * count * count * c
        inner = self._add("msa", "", (inner,), (count, c), (heads,), (), macs)
        inner = self.linear(inner, f"{name}.project", c)
        tokens = self.join("sum", [tokens, inner])
        inner = self.layer_norm(tokens, f"{name}.norm_1")
        inner = self.plain("gelu", self.linear(inner, f"{name}.expand", c))
        inner = self.linear(inner, f"{name}.contract", c)
        tokens = self.join("sum", [tokens, inner])
        return self._add("map", "", (tokens,), (c, height, width), (height, width))

    def operation(self, op: str, x: int, name: str, stride: int) -> int:
        """An edge of a cell, which keeps the channels."""
        c = self.sizes[x][0]
        if op in ("max_pool_3", "avg_pool_3"):
            return self.pool(op[:8], x, stride)
        if op == "skip":
            return x if stride == 1 else self.factorized(x, name, c)
        if op in ("sep_conv_3", "sep_conv_5", "dil_conv_3", "dil_conv_5"):
            return self.separable(x, name, int(op[-1]), stride, 2 if op[0] == "d" else 1)
        if op == "conv_7x1_1x7":
            x = self.conv(self.plain("relu", x), f"{name}.conv_0", c, (1, 7), stride=stride)
            return self.normalise(self.conv(x, f"{name}.conv_1", c, (7, 1)), f"{name}.norm")
        if op.startswith("conv_"):
            return self.convolution(x, name, c, int(op[-1]), stride)
        return self.attention(x, name) if op == "msa" else self.squeeze_excite(x, name, stride)


def _ancestors(layers: list[Layer], outputs: tuple[int, ...]) -> set[int]:
    """The values that ``outputs`` are computed from, and they themselves."""
    needed = set(outputs)
    for index in range(len(layers), 0, -1):
        if index in needed:
            needed.update(layers[index - 1].inputs)
    return needed


def live(layers: list[Layer], outputs: tuple[int, ...]) -> tuple[list[Layer], tuple[int, ...]]:
    """The layers that reach an output, with their inputs counted anew."""
    needed = _ancestors(layers, outputs)
    place = {0: 0}
    kept: list[Layer] = []
    for index, layer in enumerate(layers, 1):
        if index in needed:
            inputs = tuple(place[value] for value in layer.inputs)
            kept.append(layer._replace(inputs=inputs))
            place[index] = len(kept)
    return kept, tuple(place[value] for value in outputs)


def program(
    genome: Genome, *, channels: int, linear_width: int, classes: int, image_size: int
) -> list[Layer] | None:
    """All layers of a cell network, the last one its classifier; None where a cell is cut off."""
    b = Builder(image_size, genome.norm)
    before, last, halved = _stem(b, genome, channels)
    c = channels
    outputs = set()
    for cell in range(genome.cells):
        reduce = cell in (genome.cells // 3, 2 * genome.cells // 3)
        if reduce:
            c *= genome.channel_factor
        stride = 2 if reduce and genome.stem != "vit" else 1
        out = _cell(b, genome, cell, (before, last), c, stride, halved, reduce)
        if out is None:
            return None
        outputs.add(out)
        before, last, halved = last, out, stride == 2
    if not outputs <= _ancestors(b.layers, (last,)):
        return None
    x = b.plain("relu", last)
    c, height, width = b.sizes[x]
    if genome.global_pool:
        x = b.plain("glob_avg", x, (c, 1, 1))
        height = width = 1
    x = b.plain("flatten", x, (c * height * width,))
    for layer in range(genome.linear_layers - 1):
        x = b.plain("relu", b.linear(x, f"head.{layer}", linear_width))
    x = b.linear(x, "classifier", classes)
    return live(b.layers, (x,))[0]


def _stem(b: Builder, genome: Genome, channels: int) -> tuple[int, int, bool]:
    """The two values that the first cell reads, and whether the first is twice as large.

    Images of 128 pixels and more are reduced as ImageNet's, smaller ones as CIFAR's.
    """
    k, side = genome.stem_kernel, b.sizes[0][1]
    large = side >= LARGE_IMAGE
    if genome.stem == "vit":
        x = patches(b, channels)
        return x, x, False
    if genome.stem == "simple":
        width = channels if large or not genome.preprocess else 3 * channels
        x = b.conv(0, "stem.conv", width, (k, k), stride=4 if large else 1)
        x = b.normalise(x, "stem.norm")
        if genome.stem_pool:
            x = b.pool("max_pool", x, 2)
        return x, x, False
    stride = 2 if large else 1
    x = b.conv(0, "stem.conv_0", channels // 2, (k, k), stride=stride)
    x = b.plain("relu", b.normalise(x, "stem.norm_0"))
    x = b.conv(x, "stem.conv_1", channels, (3, 3), stride=stride)
    x = b.normalise(x, "stem.norm_1")
    return x, b.convolution(x, "stem.conv_2", channels, 3, 2), True


def patches(b: Builder, channels: int) -> int:
    """A vision transformer's stem: 11x11 patches of small images, 14x14 of 224 pixels."""
    side = b.sizes[0][1]
    patch = 16 if side >= LARGE_IMAGE else -(-side // 11)
    pad = (patch - 1) // 2 if patch < 4 else 0
    x = b.conv(0, "stem.conv", channels, (patch, patch), stride=patch, padding=(pad, pad))
    return b.position(x, "stem.position")


def _cell(
    b: Builder,
    genome: Genome,
    index: int,
    inputs: tuple[int, int],
    channels: int,
    stride: int,
    halved: bool,
    reduce: bool,
) -> int | None:
    """A cell's output, None where the operation "none" leaves nothing of it."""
    cell: Cell = genome.reduction if reduce else genome.normal
    name = f"cells.{index}"
    first, second = inputs
    if genome.preprocess:
        first = (
            b.factorized(first, f"{name}.first", channels)
            if halved
            else b.convolution(first, f"{name}.first", channels, 1)
        )
        second = b.convolution(second, f"{name}.second", channels, 1)
    elif halved:
        first = b.subsample(first)
    values: list[int | None] = [first, second]
    for step, edges in enumerate(cell.steps):
        found = [
            b.operation(op, source, f"{name}.steps.{step}.{side}", stride if x < 2 else 1)
            for side, (op, x) in enumerate(edges)
            if op != "none" and (source := values[x]) is not None
        ]
        values.append(b.join("sum", found) if found else None)
    joined = [values[2 + step] for step in cell.joined]
    there = next((value for value in joined if value is not None), None)
    if there is None:
        return None
    # a step without inputs is a map of zeros, which keeps the number of channels
    return b.join(
        "concat", [b.plain("zeros", there) if value is None else value for value in joined]
    )


def parameter_count(layers: list[Layer]) -> int:
    """Number of learnable values."""
    return sum(prod(shape) for layer in layers for _, shape, _ in layer.parameters)
