"""The supernet of Once-for-All: every network is a slice of the largest one."""

import copy
from collections.abc import Sequence
from typing import Any, Self

import torch
from torch import Tensor, nn

from nascence.params import Params
from nascence.spaces.decisions import Architecture, Choices
from nascence.spaces.elastic_block import ElasticBlock
from nascence.spaces.elastic_network import Elastic, Place, assembled, resized
from nascence.supernets.weight_sharing import WeightSharing


class ElasticSuperNet(WeightSharing):
    """All networks of an elastic space in one, sliced out of the largest.

    Cai et al., "Once-for-All: Train One Network and Specialize it for Efficient Deployment",
    ICLR 2020, section 3.3. A network scales its images to its resolution, takes the first blocks
    of every stage and of each block the leading channels and the transformed centre of the kernel:
    see :class:`ElasticBlock`. ``supernet(images, architecture)`` computes it; the choice is an
    argument, and nothing of it stays.

    BatchNorm keeps running statistics, which the paths of a training share: give each network
    its own with ``recalibration=`` of :class:`nascence.supernets.OneShotEvaluator`.

    Args:
        space: the space to hold.

    Attributes:
        choices: for each decision the indices of the choices that it holds.
    """

    space: Elastic

    def __init__(self, space: Elastic) -> None:
        super().__init__()
        self.space, self.statistics = space, "tracked"
        self.choices = tuple(tuple(range(len(decision.choices))) for decision in space.decisions)

        def make(place: Place, *_: int) -> ElasticBlock:
            return ElasticBlock(place, kernels=space.kernels, expansions=space.expansions)

        largest = space.setting(space.largest)._replace(resolution=None)
        self.network = assembled(space.geometry, largest, make)
        for parameter in self.parameters():
            if parameter.ndim == 4:  # convolutions are faster so, also on a CPU
                parameter.data = parameter.data.to(memory_format=torch.channels_last)

    def forward(self, images: Tensor, choice: Architecture) -> Tensor:
        """Compute one network: ``(B, C, H, W)`` to ``(B, classes)``.

        Raises:
            ValueError: an architecture outside of the space or of what this supernet holds.
        """
        setting = self.space.setting(self.check(choice))
        x = images if setting.resolution is None else resized(images, setting.resolution)
        for name, module in self.network.named_children():
            if name != "stages":
                x = module(x)
                continue
            for blocks, chosen in zip(self._stages(), setting.stages, strict=True):
                for block, (kernel, expansion) in zip(blocks, chosen, strict=False):
                    x = block(x, kernel, expansion)
        return x

    def extract(self, architecture: Architecture) -> nn.Sequential:
        """Return one network on its own, named as ``space.build``, with copies of the weights."""
        setting = self.space.setting(self.check(architecture))
        tensors: Params = {
            name: value
            for name, value in self.network.state_dict(keep_vars=True).items()
            if not name.startswith("stages.")
        }
        for stage, (blocks, chosen) in enumerate(zip(self._stages(), setting.stages, strict=True)):
            for number, (block, pair) in enumerate(zip(blocks, chosen, strict=False)):
                start = f"stages.{stage}.{number}.residual"
                tensors |= {f"{start}.{name}": each for name, each in block.sliced(*pair).items()}
        with torch.device("meta"):  # nothing is initialised: what is built here takes our tensors
            network = self.space.build(architecture)
        copies = {name: value.detach().clone() for name, value in tensors.items()}
        network.load_state_dict(copies, assign=True)
        return network.train(self.training)

    def restrict(self, choices: Sequence[Sequence[int]]) -> Self:
        """Return a copy that holds only these choices; see :class:`WeightSharing`.

        The copy keeps all weights, also those that none of its networks uses.
        """
        kept = self._kept(choices)
        memo: dict[int, Any] = {id(self.space): self.space}
        part = copy.deepcopy(self, memo)
        part.choices = kept
        return part

    def sorted_channels(self, trained: Choices | None = None) -> Self:
        """Return a copy whose hidden channels are sorted, greatest L1 norm first.

        Section 3.3 of the paper, before smaller expansions are trained. Networks of ``trained``
        choices compute what they did: their channels stay among them. None stands for the largest
        choice held of every decision.
        """
        trained = self._kept(trained or [held[-1:] for held in self.choices])
        chosen = {
            decision.name: tuple(decision.choices[index] for index in indices)
            for decision, indices in zip(self.space.decisions, trained, strict=True)
        }
        copied = self.restrict(self.choices)
        for stage, blocks in enumerate(copied._stages(), 1):
            for number, block in enumerate(blocks, 1):
                expansions = chosen[f"stage_{stage}_block_{number}_expansion"]
                block.sort_channels_(tuple(int(each) for each in expansions))
        return copied

    def shared_parameters(self, decision: str) -> list[nn.Parameter]:
        """Return all parameters: none belongs to a single choice."""
        return list(self.parameters())

    def _stages(self) -> list[list[ElasticBlock]]:
        stages = self.network.get_submodule("stages").children()
        return [
            [block for block in stage.children() if isinstance(block, ElasticBlock)]
            for stage in stages
        ]
