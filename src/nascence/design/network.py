"""The networks of a run: the space they come from, the limits they keep, how they are read back."""

import json
import math
from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor, nn

from nascence.core.randomness import seeded
from nascence.data import Batch, Dataset
from nascence.design import mdeq_family, recipe
from nascence.design.folder import RunError
from nascence.export import read_metadata
from nascence.graph import measure_latency
from nascence.metrics import naswot
from nascence.models import resnet_of_macs
from nascence.params import CheckpointError, write_whole
from nascence.reparam import RepVGGBlock, fold
from nascence.search import Limit, Limits, MetricEvaluator
from nascence.spaces import NB201, Architecture, identity_convolution
from nascence.spaces.cell import EDGES, live_edges

PROBE = (
    "|nor_conv_3x3~0|+|none~0|nor_conv_3x3~1|+|skip_connect~0|none~1|nor_conv_3x3~2|"
    ";width=16;cells=1"
)
"""A plain residual network of the space, on which a machine's speed is measured."""
LEAST = PROBE.replace("width=16", f"width={min(recipe.WIDTHS)}")
"""The narrowest of its kind: what a slow machine or a short budget always allows."""


BLOCKS: dict[str, Callable[..., nn.Module]] = {
    "identity": identity_convolution,
    "repvgg": RepVGGBlock,
}


def space_of(block: str, *, classes: int, in_channels: int) -> NB201:
    """The space that is searched: cells of NAS-Bench-201 of free width and depth.

    ``block`` is "identity", one convolution that starts near the identity, or "repvgg", three
    branches that are folded into one convolution after training.
    """
    return NB201(
        classes=classes,
        in_channels=in_channels,
        width=recipe.WIDTHS,
        cells=recipe.CELLS,
        conv=BLOCKS[block],
    )


def deployed_space_of(*, classes: int, in_channels: int) -> NB201:
    """The same space as it costs after folding: a block is one convolution with a bias."""
    return NB201(
        classes=classes,
        in_channels=in_channels,
        width=recipe.WIDTHS,
        cells=recipe.CELLS,
        conv=nn.Conv2d,
    )


class Cost:
    """What an architecture costs once it is folded.

    Latencies are measured, and kept in the file ``measured``, so that a resumed search decides
    as before. ``side`` is that of the images in pixels.
    """

    def __init__(
        self, space: NB201, *, block: str, side: int, in_channels: int, measured: Path
    ) -> None:
        self.space, self.block, self.side, self.in_channels = space, block, side, in_channels
        self._file = measured
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
        operations = tuple(chosen[f"edge_{source}_{target}"] for source, target in EDGES)
        live = live_edges(operations)
        maps_of = recipe.MAPS[self.block]
        maps = sum(
            maps_of[operation]
            for operation, is_live in zip(operations, live, strict=True)
            if is_live
        )
        first = chosen["width"] * self.side**2  # values in a map of the first stage
        cells = chosen["cells"] * maps * first * (1 + 1 / 2 + 1 / 4)
        fixed = first * (recipe.STEM_MAPS + recipe.REDUCTION_MAPS * (1 / 2 + 1 / 4))
        return self.macs(architecture) + recipe.VALUE_COST * (cells + fixed)

    def latency_ms(self, architecture: Architecture) -> float:
        """Milliseconds for one image on the CPU of this machine."""
        name = self.space.format(architecture)
        if name not in self._measured:
            example = torch.zeros(1, self.in_channels, self.side, self.side)
            network = build(self.space, architecture, seed=0)
            self._measured[name] = 1e3 * measure_latency(network, example, repeats=15).median
            write_whole(self._file, json.dumps(self._measured).encode())
        return self._measured[name]

    def limits(self, *, work: float, parameters: int | None, latency_ms: float | None) -> Limits:
        """The limits that are given, on the cost after folding."""
        limits = [Limit("training work", self.work, work)]
        if parameters is not None:
            limits.append(Limit("parameters", self.parameters, parameters))
        cheap = Limits(*limits)
        if latency_ms is not None:

            def latency(architecture: Architecture) -> float:
                # Measuring takes a tenth of a second: not where the network is too large anyway.
                return self.latency_ms(architecture) if cheap(architecture) else math.inf

            limits.append(Limit("latency_ms", latency, latency_ms))
        return Limits(*limits)


class Score:
    """Binary-code score per image plus the logarithm of the multiply-adds: higher is better.

    ln |det K| / N is a mean over the N images of logarithms of how many activations tell an
    image from the others, so that the two terms are of one kind. Together they rank better than
    either alone. No label and no training is needed.
    """

    def __init__(self, space: NB201, cost: Cost, batch: Batch, *, seed: int) -> None:
        self._codes = MetricEvaluator(space, naswot, batch, seeds=(seed,))
        self._cost, self._images = cost, len(batch[0])
        self.description = f"{self._codes.description}, per image, plus ln(MACs)"

    def __call__(self, architecture: Architecture) -> float:
        macs = max(self._cost.macs(architecture), 1)
        return self._codes(architecture) / self._images + math.log(macs)


def build(space: NB201, architecture: Architecture, *, seed: int) -> nn.Module:
    """Build a network with weights that depend on the seed alone."""
    with seeded(seed):
        return space.build(architecture)


def baseline(macs: int, *, classes: int, image_shape: tuple[int, int, int], seed: int) -> nn.Module:
    """A residual network of the CIFAR family (He et al. 2016) of about ``macs`` multiply-adds."""
    with seeded(seed):
        return resnet_of_macs(macs, classes=classes, image_shape=image_shape)


def fold_network(model: nn.Module, images: Tensor) -> nn.Module:
    """Fold a trained network, checked on normalised images (N, C, H, W)."""
    return fold(model.eval(), images)


def check_images(data: Dataset) -> Tensor:
    """A few normalised validation images, on which folding is checked."""
    return data.normalise(data.validation.images[:8])


def load_trained(path: Path) -> nn.Module:
    """The trained network of a run, its branches still there, from its safetensors file."""
    metadata = read_metadata(path)
    if metadata.get("family") == "mdeq":
        return load_state(mdeq_family.load(metadata), path).eval()
    space = space_of(
        metadata["block"],
        classes=len(json.loads(metadata["classes"])),
        in_channels=json.loads(metadata["image_shape"])[0],
    )
    model = space.build(space.from_json(metadata["architecture"]))
    return load_state(model, path).eval()


def load_baseline(path: Path) -> nn.Module:
    """The trained baseline of a run."""
    metadata = read_metadata(path)
    model = baseline(
        int(metadata["macs"]),
        classes=len(json.loads(metadata["classes"])),
        image_shape=tuple(json.loads(metadata["image_shape"])),
        seed=0,
    )
    return load_state(model, path).eval()


def load_folded(run: str | Path) -> nn.Module:
    """The folded network of a run.

    Raises RunError where the run has not come so far and CheckpointError for a damaged file.
    """
    run = Path(run)
    trained, folded = run / "checkpoints" / "trained.safetensors", run / "model.safetensors"
    if not (trained.exists() and folded.exists()):
        raise RunError(f"{run} has no folded network yet; `nascence resume {run}` finishes it")
    shape = json.loads(read_metadata(folded)["image_shape"])
    model = fold_network(load_trained(trained), torch.zeros(1, *shape))
    return load_state(model, folded).eval()


def load_state(model: nn.Module, path: Path) -> nn.Module:
    """Fill a freshly built network from a safetensors file; return it."""
    from safetensors import SafetensorError
    from safetensors.torch import load_model

    try:
        load_model(model, str(path))
    except (SafetensorError, RuntimeError, OSError) as error:
        reason = str(error).strip().splitlines()[0]
        raise CheckpointError(f"{path} does not hold this network's weights ({reason})") from error
    return model
