"""Weights of a decision's choices from its logits: softmax, concrete and straight-through gates.

All take the logits of one decision, ``(choices,)``, and give as many weights, which add up to 1.
"""

from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor
from torch.nn import functional

Gate = Callable[[Tensor, float, torch.Generator], Tensor]
"""From logits, the fraction of the search that is done, and a generator, to weights."""


def softmax_gate(logits: Tensor, done: float, generator: torch.Generator) -> Tensor:
    """Mix all choices, ``(choices,)`` (Liu et al., "DARTS", ICLR 2019, eq. 2): not random."""
    return logits.softmax(0)


def concrete(logits: Tensor, *, temperature: float, generator: torch.Generator) -> Tensor:
    """Draw a soft gate, ``softmax((logits + Gumbel noise) / temperature)``, of ``(choices,)``.

    Maddison, Mnih and Teh, "The Concrete Distribution", ICLR 2017, eq. 10; Xie et al., "SNAS",
    ICLR 2019, eq. 7. Its derivative is an unbiased estimate of that of the expected loss of such
    soft gates, not of that of hard ones; both agree as the temperature goes to 0.
    """
    return ((logits + _gumbel(logits, generator)) / temperature).softmax(0)


def straight_through(logits: Tensor, *, temperature: float, generator: torch.Generator) -> Tensor:
    """Draw a hard gate ``(choices,)`` whose derivative is that of the soft one with the same noise.

    Dong and Yang, "Searching for a Robust Neural Architecture in Four GPU Hours" (GDAS), CVPR
    2019, eq. 3 to 6. A choice is drawn with its softmax probability, at any temperature. The
    derivative is that of the loss linearised at the hard gate: unbiased for the expected value of
    soft gates where the loss is linear in the gate, biased elsewhere.
    """
    soft = concrete(logits, temperature=temperature, generator=generator)
    hard = functional.one_hot(soft.argmax(), len(soft)).to(soft.dtype)
    return hard + (soft - soft.detach())  # exactly the hard gate: what is added is exactly 0


def concrete_gate(first: float, last: float) -> Gate:
    """Return :func:`concrete` with a temperature that goes from first to last linearly."""
    return _falling(concrete, first, last)


def straight_through_gate(first: float, last: float) -> Gate:
    """Return :func:`straight_through` with a temperature that goes from first to last linearly."""
    return _falling(straight_through, first, last)


def _falling(draw: Callable[..., Tensor], first: float, last: float) -> Gate:
    if not first >= last > 0:
        raise ValueError(
            f"temperatures go from {first} to {last}; both must be positive, the last not above "
            "the first"
        )
    return partial(_at, draw=draw, first=first, last=last)


def _at(
    logits: Tensor,
    done: float,
    generator: torch.Generator,
    *,
    draw: Callable[..., Tensor],
    first: float,
    last: float,
) -> Tensor:
    temperature = first + (last - first) * min(done, 1.0)
    return draw(logits, temperature=temperature, generator=generator)


def _gumbel(like: Tensor, generator: torch.Generator) -> Tensor:
    """Standard Gumbel noise; drawn on the CPU, so that it is the same on every device."""
    tiny = torch.finfo(like.dtype).tiny
    uniform = torch.rand(like.shape, generator=generator, dtype=like.dtype).clamp_min(tiny)
    # -log(u) is 0 where u is rounded to 1
    return -torch.log(-torch.log(uniform).clamp_max(-tiny)).to(like.device)
