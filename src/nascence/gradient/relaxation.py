"""How architecture parameters become weights of choices, and how they learn."""

from collections.abc import Sequence
from typing import Protocol

import torch
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn import functional

from nascence.data import Batch
from nascence.gradient.derivation import NONE, derive
from nascence.gradient.gates import Gate
from nascence.gradient.second_order import unrolled_gradients
from nascence.latency.table import LatencyTerm
from nascence.params import Params
from nascence.spaces import Architecture
from nascence.supernets import SuperNet

Choice = Architecture | Sequence[Tensor]
"""What a supernet computes: one path, or a weighted sum of all."""


class Method(Protocol):
    """Everything in which the strategies differ; they share one loop.

    Attributes:
        policy: holds all that the architecture side learns, and its state.
        optimizer: optimizer of the policy.
        joint: the policy learns from the batch and the loss of the weights.
        latency: what latency adds to the loss of the policy; None where it counts for nothing.
        description: the settings in one line.
    """

    policy: nn.Module
    optimizer: torch.optim.Optimizer
    joint: bool
    latency: LatencyTerm | None
    description: str

    def choice(self, done: float, generator: torch.Generator) -> Choice:
        """Return what the weights train on in this step, at ``done`` in [0, 1] of the search."""

    def gradients(
        self,
        supernet: SuperNet,
        train: Batch,
        validation: Batch,
        *,
        done: float,
        rate: float,
        generator: torch.Generator,
    ) -> list[Tensor]:
        """Derivatives by the policy's parameters, each of its parameter's shape.

        Batches are images ``(B, C, H, W)`` and labels ``(B,)``; ``rate`` is that of the weights.
        """

    def probabilities(self, generator: torch.Generator) -> list[Tensor]:
        """Of the choices held: ``(choices,)`` for each decision, with a sum of 1."""

    def derive(
        self, supernet: SuperNet, validation: Batch, generator: torch.Generator
    ) -> Architecture:
        """The network found, by a batch ``(B, C, H, W)``, ``(B,)`` if it needs one."""

    def measured(self, supernet: SuperNet, architecture: Architecture) -> Choice:
        """What the supernet computes to measure a derived network."""


class Policy(nn.Module):
    """One vector of logits for each decision, and one logit for each edge where edges compete.

    Args:
        supernet: whose choices are weighted.
        generator: source of the logits, normal with deviation 0.001.
        edges: groups of decisions among which a softmax weighs the edges; none for no weights.
    """

    def __init__(
        self,
        supernet: SuperNet,
        *,
        generator: torch.Generator,
        edges: Sequence[Sequence[int]] = (),
    ) -> None:
        super().__init__()
        self.logits = nn.ParameterList(
            1e-3 * torch.randn(len(held), generator=generator) for held in supernet.choices
        )
        self.edges = [tuple(group) for group in edges]
        count = len(supernet.choices) if edges else 0
        self.edge_logits = nn.Parameter(1e-3 * torch.randn(count, generator=generator))

    def edge_weights(self) -> list[Tensor]:
        """A scalar for each decision: its share of the node's input, or 1."""
        weights = [torch.ones((), device=logits.device) for logits in self.logits]
        for group in self.edges:
            shares = self.edge_logits[list(group)].softmax(0)
            for place, share in zip(group, shares, strict=True):
                weights[place] = share
        return weights


class Relaxation:
    """Weighs all choices by gates of learned logits, and learns the logits by gradient descent.

    Args:
        supernet: whose choices are weighted.
        gate: from logits to weights.
        generator: source of the initial logits.
        rate, decay: for Adam with momenta 0.5 and 0.999 (Liu et al., 2019, section 3.1.1).
        order: 2 differentiates through a step of the weights; see :func:`unrolled_gradients`.
        joint: logits and weights learn from one loss on one batch.
        edges: see :class:`Policy`.
        name: name of the strategy, for the description.

    Raises:
        ValueError: ``order`` is not 1 or 2, ``rate`` not positive, or ``decay`` negative.
    """

    latency: LatencyTerm | None = None

    def __init__(
        self,
        supernet: SuperNet,
        *,
        gate: Gate,
        generator: torch.Generator,
        rate: float,
        decay: float,
        order: int = 1,
        joint: bool = False,
        edges: Sequence[Sequence[int]] = (),
        name: str = "relaxation",
    ) -> None:
        if order not in (1, 2):
            raise ValueError(f"order is {order}; use 1 or 2")
        if not rate > 0 or decay < 0:
            raise ValueError(f"architecture rate {rate} and decay {decay}; give positive numbers")
        self.learned = Policy(supernet, generator=generator, edges=edges)
        self.learned.to(next(supernet.parameters()).device)
        self.policy: nn.Module = self.learned
        self.optimizer: torch.optim.Optimizer = torch.optim.Adam(
            self.policy.parameters(), lr=rate, betas=(0.5, 0.999), weight_decay=decay
        )
        self.gate, self.order, self.joint = gate, order, joint
        self.description = f"{name}, architecture rate {rate}, decay {decay}, order {order}"

    def choice(self, done: float, generator: torch.Generator) -> list[Tensor]:
        """Return the gates of this step, ``(choices,)`` for each decision; see :class:`Method`."""
        gates = [self.gate(logits, done, generator) for logits in self.learned.logits]
        if not self.learned.edges:
            return gates
        shares = self.learned.edge_weights()
        return [gate * share for gate, share in zip(gates, shares, strict=True)]

    def gradients(
        self,
        supernet: SuperNet,
        train: Batch,
        validation: Batch,
        *,
        done: float,
        rate: float,
        generator: torch.Generator,
    ) -> list[Tensor]:
        """Return derivatives by the policy's parameters, of their shapes; see :class:`Method`."""
        own = list(self.policy.parameters())
        if self.order == 1:
            loss = cross_entropy(supernet, validation, self.choice(done, generator))
            return list(torch.autograd.grad(loss, own, allow_unused=True, materialize_grads=True))
        state = generator.get_state()

        def loss_of(weights: Params, batch: Batch) -> Tensor:
            generator.set_state(state)  # all losses of one step see the same gates
            logits = functional_call(supernet, weights, (batch[0], self.choice(done, generator)))
            return functional.cross_entropy(logits, batch[1])

        weights: Params = dict(supernet.named_parameters())
        return unrolled_gradients(loss_of, weights, own, train, validation, rate=rate)

    def probabilities(self, generator: torch.Generator) -> list[Tensor]:
        """Return those of the choices held, ``(choices,)`` a decision; see :class:`Method`."""
        return [logits.detach().softmax(0) for logits in self.learned.logits]

    @torch.no_grad()
    def derive(
        self, supernet: SuperNet, validation: Batch, generator: torch.Generator
    ) -> Architecture:
        """Return the network found; the batch ``(B, C, H, W)``, ``(B,)`` is not used."""
        shares = self.learned.edge_weights()
        probabilities = self.probabilities(generator)
        weights = [each * share for each, share in zip(probabilities, shares, strict=True)]
        return derive(supernet, weights)

    @torch.no_grad()
    def measured(self, supernet: SuperNet, architecture: Architecture) -> Choice:
        """Return the path, where edges compete with the weights of its edges, 0 for ``none``.

        Partial channels go by the candidate ``none`` too, which the derived network lacks.
        """
        if not self.learned.edges:
            return architecture
        vectors = []
        for index, share, held, (_, values) in zip(
            architecture,
            self.learned.edge_weights(),
            supernet.choices,
            supernet.space.decisions,
            strict=True,
        ):
            chosen = torch.tensor([index == each and values[each] != NONE for each in held])
            vectors.append(chosen.to(share.device) * share)
        return vectors


def cross_entropy(supernet: SuperNet, batch: Batch, choice: Choice) -> Tensor:
    """Mean loss ``()`` of a path or mixture on a batch ``(B, C, H, W)``, ``(B,)``."""
    return functional.cross_entropy(supernet(batch[0], choice), batch[1])


def incoming_edges(supernet: SuperNet) -> list[list[int]]:
    """Group the decisions by the node that they lead to, read from ``…_SOURCE_NODE`` names.

    Raises:
        ValueError: decisions that are no edges of a cell.
    """
    groups: dict[tuple[str, str], list[int]] = {}
    for place, (name, _) in enumerate(supernet.space.decisions):
        kind, *nodes = name.rsplit("_", 2)
        if len(nodes) != 2 or not all(node.isdigit() for node in nodes):
            raise ValueError(
                f"decision {name!r} is not an edge of a cell, which edge normalisation needs; use "
                "SmallSpace, NB201 with one width and depth, or Darts"
            )
        groups.setdefault((kind, nodes[1]), []).append(place)
    return list(groups.values())
