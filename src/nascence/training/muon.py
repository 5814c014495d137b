"""Muon for networks of convolutions: orthogonal updates of kernels, Nesterov SGD for the rest."""

from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor, nn

INPUTS = 16
"""Kernels of fewer input channels, as first and depthwise ones are, are left to SGD."""


class KernelMuon(torch.optim.Optimizer):
    """``torch.optim.Muon`` for the kernels of convolutions, taken as matrices, SGD for the rest.

    A kernel ``(out, in, h, w)`` is the matrix ``(out, in h w)``. K. Jordan et al., "Muon: An
    optimizer for hidden layers in neural networks", 2024: only hidden layers, so that matrices
    ``(classes, features)``, vectors and first or depthwise convolutions, whose kernels have few
    inputs, are trained by SGD with Nesterov momentum.

    Args:
        params: Groups of parameters, as :func:`nascence.training.parameter_groups` makes them.
        lr: Rate of the kernels; the spectral norm of an update is about so large.
        sgd_lr: Rate of the rest.
        momentum: Of the kernels.
        weight_decay: Of the matrices that SGD trains, unless their group says otherwise.
        ns_steps: Newton-Schulz iterations.
    """

    def __init__(
        self,
        params: Iterable[dict[str, Any]],
        lr: float = 0.05,
        *,
        sgd_lr: float = 0.1,
        momentum: float = 0.8,
        weight_decay: float = 5e-4,
        ns_steps: int = 5,
    ) -> None:
        super().__init__(params, {"lr": lr, "weight_decay": weight_decay})
        self._kernels: list[tuple[Tensor, nn.Parameter]] = []
        rest: list[dict[str, Any]] = []
        for group in self.param_groups:
            hidden = [each for each in group["params"] if is_hidden_kernel(each)]
            # A matrix that shares the memory of its kernel: torch's Muon takes nothing else.
            self._kernels += [(each, nn.Parameter(each.detach().flatten(1))) for each in hidden]
            others = [each for each in group["params"] if not is_hidden_kernel(each)]
            if others:
                rest.append({"params": others, "weight_decay": group["weight_decay"]})
        self._parts: list[torch.optim.Optimizer] = []
        if self._kernels:
            matrices = [matrix for _, matrix in self._kernels]
            self._parts.append(
                torch.optim.Muon(
                    matrices, lr=lr, momentum=momentum, weight_decay=0.0, ns_steps=ns_steps
                )
            )
        if rest:
            self._parts.append(torch.optim.SGD(rest, lr=sgd_lr, momentum=0.9, nesterov=True))
        # Who sets the rate of a group sets that of the part.
        self.param_groups = [group for part in self._parts for group in part.param_groups]

    @torch.no_grad()
    def step(self, closure: None = None) -> None:  # type: ignore[override]
        """Take a step; kernels without a gradient stay as they are."""
        for kernel, matrix in self._kernels:
            matrix.grad = None if kernel.grad is None else kernel.grad.flatten(1)
        for part in self._parts:
            part.step()

    def zero_grad(self, set_to_none: bool = True) -> None:
        """Forget the gradients."""
        for part in self._parts:
            part.zero_grad(set_to_none)
        for kernel, _ in self._kernels:
            kernel.grad = None

    def state_dict(self) -> dict[str, Any]:
        """Momenta and rates of both parts."""
        return {"parts": [part.state_dict() for part in self._parts]}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Go on from what :meth:`state_dict` gave.

        Raises:
            ValueError: It is of other groups.
        """
        for part, saved in zip(self._parts, state_dict["parts"], strict=True):
            part.load_state_dict(saved)
        self.param_groups = [group for part in self._parts for group in part.param_groups]


def is_hidden_kernel(parameter: Tensor) -> bool:
    """Whether it is the kernel ``(out, in, h, w)`` of a hidden convolution, not a depthwise one."""
    return parameter.ndim == 4 and parameter.shape[1] >= INPUTS
