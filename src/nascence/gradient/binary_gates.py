"""Binary gates: one path is computed, and the logits learn from those that are sampled.

Cai, Zhu and Han, "ProxylessNAS: Direct Neural Architecture Search on Target Task and Hardware",
ICLR 2019, section 3.2.
"""

import torch
from torch import Tensor, nn

from nascence.data import Batch
from nascence.gradient.derivation import derive
from nascence.gradient.relaxation import Choice, cross_entropy
from nascence.latency.table import LatencyTerm
from nascence.spaces import Architecture
from nascence.supernets import SuperNet
from nascence.training import DivergenceError


class BinaryGates:
    """Trains one sampled path, and compares a few of them for the architecture.

    For the weights every decision has one gate of 1, drawn with the softmax of its logits (eq. 2
    and 3), and 0 elsewhere. For the architecture ``paths`` choices of every decision are drawn
    without replacement, the logits of the others are masked out, and one of these is the path; the
    gates of the sampled ones are differentiated (eq. 4), and where some are left out both logits
    are shifted after the step so that what is left out keeps its probability (section 3.2.1).
    ``None`` samples all, as the released code does by default (``full_v2``). What is not sampled
    is not computed, and a sampled one that is not the path leaves no graph.

    Latency enters by its expected value, whose derivative is exact, for all logits.

    Args:
        supernet: a supernet of :class:`SampledPaths`.
        generator: source of the initial logits, normal with deviation 0.001.
        rate: for Adam with momenta 0 and 0.999, so that logits without a gradient stay.
        paths: choices of a decision that are sampled for a step, 2 or more, or None for all.
        latency: None where it counts for nothing.

    Raises:
        ValueError: the rate is not positive, ``paths`` is below 2, or the latencies are of another
            space.
    """

    joint = False

    def __init__(
        self,
        supernet: SuperNet,
        *,
        generator: torch.Generator,
        rate: float,
        paths: int | None = 2,
        latency: LatencyTerm | None = None,
    ) -> None:
        if not rate > 0 or (paths is not None and paths < 2):
            raise ValueError(
                f"architecture rate {rate}, paths {paths}; give a positive rate, and 2 paths or "
                "more, or None for all"
            )
        if latency is not None and latency.table.space != supernet.space.description:
            raise ValueError(
                f"latencies of {latency.table.space} for networks of {supernet.space.description}"
                "; measure those of the space that is searched"
            )
        self.names = [decision.name for decision in supernet.space.decisions]
        self.held = supernet.choices
        self.logits = nn.ParameterList(
            1e-3 * torch.randn(len(held), generator=generator) for held in supernet.choices
        )
        self.policy: nn.Module = nn.ModuleDict({"logits": self.logits})
        self.policy.to(next(supernet.parameters()).device)
        self.optimizer: torch.optim.Optimizer = torch.optim.Adam(
            self.policy.parameters(), lr=rate, betas=(0.0, 0.999)
        )
        self.optimizer.register_step_post_hook(self._keep_the_others)
        self.paths, self.latency = paths, latency
        self.before: list[tuple[Tensor, Tensor]] = []
        sampled = "all paths" if paths is None else f"{paths} paths"
        priced = "" if latency is None else f", {latency.description}"
        self.description = f"proxyless, {sampled}, architecture rate {rate}{priced}"

    @torch.no_grad()
    def choice(self, done: float, generator: torch.Generator) -> list[Tensor]:
        """Return the gates of this step, ``(choices,)`` for each decision; see :class:`Method`."""
        return [
            _gates(drawn, torch.ones(1, device=vector.device), vector)
            for vector, drawn in self._drawn(1, generator)
        ]

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
        sampled, values, choice = [], [], []
        with torch.no_grad():
            for vector, drawn in self._drawn(self.paths, generator):
                among = vector[drawn] / vector[drawn].sum()
                active = torch.multinomial(among.cpu(), 1, generator=generator)
                sampled.append((drawn, among))
                values.append(torch.zeros_like(among).index_fill_(0, active.to(drawn.device), 1))
        for (drawn, _), gates, logits in zip(sampled, values, self.logits, strict=True):
            choice.append(_gates(drawn, gates.requires_grad_(), logits))
        loss = cross_entropy(supernet, validation, choice)
        by_gate = torch.autograd.grad(loss, values, allow_unused=True, materialize_grads=True)
        scale, found = self._of_latency(loss.detach())
        for gradient, (drawn, among), slope in zip(found, sampled, by_gate, strict=True):
            gradient.index_add_(0, drawn, scale * logit_gradient(slope, among))
        self.before = [
            (drawn, logits.detach()[drawn].logsumexp(0))
            for (drawn, _), logits in zip(sampled, self.logits, strict=True)
        ]
        return found

    def _of_latency(self, loss: Tensor) -> tuple[Tensor, list[Tensor]]:
        """Derivatives of the whole loss by that without latency, and by latency's parameters."""
        own = list(self.policy.parameters())
        if self.latency is None or not self.latency.weight:
            return torch.ones_like(loss), [torch.zeros_like(each) for each in own]
        loss = loss.clone().requires_grad_()
        vectors = [logits.softmax(0) for logits in self.logits]
        total = self.latency(loss, self.latency.table.expected(vectors, self.held))
        scale, *found = torch.autograd.grad(
            total, [loss, *own], allow_unused=True, materialize_grads=True
        )
        return scale, [each.clone() for each in found]

    @torch.no_grad()
    def _keep_the_others(self, *_: object) -> None:
        """Shift the sampled logits so that their probabilities add up to what they did before."""
        for logits, (drawn, total) in zip(self.logits, self.before, strict=False):
            if len(drawn) < len(logits):
                logits[drawn] -= logits[drawn].logsumexp(0) - total
        self.before = []

    def _drawn(self, count: int | None, generator: torch.Generator) -> list[tuple[Tensor, Tensor]]:
        """Probabilities of every decision, and the places of the choices drawn, ascending."""
        found = []
        for vector in self.probabilities(generator):
            # those rounded to 0 can still be drawn, where more must be drawn than are left
            chances = vector.cpu().clamp_min(torch.finfo(vector.dtype).tiny)
            places = len(vector) if count is None else min(count, len(vector))
            drawn = torch.multinomial(chances, places, generator=generator)
            found.append((vector, drawn.sort().values.to(vector.device)))
        return found

    def probabilities(self, generator: torch.Generator) -> list[Tensor]:
        """Return those of the choices held, ``(choices,)`` a decision; see :class:`Method`.

        Raises:
            DivergenceError: logits are not finite.
        """
        for name, logits in zip(self.names, self.logits, strict=True):
            if not logits.isfinite().all():
                raise DivergenceError(
                    f"the logits of {name!r} are not finite; lower the architecture rate"
                )
        return [logits.detach().softmax(0) for logits in self.logits]

    @torch.no_grad()
    def derive(
        self, supernet: SuperNet, validation: Batch, generator: torch.Generator
    ) -> Architecture:
        """Return the network found; the batch ``(B, C, H, W)``, ``(B,)`` is not used."""
        return derive(supernet, self.probabilities(generator))

    def measured(self, supernet: SuperNet, architecture: Architecture) -> Choice:
        """Return what measures a derived network; see :class:`Method`."""
        return architecture


def logit_gradient(by_gate: Tensor, probabilities: Tensor) -> Tensor:
    """Return the derivative by the logits from that by binary gates, ``(choices,)``.

    Eq. 4 of the paper: the derivative by a probability is taken to be that by its gate, so that
    that by logit i is the sum over j of ``by_gate[j] * p[j] * (delta(i, j) - p[i])``. It is exact
    for the expected loss where the loss is linear in the gates.
    """
    return probabilities * (by_gate - probabilities @ by_gate)


def _gates(drawn: Tensor, values: Tensor, of: Tensor) -> Tensor:
    """Sparse weights of one decision: those of what is drawn, and zero elsewhere."""
    return torch.sparse_coo_tensor(
        drawn[None], values, of.shape, check_invariants=True, is_coalesced=True
    )
