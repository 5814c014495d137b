"""Score by the flow through a network whose weights are all made positive."""

import math
from collections.abc import Collection

import torch
from torch import Tensor, nn

from nascence.metrics.metric import Batch, unwrapped
from nascence.metrics.passes import WithoutNormalisation, one_tensor, run, weights_of

# Input and biases are scaled by these, so that values beyond 1e308 come into range.
_SCALES = (1.0, 2.0**-400, 2.0**-900)


def synflow(model: nn.Module, batch: Batch) -> float:
    """Return ``ln sum |w dR/dw|``, R the sum of outputs for an image of ones, all weights positive.

    Tanaka, Kunin, Yamins and Ganguli, "Pruning neural networks without any data by iteratively
    conserving synaptic flow", NeurIPS 2020, summed over the weights as Abdelfattah et
    al. (2021) do. Every parameter is replaced by its absolute value, and every normalisation
    (batch, instance, group, layer, root mean square) left out, wherever it stands. The sum is
    over parameters of two or more dimensions. In float64, and scaled where that is not enough.

    Args:
        model: gives one tensor, batch first.
        batch: gives the shape of an image; no pixel and no label is read.

    Returns:
        The logarithm, or ``-inf`` where nothing flows from the image to the output.

    Raises:
        ValueError: no weights; a flow beyond about 1e570.
    """
    model = unwrapped(model)
    state = {
        name: value.detach().abs().double() if value.is_floating_point() else value.detach().clone()
        for name, value in [*model.named_parameters(), *model.named_buffers()]
    }
    names = weights_of(dict(model.named_parameters())).keys()
    ones = torch.ones_like(batch[0][:1], dtype=torch.float64)
    for scale in _SCALES:
        flow = _flow(model, state, names, ones, scale)
        if math.isfinite(flow):
            return math.log(flow) - 2 * math.log(scale) if flow > 0 else -math.inf
    raise ValueError("the flow through the network is beyond 1e570, more than this score holds")


def _flow(
    model: nn.Module, state: dict[str, Tensor], names: Collection[str], ones: Tensor, scale: float
) -> float:
    """Return ``scale^2 sum |w dR/dw|`` over the weights: infinite or NaN if out of range.

    The output is proportional to the image and the biases together, and here to a last factor.
    """
    scaled = {
        name: x if name in names or not x.is_floating_point() else x * scale
        for name, x in state.items()
    }
    weights = {name: state[name].requires_grad_() for name in names}
    with torch.enable_grad(), WithoutNormalisation():
        output = one_tensor(run(model, ones * scale, scaled)).sum() * scale
    if not output.requires_grad:
        return 0.0
    slopes = torch.autograd.grad(output, list(weights.values()), materialize_grads=True)
    return sum(
        float((w.detach() * slope).abs().sum())
        for w, slope in zip(weights.values(), slopes, strict=True)
    )
