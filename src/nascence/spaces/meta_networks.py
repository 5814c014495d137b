"""Networks by number for meta-training, beside DeepNets-1M: of any space, and transformers."""

from random import Random

import torch
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

from nascence.core.randomness import stream
from nascence.graph import Graph, GraphError, trace
from nascence.spaces.decisions import Architecture
from nascence.spaces.deepnets_function import LayerFunction
from nascence.spaces.deepnets_network import graph_of
from nascence.spaces.deepnets_predefined import vit
from nascence.spaces.space import Costed, SearchSpace

_ATTEMPTS = 200
_DEPTHS, _WIDTHS = range(1, 9), (32, 64, 96)


class SpaceNetworks:
    """Random architectures of a search space: ``networks(k)`` follows from the space and ``k``.

    Args:
        space: The space, made for the images and classes of the meta-training.
        image_size: Side of the images in pixels.
        in_channels: Channels of the images.
        max_macs: Most multiply-adds for an image; networks with more are drawn again. Only a
            space that is :class:`nascence.spaces.Costed` takes a limit.

    Raises:
        ValueError: A limit for a space that does not count multiply-adds.
    """

    def __init__(
        self,
        space: SearchSpace,
        *,
        image_size: int,
        in_channels: int = 3,
        max_macs: int | None = None,
    ) -> None:
        if max_macs is not None and not isinstance(space, Costed):
            raise ValueError(f"{space.description} counts no multiply-adds; leave max_macs out")
        self.space, self.max_macs = space, max_macs
        self.shape = (1, in_channels, image_size, image_size)

    def __call__(self, index: int) -> tuple[Graph, nn.Module]:
        """Graph and network ``index``, whose module has shapes but no values.

        Raises:
            ValueError: No architecture is small enough, or none can be traced.
        """
        generator = stream(self.space.description, index)
        for _ in range(_ATTEMPTS):
            architecture = self.space.sample(generator=generator)
            if not self._is_small(architecture):
                continue
            with torch.device("meta"):
                network = self.space.build(architecture)
                try:
                    graph = trace(network, torch.zeros(self.shape))
                except GraphError:
                    continue  # of a cell whose output does not depend on its input, say
            for part in network.modules():
                if isinstance(part, _BatchNorm):  # in training the batch at hand is used alone
                    part.running_mean = part.running_var = part.num_batches_tracked = None
            return graph, network
        raise ValueError(
            f"none of {_ATTEMPTS} architectures of {self.space.description} can be trained on"
            + ("" if self.max_macs is None else f" within {self.max_macs:,} multiply-adds")
        )

    def _is_small(self, architecture: Architecture) -> bool:
        if self.max_macs is None or not isinstance(self.space, Costed):
            return True
        return self.space.macs(architecture, side=self.shape[-1]) <= self.max_macs


class VisionTransformers:
    """Vision transformers of 1 to 8 layers and 32 to 96 channels, smaller than the predefined one.

    Args:
        classes: Outputs.
        image_size: Side of the images in pixels.
    """

    def __init__(self, *, classes: int = 10, image_size: int = 32) -> None:
        self.classes, self.image_size = classes, image_size

    def __call__(self, index: int) -> tuple[Graph, LayerFunction]:
        """Graph and function of network ``index``."""
        random = Random(f"vision transformer {index}")
        layers = vit(
            classes=self.classes,
            image_size=self.image_size,
            layers=random.choice(_DEPTHS),
            channels=random.choice(_WIDTHS),
        )
        return graph_of(layers), LayerFunction(layers)
