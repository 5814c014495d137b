"""Score by how independent the channels of feature maps are."""

from typing import Any

import torch
from torch import Tensor, nn

from nascence.metrics.metric import Batch
from nascence.metrics.passes import run


def meco(model: nn.Module, batch: Batch) -> float:
    """Return the sum over modules of the least eigenvalue of their channels' correlation.

    Jiang, Wang and Bie, "MeCo: Zero-Shot NAS with One Data and Single Forward Pass via Minimum
    Eigenvalue of Correlation", NeurIPS 2023. As in the published code every module
    that gives feature maps counts, a block beside the layers it is made of, as often as it is
    called, and BatchNorm uses the statistics of the one image. A channel without variation
    correlates with nothing, itself included, so that the least eigenvalue is zero. Where the
    published code draws a random image, the first image of the batch is used.

    Args:
        model: any network of modules.
        batch: one image or more, of which the first is used; no label is read.

    Raises:
        ValueError: no module gives feature maps (1, C, ...) of two channels or more and two
            values or more each; feature maps that are not finite.
    """
    least: list[float] = []
    known: dict[tuple[int, int], tuple[Tensor, float]] = {}

    def measure(module: nn.Module, inputs: Any, output: Any) -> None:
        if not isinstance(output, Tensor) or output.dim() < 3:
            return
        maps = output[0].flatten(1)
        if min(maps.shape) < 2:
            return
        # A block gives the tensor of its last layer, which is held so that it stays itself.
        key = id(output), output._version
        if key not in known:
            known[key] = output, least_eigenvalue(maps)
        least.append(known[key][1])

    handles = [module.register_forward_hook(measure) for module in model.modules()]
    try:
        with torch.no_grad():
            run(model, batch[0][:1])
    finally:
        for handle in handles:
            handle.remove()
    if not least:
        raise ValueError(
            "no module of the network gives feature maps of two channels or more; "
            "this score says nothing about it"
        )
    return sum(least)


def least_eigenvalue(maps: Tensor) -> float:
    """Return that of the correlation of the rows of maps (C, values)."""
    maps = maps.double()
    if not maps.isfinite().all():
        raise ValueError("the network's feature maps are not finite, so that they mean nothing")
    if maps.shape[1] <= maps.shape[0]:
        return 0.0  # without their mean the rows lie in fewer dimensions than they are
    centred = maps - maps.mean(1, keepdim=True)
    norms = centred.norm(dim=1, keepdim=True)
    if bool((norms <= 1e-6 * maps.norm(dim=1, keepdim=True)).any()):
        return 0.0  # a constant channel, to which rounding leaves a little variation
    centred = centred / norms
    return max(0.0, float(torch.linalg.eigvalsh(centred @ centred.T)[0]))
