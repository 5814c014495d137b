"""The LSTM that draws architectures, and its policy gradient.

Pham et al., "Efficient Neural Architecture Search via Parameter Sharing" (ENAS), ICML 2018,
section 2.2, after Zoph and Le, ICLR 2017.
"""

from typing import NamedTuple

import torch
from torch import Tensor, nn

from nascence.data import Batch
from nascence.search.gradient.derivation import check_derivable
from nascence.search.latency import LatencyTerm
from nascence.spaces import Architecture, Darts, Restricted, SuperNet
from nascence.spaces.darts import INCOMING
from nascence.training import DivergenceError


class Draw(NamedTuple):
    """Architectures drawn by a controller.

    Attributes:
        architectures: that the supernet holds.
        log_probabilities: natural, (count,), with their graph.
        entropies: of the decisions along each, added up, in nats, (count,), with their graph.
        probabilities: for each decision of the choices held, (count, choices), without graph.
    """

    architectures: list[Architecture]
    log_probabilities: Tensor
    entropies: Tensor
    probabilities: list[Tensor]


class Controller(nn.Module):
    """An LSTM that decides one decision after the other, each knowing those before.

    Where a space fixes how many edges into a node are not ``none`` (DARTS: two), choices that
    could not be completed have probability 0, so every draw is legal and held.

    Args:
        supernet: whose choices are drawn from.
        hidden: units of the LSTM.
        scale: logits are ``scale * tanh(logits / temperature)`` (Bello et al., "Neural
            Combinatorial Optimization", 2017), so that no choice becomes certain too early.
        temperature: see ``scale``.
    """

    def __init__(
        self,
        supernet: SuperNet,
        *,
        hidden: int = 64,
        scale: float = 2.5,
        temperature: float = 5.0,
    ) -> None:
        super().__init__()
        if hidden < 1 or not scale > 0 or not temperature > 0:
            raise ValueError(
                f"hidden {hidden}, scale {scale}, temperature {temperature}; give positive numbers"
            )
        self.scale, self.temperature, self.choices = scale, temperature, supernet.choices
        self.names = [decision.name for decision in supernet.space.decisions]
        sizes = [len(decision.choices) for decision in supernet.space.decisions]
        self.start = nn.Parameter(torch.empty(hidden).uniform_(-0.1, 0.1))
        self.embeddings = nn.ModuleList(nn.Embedding(size, hidden) for size in sizes)
        self.cell = nn.LSTMCell(hidden, hidden)
        self.heads = nn.ModuleList(nn.Linear(hidden, size) for size in sizes)
        for parameter in self.parameters():
            nn.init.uniform_(parameter, -0.1, 0.1)
        self.groups = _groups(supernet)

    def draw(self, count: int, *, generator: torch.Generator) -> Draw:
        """Draw architectures; independent of each other.

        Raises:
            DivergenceError: logits that are not finite.
        """
        return self._run(count, None, generator)

    def of(self, architectures: list[Architecture]) -> Draw:
        """Return the probabilities of given architectures that the supernet holds."""
        return self._run(len(architectures), torch.tensor(architectures), torch.Generator())

    def _run(self, count: int, given: Tensor | None, generator: torch.Generator) -> Draw:
        device = self.start.device
        token = self.start.expand(count, -1)
        state = None
        total = torch.zeros(count, device=device)
        entropies = torch.zeros(count, device=device)
        columns: list[Tensor] = []
        probabilities = []
        for place, held in enumerate(self.choices):
            state = self.cell(token, state)
            logits = self._logits(place, state[0])
            logits = logits.masked_fill(
                ~self._allowed(place, columns, count).to(device), -torch.inf
            )
            logs = logits.log_softmax(1)
            chances = logs.exp()
            if given is None:
                drawn = torch.multinomial(chances.detach().cpu(), 1, generator=generator)
                within = drawn.squeeze(1).to(device)
            else:
                within = (given[:, place, None] == torch.tensor(held)).int().argmax(1).to(device)
            total = total + logs.gather(1, within[:, None]).squeeze(1)
            entropies = entropies - (chances * logs.masked_fill(chances == 0, 0)).sum(1)
            probabilities.append(chances.detach())
            columns.append(torch.tensor(held, device=device)[within])
            token = self.embeddings[place](columns[-1])
        rows = torch.stack(columns, 1).tolist()
        return Draw([tuple(row) for row in rows], total, entropies, probabilities)

    def _logits(self, place: int, hidden: Tensor) -> Tensor:
        raw = self.heads[place](hidden)[:, list(self.choices[place])]
        if not raw.isfinite().all():
            raise DivergenceError(
                f"the controller's logits of {self.names[place]!r} are not finite; lower its "
                "learning rate"
            )
        return self.scale * (raw / self.temperature).tanh()

    def _allowed(self, place: int, columns: list[Tensor], count: int) -> Tensor:
        """Which of the held choices can still lead to a legal architecture: (count, choices)."""
        held = torch.tensor(self.choices[place])
        allowed = torch.ones(count, len(held), dtype=torch.bool)
        for group in self.groups:
            if place not in group:
                continue
            later = [self.choices[each] for each in group if each > place]
            forced = sum(0 not in each for each in later)
            possible = sum(any(each) for each in later)
            kept = sum((columns[each].cpu() != 0).long() for each in group if each < place)
            now = torch.as_tensor(kept).expand(count)[:, None] + (held != 0).long()
            allowed = (now + forced <= 2) & (now + possible >= 2)
        return allowed


class PolicyGradient:
    """Learns a controller by REINFORCE with a moving-average baseline and an entropy bonus.

    Williams, "Simple Statistical Gradient-Following Algorithms", 1992; ENAS, section 2.2. The
    reward is the accuracy of a drawn network, with shared weights, on one batch.

    Args:
        supernet: whose choices are drawn from.
        rate: of Adam.
        samples: networks drawn in each step of the controller.
        entropy: weight of the entropy of a draw, in nats.
        baseline_decay: of the moving average of rewards.
        candidates: networks drawn to derive one, of which the most accurate on a batch is taken.
        hidden, scale, temperature: of :class:`Controller`.
    """

    joint = False
    latency: LatencyTerm | None = None

    def __init__(
        self,
        supernet: SuperNet,
        *,
        rate: float,
        samples: int = 4,
        entropy: float = 1e-4,
        baseline_decay: float = 0.95,
        candidates: int = 10,
        hidden: int = 64,
        scale: float = 2.5,
        temperature: float = 5.0,
    ) -> None:
        if samples < 1 or candidates < 1 or not 0 <= baseline_decay < 1 or not rate > 0:
            raise ValueError(
                f"samples {samples}, candidates {candidates}, baseline_decay {baseline_decay}, "
                f"rate {rate}; give 1 or more, 1 or more, a number in [0, 1), a positive one"
            )
        check_derivable(supernet)
        self.controller = Controller(supernet, hidden=hidden, scale=scale, temperature=temperature)
        self.controller.register_buffer("baseline", torch.zeros(()))
        self.controller.register_buffer("rewarded", torch.zeros((), dtype=torch.bool))
        self.controller.to(next(supernet.parameters()).device)
        self.policy: nn.Module = self.controller
        self.optimizer: torch.optim.Optimizer = torch.optim.Adam(
            self.controller.parameters(), lr=rate
        )
        self.samples, self.entropy, self.baseline_decay = samples, entropy, baseline_decay
        self.candidates = candidates
        self.description = (
            f"enas, rate {rate}, samples {samples}, entropy {entropy}, baseline decay "
            f"{baseline_decay}, candidates {candidates}, hidden {hidden}, scale {scale}, "
            f"temperature {temperature}"
        )

    @torch.no_grad()
    def choice(self, done: float, generator: torch.Generator) -> Architecture:
        return self.controller.draw(1, generator=generator).architectures[0]

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
        drawn = self.controller.draw(self.samples, generator=generator)
        accuracies = [_accuracy(supernet, validation, each) for each in drawn.architectures]
        rewards = torch.tensor(accuracies, device=drawn.entropies.device)
        rewards = rewards + self.entropy * drawn.entropies.detach()
        if not self.controller.get_buffer("rewarded"):
            self._remember(rewards)
        loss = self.loss(drawn, rewards, baseline=self.controller.get_buffer("baseline"))
        own = list(self.controller.parameters())
        found = torch.autograd.grad(loss, own, allow_unused=True, materialize_grads=True)
        self._remember(rewards)
        return list(found)

    def loss(self, drawn: Draw, rewards: Tensor, *, baseline: Tensor) -> Tensor:
        """Return the scalar whose gradient is the estimate.

        It is unbiased, whatever the baseline, for minus the gradient of the expected accuracy plus
        ``entropy`` times the entropy of the controller's distribution.

        Args:
            drawn: by the controller.
            rewards: accuracies plus ``entropy`` times the entropies along each draw, (count,).
            baseline: scalar.
        """
        surplus = (rewards - baseline).detach()
        return -(surplus * drawn.log_probabilities + self.entropy * drawn.entropies).mean()

    def probabilities(self, generator: torch.Generator) -> list[Tensor]:
        with torch.no_grad():
            drawn = self.controller.draw(64, generator=generator)
        return [each.mean(0) for each in drawn.probabilities]

    @torch.no_grad()
    def derive(
        self, supernet: SuperNet, validation: Batch, generator: torch.Generator
    ) -> Architecture:
        """Draw several networks and take the one with the highest reward (section 2.3)."""
        drawn = self.controller.draw(self.candidates, generator=generator).architectures
        return max(drawn, key=lambda each: _accuracy(supernet, validation, each))

    def measured(self, supernet: SuperNet, architecture: Architecture) -> Architecture:
        return architecture

    def _remember(self, rewards: Tensor) -> None:
        baseline = self.controller.get_buffer("baseline")
        rewarded = self.controller.get_buffer("rewarded")
        kept = self.baseline_decay if rewarded else 0.0
        baseline.copy_(kept * baseline + (1 - kept) * rewards.mean())
        rewarded.fill_(True)


@torch.no_grad()
def _accuracy(supernet: SuperNet, batch: Batch, architecture: Architecture) -> float:
    logits = supernet(batch[0], architecture)
    return (logits.argmax(1) == batch[1]).float().mean().item()


def _groups(supernet: SuperNet) -> list[tuple[int, ...]]:
    """Decisions of which exactly two are not the first choice, ``none``: the edges into a node."""
    space: object = supernet.space
    if isinstance(space, Restricted):
        space = space.space
    if not isinstance(space, Darts):
        return []
    return [tuple(range(start, start + node)) for _, node, start in INCOMING]
