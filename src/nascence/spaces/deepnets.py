"""DeepNets-1M: a million random networks, made on demand.

Knyazev, Drozdzal, Taylor and Romero-Soriano (2021), "Parameter Prediction for Unseen Deep
Architectures". Network ``k`` of a split follows from the split's name and ``k`` alone, so no
file is stored and none is read in order.
"""

from random import Random
from typing import NamedTuple

import torch

from nascence.core.randomness import drawn_seed, seeded
from nascence.graph import Graph
from nascence.spaces.deepnets_function import LayerFunction
from nascence.spaces.deepnets_genome import Genome, Ranges, draw, pick
from nascence.spaces.deepnets_network import LayerNetwork, graph_of
from nascence.spaces.deepnets_predefined import resnet50, vit
from nascence.spaces.deepnets_program import Layer, parameter_count, program

SPLITS = {
    "train": 1_000_000,
    "search": 100_000,
    "val": 500,
    "test": 500,
    "wide": 100,
    "deep": 100,
    "dense": 100,
    "bn-free": 100,
    "predefined": 2,
}
_RANGES = {
    "search": Ranges((6, 20), (1, 3, 6), (10,), "bn", unprocessed=(0.2, 0.8)),
    "deep": Ranges(cells=(10, 36), thresholds=(18,)),
    "dense": Ranges(steps=(2, 6, 10)),
    "bn-free": Ranges(norm="none"),
}
_WIDTHS = tuple(range(32, 129, 16))
_LINEAR_WIDTHS = tuple(range(64, 513, 64))
_LARGEST = {"deep": 100_000_000, "dense": 100_000_000}  # parameters at width 32; else 10 million
_EVALUATED = 2_500_000


class Network(NamedTuple):
    """A genome with its widths."""

    genome: Genome
    channels: int
    linear_width: int


class DeepNets:
    """One split: ``len()``, ``graph(k)``, ``network(k)``, and both as ``split[k]``.

    ``cells`` and ``channels`` restrict the training split to smaller networks: the range of
    cells, and the widths to choose from. ``max_macs`` leaves out networks that cost more
    multiply-adds for an image. ``norm`` "bn" or "none" gives every network of the training split
    batch normalisation or none; if not given, some shallow ones go without.

    Raises:
        ValueError: the split is unknown, ``image_size`` below 8, or the split takes no such
            setting.
    """

    def __init__(
        self,
        split: str = "train",
        *,
        classes: int = 10,
        image_size: int = 32,
        cells: tuple[int, int] | None = None,
        channels: tuple[int, ...] | None = None,
        max_macs: int | None = None,
        norm: str | None = None,
    ) -> None:
        if split not in SPLITS:
            raise ValueError(f"split is {split!r}; it must be one of {', '.join(SPLITS)}")
        if image_size < 8:
            raise ValueError(f"image_size is {image_size}; it must be at least 8")
        if split == "predefined" and (cells or channels or max_macs):
            raise ValueError("the predefined networks have no cells, channels or max_macs")
        self.split, self.classes, self.image_size = split, classes, image_size
        ranges = _RANGES.get(split, Ranges())
        if norm is not None:
            if split != "train" or norm not in ("bn", "none"):
                raise ValueError(
                    f"norm is {norm!r} with split {split!r}; the training split takes bn or none"
                )
            ranges = ranges._replace(norm=norm)
        self.ranges = ranges if cells is None else ranges._replace(cells=cells)
        self.channels = channels
        self.max_macs = max_macs

    def __len__(self) -> int:
        return SPLITS[self.split]

    def __getitem__(self, index: int) -> tuple[Graph, LayerNetwork]:
        """The graph and the module of network ``index``, the same values every time."""
        layers = self.layers(index)
        with seeded(index):
            return graph_of(layers), LayerNetwork(layers)

    def graph(self, index: int) -> Graph:
        """The graph of network ``index``, without building it."""
        return graph_of(self.layers(index))

    def network(self, index: int, *, generator: torch.Generator | None = None) -> LayerNetwork:
        """The module of network ``index`` with PyTorch's initial values.

        They are drawn from ``generator``'s seed, or from the global one without it.
        """
        layers = self.layers(index)
        if generator is None:
            return LayerNetwork(layers)
        seed = drawn_seed(generator, bits=31)
        with seeded(seed):
            return LayerNetwork(layers)

    def skeleton(self, index: int) -> tuple[Graph, LayerFunction]:
        """Graph and function for meta-training: no modules, no values, no statistics.

        The function takes parameters and images, and normalises with the batch at hand.
        """
        layers = self.layers(index)
        return graph_of(layers), LayerFunction(layers)

    def layers(self, index: int) -> list[Layer]:
        """The layers of network ``index``.

        Raises:
            IndexError: there is no such network.
        """
        if not 0 <= index < len(self):
            raise IndexError(f"network {index}: split {self.split!r} has 0 to {len(self) - 1}")
        if self.split == "predefined":
            make = (resnet50, vit)[index]
            return make(classes=self.classes, image_size=self.image_size)
        random = Random(f"deepnets {self.split} {index}")
        while True:
            genome = draw(random, self.ranges)
            if genome is None:
                continue
            layers = self._sized(random, genome)
            if layers is None:
                continue
            if self.max_macs is None or sum(layer.macs for layer in layers) <= self.max_macs:
                return layers

    def _program(
        self, genome: Genome, channels: int, linear_width: int, image_size: int | None = None
    ) -> list[Layer] | None:
        return program(
            genome,
            channels=channels,
            linear_width=linear_width,
            classes=self.classes,
            image_size=image_size or self.image_size,
        )

    def _sized(self, random: Random, genome: Genome) -> list[Layer] | None:
        """The layers at the width that the split gives; None if too large or disconnected."""
        limit = _LARGEST.get(self.split, 10_000_000)
        narrow = self._program(genome, 32, 256)
        if narrow is None or parameter_count(narrow) > limit:
            return None
        if not genome.global_pool:  # what is flattened grows with the image
            large = self._program(genome, 32, 256, 224)
            if large is None or parameter_count(large) > limit:
                return None
        if self.split in ("train", "search") or self.channels is not None:
            return self._program(genome, *self._widths(random, genome, parameter_count(narrow)))
        linear_width = pick(random, _LINEAR_WIDTHS)
        channels, layers = 32, self._program(genome, 32, linear_width)
        while layers is not None and (count := parameter_count(layers)) < _EVALUATED:
            # parameters grow with the square of the width; never past the smallest that fits
            growth = (_EVALUATED / count) ** 0.5
            channels += 16 * max(1, int(channels * (growth - 1) / 16 * 0.9))
            layers = self._program(genome, channels, linear_width)
        return self._program(genome, 4 * channels, linear_width) if self.split == "wide" else layers

    def _widths(self, random: Random, genome: Genome, count: int) -> tuple[int, int]:
        """Channels and linear width for training: the more parameters and cells, the narrower."""
        widths = self.channels or _WIDTHS
        ops = {op for cell in genome[1:3] for step in cell.steps for op, _ in step}
        heavy = not genome.global_pool or bool(ops & {"conv_5", "conv_7"})
        if count > 800_000 or heavy or genome.cells > 12:
            choices = 1
        elif count > 400_000 or genome.cells > 10:
            choices = 2
        elif count > 200_000 or genome.cells > 8:
            choices = 3
        else:
            choices = len(widths)
        channels = pick(random, widths[:choices])
        wide = choices == len(_WIDTHS) and channels <= 64
        return channels, pick(random, _LINEAR_WIDTHS if wide else _LINEAR_WIDTHS[:4])
