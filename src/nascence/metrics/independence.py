"""A label-free combination of how independent the channels are and how much is computed."""

import math
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils._python_dispatch import TorchDispatchMode

from nascence.metrics.codes import is_activation
from nascence.metrics.live import Tape
from nascence.metrics.meco import least_eigenvalue
from nascence.metrics.metric import Batch, unwrapped
from nascence.metrics.passes import WithoutNormalisation, run

_FLOOR = 0.01  # of a sum of eigenvalues, so that a network without one still has a score


class _Activated(TorchDispatchMode):
    """While active, sums the least eigenvalues of what activations that switch at zero return."""

    def __init__(self) -> None:
        super().__init__()
        self.count, self.total = 0, 0.0

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        output = func(*args, **(kwargs or {}))
        if is_activation(func, *args[1:], **(kwargs or {})):
            self.count += 1
            self.total += _independence(output)
        return output


def channel_independence(model: nn.Module, batch: Batch, *, seed: int = 0) -> float:
    """Return ``ln(a + 0.01) + ln(b + 0.01) + ln(c + 0.01) + ln(live multiply-adds)``.

    a, b and c are sums of least eigenvalues of the correlation between the channels of a feature
    map, the measure of :func:`nascence.metrics.meco`, over

    - a: what every activation that switches at zero gives, for the first image;
    - b: what every block gives, a module with a forward pass of its own that holds other modules
      (not ``nn.Sequential``), for the first image;
    - c: as a, for an image of normal noise, with every normalisation left out. Then branches have
      the scale of their initial weights, and what a skip connection adds is seen.

    BatchNorm uses the statistics of the one image in a and b. The last term is that of
    :func:`nascence.metrics.live_macs`. The formula is our own. It was chosen by how it ranks 708
    NAS-Bench-201 networks on CIFAR-10, and no coefficient was fitted; see ``docs/scores.md``. It is
    for convolutional networks at initialisation; weights decide about it, labels do not.

    Args:
        model: a network of modules at its initialisation.
        batch: one image or more, (B, C, H, W), of which the first is used.
        seed: seed of the noise; the same seed gives the same score.

    Returns:
        The score, or ``-inf`` for a network that does nothing with its image.

    Raises:
        ValueError: no activation that switches at zero; feature maps that are not finite.
    """
    model, image = unwrapped(model), batch[0][:1]
    noise = torch.randn(image.shape, generator=torch.Generator().manual_seed(seed)).to(image)
    blocks = 0.0

    def add(module: nn.Module, inputs: Any, output: Any) -> None:
        nonlocal blocks
        blocks += _independence(output)

    handles = [module.register_forward_hook(add) for module in _blocks(model)]
    try:
        with torch.no_grad(), _Activated() as normalised:
            run(model, image)
    finally:
        for handle in handles:
            handle.remove()
    if not normalised.count:
        raise ValueError(
            "the network computes no activation that switches at zero (ReLU, leaky ReLU, GELU, "
            "SiLU and their kind); this score says nothing about it"
        )
    exact = sdpa_kernel(SDPBackend.MATH)
    with torch.no_grad(), exact, WithoutNormalisation(), _Activated() as bare, Tape(noise) as tape:
        output = run(model, noise)
    macs = tape.macs(output)
    if not macs:
        return -math.inf
    sums = normalised.total, blocks, bare.total
    return sum(math.log(total + _FLOOR) for total in sums) + math.log(macs)


def _blocks(model: nn.Module) -> list[nn.Module]:
    containers = nn.Sequential, nn.ModuleList, nn.ModuleDict
    return [
        module
        for module in model.modules()
        if module is not model
        and not isinstance(module, containers)
        and any(True for _ in module.children())
    ]


def _independence(output: Any) -> float:
    """Least eigenvalue of the correlation of feature maps (1, C, ...), and 0 for anything else."""
    if not isinstance(output, Tensor) or output.dim() < 3:
        return 0.0
    maps = output[0].flatten(1)
    return least_eigenvalue(maps) if min(maps.shape) > 1 else 0.0
