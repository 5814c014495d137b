"""The prior of parallel branches in the gradient: one convolution, trained as if it were several.

Ding et al., "Re-parameterizing Your Optimizers rather than Architectures", ICLR 2023. A block
whose branches have constant scales, y = s · (W₃ ∗ x) + t · (W₁ ∗ x) + r · (d x), trains as the
single kernel W = s W₃ + t W₁ + r diag(d) does, if the gradient of W is multiplied by
s² + t² + r² where the branches reach (section 3.2, equation 3; s + t + r for Adam's update,
appendix). Clipping the gradient breaks the equality.
"""

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn


class BranchScales(NamedTuple):
    """Constant scale of each branch per output channel, shape ``(out_channels,)``.

    ``pointwise`` or ``identity`` None means that the block has no such branch.
    """

    dense: Tensor
    pointwise: Tensor | None = None
    identity: Tensor | None = None


def branch_mask(weight: Tensor, scales: BranchScales, *, power: int) -> Tensor:
    """Sum of ``scale ** power`` over the branches that reach each entry of ``weight``.

    ``weight`` has shape ``(out, in, k, k)`` with odd k; ``power`` is 2 for the gradient of SGD, 1
    for the update of Adam.

    Raises:
        ValueError: A side of the kernel is even, or there is an identity and ``out`` is no multiple
            of ``in``.
    """
    height, width = weight.shape[2:]
    if height % 2 == 0 or width % 2 == 0:
        raise ValueError(f"the kernel is {height} x {width}; a centre needs odd sizes")
    mask = torch.zeros_like(weight) + per_output(scales.dense, weight) ** power
    middle = (slice(None), slice(None), height // 2, width // 2)
    if scales.pointwise is not None:
        mask[middle] += per_output(scales.pointwise, weight)[..., 0, 0] ** power
    if scales.identity is not None:
        if weight.shape[0] % weight.shape[1]:
            raise ValueError("an identity branch needs as many outputs as inputs")
        rows = torch.arange(weight.shape[0], device=weight.device)
        columns = rows % weight.shape[1]
        scale = scales.identity.to(weight)
        mask[rows, columns, height // 2, width // 2] += scale**power
    return mask


def per_output(scale: Tensor, weight: Tensor) -> Tensor:
    """Scales of output channels, in the shape that multiplies a kernel.

    Raises:
        ValueError: The scales are not ``(out,)``.
    """
    if scale.shape != (weight.shape[0],):
        raise ValueError(f"got scales of shape {tuple(scale.shape)}; need ({weight.shape[0]},)")
    return scale.to(weight).reshape(-1, 1, 1, 1)


def merged_weight(dense: Tensor, scales: BranchScales, pointwise: Tensor | None = None) -> Tensor:
    """Kernel of the single convolution that starts where the branches start.

    ``dense`` has shape ``(out, in, k, k)``, ``pointwise`` ``(out, in, 1, 1)``; the identity
    branch starts at d = 1.
    """
    weight = dense * per_output(scales.dense, dense)
    row, column = dense.shape[2] // 2, dense.shape[3] // 2
    if scales.pointwise is not None and pointwise is not None:
        weight[:, :, row, column] += (pointwise * per_output(scales.pointwise, dense))[..., 0, 0]
    if scales.identity is not None:
        rows = torch.arange(dense.shape[0], device=dense.device)
        weight[rows, rows % dense.shape[1], row, column] += scales.identity.to(dense)
    return weight


def branch_masks(
    model: nn.Module, scales: Mapping[str, BranchScales], *, power: int
) -> dict[Tensor, Tensor]:
    """``branch_mask``, ``(out, in, k, k)``, for each named convolution, keyed by the parameter."""
    return {
        model.get_parameter(f"{name}.weight"): branch_mask(
            model.get_parameter(f"{name}.weight").detach(), scale, power=power
        )
        for name, scale in scales.items()
    }


class RepSGD(torch.optim.SGD):
    """SGD with momentum whose gradients are multiplied by ``masks`` (``branch_masks``, power 2).

    A mask has the shape of its parameter, the key.
    """

    def __init__(
        self,
        params: Iterable[Any],
        masks: Mapping[Tensor, Tensor],
        *,
        lr: float,
        momentum: float = 0.0,
        weight_decay: float = 0.0,
        nesterov: bool = False,
    ) -> None:
        super().__init__(
            params, lr=lr, momentum=momentum, weight_decay=weight_decay, nesterov=nesterov
        )
        self.masks = dict(masks)

    @torch.no_grad()
    def step(self, closure: Any = None) -> Any:
        """One step; the gradients are multiplied in place, so call it once per backward."""
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for parameter, mask in self.masks.items():
            if parameter.grad is not None:
                parameter.grad.mul_(mask)
        super().step()
        return loss


class RepAdamW(torch.optim.AdamW):
    """AdamW whose updates are multiplied by ``masks`` (``branch_masks``, power 1).

    A mask has the shape of its parameter, the key.
    """

    def __init__(
        self,
        params: Iterable[Any],
        masks: Mapping[Tensor, Tensor],
        *,
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 1e-2,
    ) -> None:
        super().__init__(params, lr=lr, betas=betas, eps=eps, weight_decay=weight_decay)
        self.masks = dict(masks)

    @torch.no_grad()
    def step(self, closure: Any = None) -> Any:
        """One step; the decay of the weights is not masked, as it is not in the branches."""
        decayed = {}
        for group in self.param_groups:
            keep = 1 - group["lr"] * group["weight_decay"]
            for parameter in group["params"]:
                if parameter in self.masks and parameter.grad is not None:
                    decayed[parameter] = parameter * keep
        loss = super().step(closure)
        for parameter, start in decayed.items():
            parameter.copy_(start + self.masks[parameter] * (parameter - start))
        return loss
