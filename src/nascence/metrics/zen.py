"""Score by how much a network of Gaussian weights makes of a small change of a random image."""

import math
from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from nascence.metrics.metric import Batch, unwrapped
from nascence.metrics.passes import FunctionMode, in_channels_last, one_tensor, run

_STEP = 0.01
_ARGUMENTS = (
    *("input", "running_mean", "running_var", "weight", "bias", "training", "momentum", "eps"),
)


class _FeatureMaps(FunctionMode):
    """While active, notes the last feature map and the deviation of what BatchNorm is given."""

    def __init__(self) -> None:
        super().__init__()
        self._last: Tensor | None = None
        self._linear_after = 0
        self.deviations: list[Tensor] = []

    def call(self, func: Callable[..., Any], args: tuple, kwargs: dict[str, Any]) -> Any:
        if func is F.batch_norm:
            output = self._normalise(**dict(zip(_ARGUMENTS, args, strict=False)), **kwargs)
        else:
            output = func(*args, **kwargs)
        if isinstance(output, Tensor) and output.dim() == 4 and output[0, 0].numel() > 1:
            self._last, self._linear_after = output, 0
        self._linear_after += func is F.linear
        return output

    def chosen(self, output: Tensor) -> Tensor:
        """Return the last feature map, or the network's output where that does more with it."""
        return output if self._last is None or self._linear_after > 1 else self._last

    def _normalise(self, input: Tensor, **arguments: Any) -> Tensor:
        """Normalise by the batch, whose variance a running one of momentum 1 takes over."""
        mean, variance = input.new_zeros(input.shape[1]), input.new_zeros(input.shape[1])
        fixed = {"running_mean": mean, "running_var": variance, "training": True, "momentum": 1.0}
        output = F.batch_norm(input, **{**arguments, **fixed})
        self.deviations.append(variance.mean().sqrt())
        return output


def zen(model: nn.Module, batch: Batch, *, seed: int = 0) -> float:
    """Return ``ln mean |f(x) - f(x + 0.01 e)| + sum ln s`` for Gaussian weights, x and e.

    Lin, Wang, Sun, Chen, Sun, Qian, Li and Jin, "Zen-NAS", ICCV 2021, algorithm 1. f is the last
    feature map, that is the last tensor of four dimensions and more than one pixel that the pass
    computes; where there is none, or more than one linear layer follows it, f is the output. The
    distance is the L1 norm, as in the published code, and s of each BatchNorm the root of its
    channels' mean variance over the batch. Weights (parameters of two or more dimensions) are
    drawn from N(0, 1); other parameters are as they are at initialisation: biases zero, scales of
    normalisations one.

    Args:
        model: any network.
        batch: gives the shape of the images; no pixel and no label is read.
        seed: seed of weights and images; the same seed gives the same score.

    Returns:
        The score, or ``-inf`` where the change does not arrive.

    Raises:
        ValueError: a result that is not finite.
    """
    model = unwrapped(model)
    generator = torch.Generator().manual_seed(seed)
    images = in_channels_last(_normal(batch[0], generator))
    changed = images + _STEP * in_channels_last(_normal(batch[0], generator))
    parameters = {
        name: _normal(value, generator) if value.dim() > 1 else _initial(name, value)
        for name, value in model.named_parameters()
    }
    passes = [_FeatureMaps(), _FeatureMaps()]
    features = []
    with torch.no_grad():
        for x, maps in zip((images, changed), passes, strict=True):
            with maps:
                output = run(model, x, parameters, channels_last=False)
            features.append(maps.chosen(one_tensor(output)))
    distance = (features[0] - features[1]).double().abs().flatten(1).sum(1).mean()
    scales = [float(deviation.double().log()) for deviation in passes[0].deviations]
    score = float(distance.log()) + sum(scales)
    if math.isnan(score) or score == math.inf:
        raise ValueError("the network's feature maps are not finite, so that they mean nothing")
    return score


def _normal(like: Tensor, generator: torch.Generator) -> Tensor:
    drawn = torch.randn(like.shape, generator=generator)
    return drawn.to(device=like.device, dtype=like.dtype)


def _initial(name: str, value: Tensor) -> Tensor:
    return torch.zeros_like(value) if name.endswith("bias") else torch.ones_like(value)
