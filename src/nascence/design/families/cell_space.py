"""The space of the family of cells, what its architectures cost, and how they are scored."""

import json
import math
import time
from collections.abc import Callable
from pathlib import Path

import torch
from torch import nn

from nascence.core.files import write_whole
from nascence.core.randomness import seeded
from nascence.data import Batch
from nascence.design import recipe
from nascence.graph import measure_latency
from nascence.metrics import naswot
from nascence.reparam import RepVGGBlock
from nascence.search import Limit, LimitError, Limits, MetricEvaluator
from nascence.spaces import NB201, Architecture, identity_convolution
from nascence.spaces.cell import EDGES, live_edges

PROBE = (
    "|nor_conv_3x3~0|+|none~0|nor_conv_3x3~1|+|skip_connect~0|none~1|nor_conv_3x3~2|"
    ";width=16;cells=1"
)
"""A plain residual network of the space, on which a machine's speed is measured."""
LEAST = PROBE.replace("width=16", f"width={min(recipe.WIDTHS)}")
"""The narrowest of its kind: what a slow machine or a short budget always allows."""
SMALLEST = (
    f"|none~0|+|none~0|none~1|+|skip_connect~0|none~1|none~2|;width={min(recipe.WIDTHS)};cells=1"
)
"""The fewest parameters and the shortest way from input to output that the space holds."""
CLOSED = "no more is measured"
"""Key in the file of latencies once measuring has taken all of its time."""

BLOCKS: dict[str, Callable[..., nn.Module]] = {
    "identity": identity_convolution,
    "repvgg": RepVGGBlock,
}


def space_of(block: str, *, classes: int, in_channels: int) -> NB201:
    """Make the space that is searched: cells of NAS-Bench-201 of free width and depth.

    Args:
        block: "identity", one convolution that starts near the identity, or "repvgg", three
            branches that are folded into one convolution after training.
        classes: Outputs of the networks.
        in_channels: Channels of the images.
    """
    return _space(BLOCKS[block], classes, in_channels)


def deployed_space_of(*, classes: int, in_channels: int) -> NB201:
    """Make the same space as it costs after folding: a block is one convolution with a bias."""
    return _space(nn.Conv2d, classes, in_channels)


def _space(conv: Callable[..., nn.Module], classes: int, in_channels: int) -> NB201:
    return NB201(
        classes=classes,
        in_channels=in_channels,
        width=recipe.WIDTHS,
        cells=recipe.CELLS,
        conv=conv,
    )


def is_connected(space: NB201, architecture: Architecture) -> bool:
    """Whether a path leads through the cell of the architecture."""
    return any(_live_operations(space, architecture))


def _live_operations(space: NB201, architecture: Architecture) -> list[str]:
    """The operations on the paths from the input of the cell to its output."""
    chosen = json.loads(space.to_json(architecture))
    operations = [chosen[f"edge_{source}_{target}"] for source, target in EDGES]
    live = live_edges(operations)
    return [each for each, is_live in zip(operations, live, strict=True) if is_live]


class Cost:
    """What an architecture costs once it is folded.

    Latencies are measured, and kept in a file, so that a resumed search decides as before.

    Args:
        space: The space as it costs after folding.
        block: Kind of block that is trained; see :func:`space_of`.
        side: Side of the images in pixels.
        in_channels: Channels of the images.
        measured: File of the latencies.
        seconds: That measuring latencies may take in all. After that, what was not measured counts
            as infinitely slow.
    """

    def __init__(
        self,
        space: NB201,
        *,
        block: str,
        side: int,
        in_channels: int,
        measured: Path,
        seconds: float = math.inf,
    ) -> None:
        self.space, self.block, self.side, self.in_channels = space, block, side, in_channels
        self._file, self._ends = measured, time.perf_counter() + seconds
        self._measured: dict[str, float] = {}
        if measured.exists():
            self._measured = json.loads(measured.read_text())

    def macs(self, architecture: Architecture) -> int:
        """Multiply-adds of the deployed network for one image."""
        return self.space.macs(architecture, side=self.side)

    def parameters(self, architecture: Architecture) -> int:
        """Parameters of the deployed network."""
        return self.space.parameters(architecture)

    def work(self, architecture: Architecture) -> float:
        """Cost of training on one image, in multiply-adds and what takes as long as one.

        Small networks wait for memory more than for arithmetic, so every value of every feature
        map that training writes counts as ``recipe.VALUE_COST`` multiply-adds.
        """
        chosen = json.loads(self.space.to_json(architecture))
        maps_of = recipe.MAPS[self.block]
        maps = sum(maps_of[each] for each in _live_operations(self.space, architecture))
        first = chosen["width"] * self.side**2  # values in a map of the first stage
        cells = chosen["cells"] * maps * first * (1 + 1 / 2 + 1 / 4)
        fixed = first * (recipe.STEM_MAPS + recipe.REDUCTION_MAPS * (1 / 2 + 1 / 4))
        return self.macs(architecture) + recipe.VALUE_COST * (cells + fixed)

    def latency_ms(self, architecture: Architecture) -> float:
        """Milliseconds for one image on the CPU of this machine, infinite once time is up."""
        name = self.space.format(architecture)
        if name in self._measured:
            return self._measured[name]
        if CLOSED in self._measured:
            return math.inf
        if time.perf_counter() > self._ends:
            # Kept as well: a resumed search must not measure what this one left out.
            self._keep(CLOSED, 1.0)
            return math.inf
        example = torch.zeros(1, self.in_channels, self.side, self.side)
        network = build(self.space, architecture, seed=0)
        return self._keep(name, 1e3 * measure_latency(network, example, repeats=15).median)

    def _keep(self, name: str, value: float) -> float:
        self._measured[name] = value
        write_whole(self._file, json.dumps(self._measured).encode())
        return value

    def limits(self, *, work: float, parameters: int | None, latency_ms: float | None) -> Limits:
        """The limits that are given, on the cost after folding.

        Raises:
            LimitError: Not even the smallest network of the space comes near one of them.
        """
        smallest = self.space.parse(SMALLEST)
        limits = [Limit("training work", self.work, work)]
        if parameters is not None:
            if (least := self.parameters(smallest)) > parameters:
                raise LimitError(
                    f"no network keeps to --max-params {parameters:,}: the smallest has {least:,} "
                    "parameters; raise the limit"
                )
            limits.append(Limit("parameters", self.parameters, parameters))
        cheap = Limits(*limits)
        if latency_ms is not None:
            # Half of it, since a busy machine measures up to twice too long.
            if (fastest := self.latency_ms(smallest)) / 2 > latency_ms:
                raise LimitError(
                    f"no network keeps to --max-latency-ms {latency_ms:g}: the smallest takes "
                    f"{fastest:.2g} ms for one image on this machine; raise the limit"
                )

            def latency(architecture: Architecture) -> float:
                # Measuring takes a tenth of a second: not where the network is too large anyway.
                return self.latency_ms(architecture) if cheap(architecture) else math.inf

            limits.append(Limit("latency_ms", latency, latency_ms))
        return Limits(*limits)


class Score:
    """Binary-code score per image plus the logarithm of the multiply-adds: higher is better.

    ln |det K| / N is the mean over the N images of the logarithm of how many activations tell an
    image from the others, so the two terms are of one kind. Together they rank better than either
    alone. Neither labels nor training are needed.

    Args:
        space: The space that is searched.
        cost: What its architectures cost.
        batch: Images ``(N, C, H, W)`` and their labels ``(N,)``.
        seed: Seed of the weights.
    """

    def __init__(self, space: NB201, cost: Cost, batch: Batch, *, seed: int) -> None:
        self._codes = MetricEvaluator(space, naswot, batch, seeds=(seed,))
        self._cost, self._images = cost, len(batch[0])
        self.description = f"{self._codes.description}, per image, plus ln(MACs)"

    def __call__(self, architecture: Architecture) -> float:
        """Score an architecture; minus infinity where it tells no two images apart."""
        macs = max(self._cost.macs(architecture), 1)
        return self._codes(architecture) / self._images + math.log(macs)


def build(space: NB201, architecture: Architecture, *, seed: int) -> nn.Module:
    """Build a network whose weights depend on the seed alone."""
    with seeded(seed):
        return space.build(architecture)
