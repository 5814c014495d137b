"""DARTS, PC-DARTS, SNAS, GDAS, ENAS and ProxylessNAS: each from supernets to a history.

Settings that are not named here are those of :func:`gradient_search`, which all share: steps,
seconds, epochs, the training of the weights, early stopping, checkpoints.
"""

from collections.abc import Sequence
from functools import partial
from typing import Any

import torch

from nascence.data import Dataset
from nascence.gradient.binary_gates import BinaryGates
from nascence.gradient.gates import concrete_gate, softmax_gate, straight_through_gate
from nascence.gradient.loop import gradient_search
from nascence.gradient.operations import partial_channels, sampled_paths, single_path
from nascence.gradient.policy_gradient import PolicyGradient
from nascence.gradient.relaxation import Method, Relaxation, incoming_edges
from nascence.gradient.trajectory import Trajectory
from nascence.latency.table import LatencyTerm
from nascence.supernets import SuperNet

Supernets = SuperNet | Sequence[SuperNet]


def darts(
    supernets: Supernets,
    data: Dataset,
    *,
    generator: torch.Generator,
    order: int = 1,
    architecture_rate: float = 3e-4,
    architecture_decay: float = 1e-3,
    **settings: Any,
) -> Trajectory:
    """Learn the weights of a mixture of all choices by gradient descent on validation images.

    Liu, Simonyan and Yang, "DARTS: Differentiable Architecture Search", ICLR 2019, algorithm 1,
    with the settings of section 3.1.1.

    Args:
        supernets: one, or the sub-supernets of a split one.
        data: to search on.
        generator: of all randomness.
        order: 1 takes the weights as they are, 2 as one step of training would leave them (eq. 7
            and 8), at about three times the cost.
        architecture_rate: of the Adam that moves the architecture.
        architecture_decay: its weight decay.
        settings: of :func:`gradient_search`; ``stop_at_skips=2`` is the early stop of DARTS+.
    """
    prepare = partial(
        _relaxed,
        gate=softmax_gate,
        rate=architecture_rate,
        decay=architecture_decay,
        order=order,
        name="darts",
    )
    return gradient_search(supernets, data, prepare, generator=generator, **settings)


def pc_darts(
    supernets: Supernets,
    data: Dataset,
    *,
    generator: torch.Generator,
    parts: int = 4,
    architecture_rate: float = 6e-4,
    architecture_decay: float = 1e-3,
    warmup: float = 0.3,
    **settings: Any,
) -> Trajectory:
    """Search as DARTS does on 1 of ``parts`` of the channels, with weights of the edges.

    Xu et al., "PC-DARTS: Partial Channel Connections for Memory-Efficient Architecture Search",
    ICLR 2020: eq. 2 and 3, and the warm-up of 15 of 50 epochs. The candidates are made anew, on
    fewer channels; the rest of the supernet keeps its weights. For spaces of cells.

    Args:
        supernets: one, or the sub-supernets of a split one.
        data: to search on.
        generator: of all randomness.
        parts: K; it must divide the width.
        architecture_rate: of the Adam that moves the architecture.
        architecture_decay: its weight decay.
        warmup: first part of the search, in which the architecture rests.
        settings: keywords of :func:`gradient_search`.
    """
    prepare = partial(
        _partial_relaxed, parts=parts, rate=architecture_rate, decay=architecture_decay
    )
    return gradient_search(supernets, data, prepare, generator=generator, warmup=warmup, **settings)


def snas(
    supernets: Supernets,
    data: Dataset,
    *,
    generator: torch.Generator,
    temperature: tuple[float, float] = (1.0, 0.33),
    architecture_rate: float = 3e-4,
    architecture_decay: float = 1e-3,
    **settings: Any,
) -> Trajectory:
    """Sample soft gates whose temperature falls; weights and architecture learn from one loss.

    Xie, Zheng, Liu and Lin, "SNAS: Stochastic Neural Architecture Search", ICLR 2019, eq. 5 to 7,
    without its constraint of resources. One batch of all training images serves both, so that a
    step costs half of one of DARTS. The paper does not give its temperatures.

    Args:
        supernets: one, or the sub-supernets of a split one.
        data: to search on.
        generator: of all randomness.
        temperature: of the gates at the start and at the end.
        architecture_rate: of the Adam that moves the architecture.
        architecture_decay: its weight decay.
        settings: of :func:`gradient_search`.
    """
    prepare = partial(
        _relaxed,
        gate=concrete_gate(*temperature),
        rate=architecture_rate,
        decay=architecture_decay,
        joint=True,
        name=f"snas, temperature {temperature}",
    )
    return gradient_search(supernets, data, prepare, generator=generator, **settings)


def gdas(
    supernets: Supernets,
    data: Dataset,
    *,
    generator: torch.Generator,
    temperature: tuple[float, float] = (10.0, 0.1),
    architecture_rate: float = 3e-4,
    architecture_decay: float = 1e-3,
    **settings: Any,
) -> Trajectory:
    """Sample one path with straight-through gates, the only one that is computed.

    Dong and Yang, "Searching for a Robust Neural Architecture in Four GPU Hours", CVPR 2019.

    Args:
        supernets: one, or the sub-supernets of a split one.
        data: to search on.
        generator: of all randomness.
        temperature: of the gates' derivative at the start and at the end.
        architecture_rate: of the Adam that moves the architecture.
        architecture_decay: its weight decay.
        settings: of :func:`gradient_search`.
    """
    prepare = partial(
        _single_path_relaxed,
        gate=straight_through_gate(*temperature),
        rate=architecture_rate,
        decay=architecture_decay,
        name=f"gdas, temperature {temperature}",
    )
    return gradient_search(supernets, data, prepare, generator=generator, **settings)


def enas(
    supernets: Supernets,
    data: Dataset,
    *,
    generator: torch.Generator,
    controller_rate: float = 3.5e-4,
    samples: int = 4,
    entropy: float = 1e-4,
    baseline_decay: float = 0.95,
    candidates: int = 10,
    hidden: int = 64,
    scale: float = 2.5,
    temperature: float = 5.0,
    **settings: Any,
) -> Trajectory:
    """Let an LSTM draw paths; it learns by REINFORCE from their accuracy with shared weights.

    Pham, Guan, Zoph, Le and Dean, "Efficient Neural Architecture Search via Parameter Sharing",
    ICML 2018. For any space whose networks a supernet holds. A step of the controller follows
    every step of the weights, where the paper alternates whole epochs of both. The result is the
    most accurate of ``candidates`` drawn networks on one batch.

    Args:
        supernets: one, or the sub-supernets of a split one.
        data: to search on.
        generator: of all randomness.
        controller_rate: of Adam.
        samples: networks drawn for a step of the controller.
        entropy: weight of the controller's entropy in its reward.
        baseline_decay: decay of the moving average that rewards are compared with.
        candidates: networks drawn at the end, of which the best is the result.
        hidden: size of the controller's LSTM.
        scale: bound of the controller's logits.
        temperature: what the logits are divided by.
        settings: keywords of :func:`gradient_search`.
    """
    prepare = partial(
        _controlled,
        rate=controller_rate,
        samples=samples,
        entropy=entropy,
        baseline_decay=baseline_decay,
        candidates=candidates,
        hidden=hidden,
        scale=scale,
        temperature=temperature,
    )
    return gradient_search(supernets, data, prepare, generator=generator, **settings)


def proxyless(
    supernets: Supernets,
    data: Dataset,
    *,
    generator: torch.Generator,
    paths: int | None = 2,
    latency: LatencyTerm | None = None,
    architecture_rate: float = 1e-3,
    architecture_every: int = 5,
    warmup: float = 0.25,
    **settings: Any,
) -> Trajectory:
    """Train one path at a time, learn from two, and keep the network fast.

    Cai, Zhu and Han, "ProxylessNAS: Direct Neural Architecture Search on Target Task and
    Hardware", ICLR 2019. For any space whose networks a supernet holds. Nothing but the sampled
    paths is computed, so that the memory of a step is that of one network.

    Args:
        supernets: one, or the sub-supernets of a split one.
        data: to search on; the logits learn on the other half.
        generator: of all randomness.
        paths: sampled for a step of the architecture; None for all. See :class:`BinaryGates`.
        latency: weighs measured latency against accuracy; None for accuracy alone.
        architecture_rate: learning rate of Adam.
        architecture_every: steps of the weights to each step of the architecture.
        warmup: first part of the search, in which the architecture rests; 40 of 160 epochs in the
            paper.
        settings: keywords of :func:`gradient_search`.
    """
    prepare = partial(_gated, rate=architecture_rate, paths=paths, latency=latency)
    return gradient_search(
        supernets,
        data,
        prepare,
        generator=generator,
        warmup=warmup,
        architecture_every=architecture_every,
        **settings,
    )


# What the strategies prepare: functions of the module, so that other processes can be given them.


def _relaxed(
    supernet: SuperNet, stream: torch.Generator, **settings: Any
) -> tuple[SuperNet, Method]:
    return supernet, Relaxation(supernet, generator=stream, **settings)


def _single_path_relaxed(
    supernet: SuperNet, stream: torch.Generator, **settings: Any
) -> tuple[SuperNet, Method]:
    return _relaxed(single_path(supernet), stream, **settings)


def _partial_relaxed(
    supernet: SuperNet, stream: torch.Generator, *, parts: int, rate: float, decay: float
) -> tuple[SuperNet, Method]:
    edges = incoming_edges(supernet)
    device = next(supernet.parameters()).device
    return _relaxed(
        partial_channels(supernet, parts=parts).to(device),
        stream,
        gate=softmax_gate,
        rate=rate,
        decay=decay,
        edges=edges,
        name=f"pc-darts, {parts} parts",
    )


def _controlled(
    supernet: SuperNet, stream: torch.Generator, **settings: Any
) -> tuple[SuperNet, Method]:
    return supernet, PolicyGradient(supernet, **settings)


def _gated(supernet: SuperNet, stream: torch.Generator, **settings: Any) -> tuple[SuperNet, Method]:
    gated = sampled_paths(supernet)
    return gated, BinaryGates(gated, generator=stream, **settings)
