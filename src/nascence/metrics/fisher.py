"""Score by the loss's sensitivity to the removal of channels."""

from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from nascence.metrics.metric import Batch, unwrapped
from nascence.metrics.passes import FunctionMode, cross_entropy, free_parameters, gradients, run

# Functions that apply a weight, their second argument; and in which of its dimensions the output
# channels lie.
_CONVOLUTIONS = {F.conv1d: 0, F.conv2d: 0, F.conv3d: 0}
_TRANSPOSED = {F.conv_transpose1d: 1, F.conv_transpose2d: 1, F.conv_transpose3d: 1}


class _ChannelGates(FunctionMode):
    """While active, multiplies every output channel of every layer by a one, image by image.

    The slope of the loss with respect to that one is ``sum a dL/da`` over the channel.
    """

    def __init__(self) -> None:
        super().__init__()
        self.gates: dict[str, Tensor] = {}
        self.fan_ins: list[int] = []

    def call(self, func: Callable[..., Any], args: tuple, kwargs: dict[str, Any]) -> Any:
        output = func(*args, **kwargs)
        spatial = func in _CONVOLUTIONS or func in _TRANSPOSED
        if not spatial and func is not F.linear:
            return output
        weight = args[1] if len(args) > 1 else kwargs["weight"]
        channel = 1 if spatial else output.dim() - 1
        shape = [1] * output.dim()
        shape[0], shape[channel] = output.shape[0], output.shape[channel]
        gate = output.new_ones(shape, requires_grad=True)
        self.gates[f"layer {len(self.gates)}"] = gate
        self.fan_ins.append(weight.numel() // output.shape[channel])
        return output * gate


def fisher(model: nn.Module, batch: Batch) -> float:
    """Return the sum over channels of ``1/2 mean_n (sum_hw a dL/da)^2``, times their fan-in.

    Turner, Crowley, O'Boyle, Storkey and Gray, "BlockSwap: Fisher-guided Block Substitution for
    Network Compression on a Budget", ICLR 2020, on the output a of every convolution
    and linear layer, whether module or function. As in the code of Abdelfattah et al. (2021) each
    weight is given its output channel's value, so that the sum counts a channel as often as it
    has weights. L is the mean cross-entropy of the batch, images ``(B, C, H, W)`` with labels
    ``(B,)``.

    Raises:
        ValueError: no such layer; labels that do not fit; a loss or gradient that is not finite.
    """
    model = unwrapped(model)
    with torch.enable_grad():
        mode = _ChannelGates()
        with mode:
            logits = run(model, batch[0], free_parameters(model))
        if not mode.gates:
            raise ValueError("the network has no convolution and no linear layer to score")
        slopes = gradients(cross_entropy(logits, batch[1]), mode.gates)
    return sum(
        fan_in * float(slope.flatten(1).double().square().mean(0).sum()) / 2
        for fan_in, slope in zip(mode.fan_ins, slopes, strict=True)
    )
