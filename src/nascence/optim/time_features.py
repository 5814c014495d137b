"""Time features of an optimizer: steps taken, and the fraction done of a known training."""

import torch
from torch import Tensor

PERIODS = 11
FRACTIONS = 9
TIME_FEATURES = PERIODS + FRACTIONS + 1


def time_features(step: Tensor, num_steps: Tensor) -> Tensor:
    """``(..., 21)`` for steps ``(...)`` from 1 and ``num_steps`` ``(...)``, infinite if unknown.

    Eleven of ``tanh(step / τ - 1)``, τ = 1, 3, ..., 100,000 (Metz et al. 2018); nine of
    ``tanh(10 (step / num_steps - τ))``, τ = 0, 1/8, ..., 1 (Metz et al. 2022, VeLO), zero where
    the length is unknown; and whether it is known. Beyond its end a training stays at its end.
    """
    exponents = torch.arange(PERIODS, device=step.device) / 2
    periods = torch.round(10**exponents)  # 1, 3, 10, 32, ...
    by_step = torch.tanh(step[..., None] / periods - 1)
    known = torch.isfinite(num_steps).to(step.dtype)
    fraction = torch.clamp(step / num_steps, max=1.0)
    marks = torch.linspace(0, 1, FRACTIONS, device=step.device)
    by_fraction = torch.tanh(10 * (fraction[..., None] - marks)) * known[..., None]
    return torch.cat([by_step, by_fraction, known[..., None]], -1)
