"""The LSTM that draws architectures.

Pham et al., "Efficient Neural Architecture Search via Parameter Sharing" (ENAS), ICML 2018,
section 2.2, after Zoph and Le, ICLR 2017.
"""

from typing import NamedTuple

import torch
from torch import Tensor, nn

from nascence.spaces import Architecture, Cellular
from nascence.supernets import SuperNet
from nascence.training import DivergenceError


class Draw(NamedTuple):
    """Architectures drawn by a controller.

    Attributes:
        architectures: that the supernet holds.
        log_probabilities: natural, (count,), with their graph.
        entropies: of the decisions along each, added up, in nats, (count,), with their graph.
        probabilities: for each decision of the choices held, (count, choices), without graph.
        states: states of the LSTM after the last decision, (count, 2, hidden), without graph.
    """

    architectures: list[Architecture]
    log_probabilities: Tensor
    entropies: Tensor
    probabilities: list[Tensor]
    states: Tensor


class Beam(NamedTuple):
    """Beginnings of architectures which a controller of later decisions continues.

    Attributes:
        architectures: the decisions before its first, of each.
        states: states of the LSTM that drew them, (count, 2, hidden).
    """

    architectures: list[Architecture]
    states: Tensor


class Controller(nn.Module):
    """An LSTM that decides one decision after the other, each knowing those before.

    Where a space fixes how many edges into a node are not ``none`` (DARTS: two), choices that
    could not be completed have probability 0, so every draw is legal and held.

    Args:
        supernet: whose choices are drawn from.
        hidden: units of the LSTM.
        scale: logits are ``scale * tanh(logits / temperature)`` (Bello et al., "Neural
            Combinatorial Optimization", 2017), so that no choice becomes certain too early.
            None takes them as they are.
        temperature: see ``scale``.
        first: number of the decision with which it begins; those before come with each draw, as
            in a search that grows (Gong et al., "AutoGAN", ICCV 2019, section 3.3).

    Raises:
        ValueError: ``hidden``, ``scale`` or ``temperature`` is not positive, or ``first`` is no
            decision.
    """

    def __init__(
        self,
        supernet: SuperNet,
        *,
        hidden: int = 64,
        scale: float | None = 2.5,
        temperature: float = 5.0,
        first: int = 0,
    ) -> None:
        super().__init__()
        if hidden < 1 or (scale is not None and not scale > 0) or not temperature > 0:
            raise ValueError(
                f"hidden {hidden}, scale {scale}, temperature {temperature}; give positive numbers"
            )
        if not 0 <= first < len(supernet.choices):
            raise ValueError(f"first is {first}; give 0 to {len(supernet.choices) - 1}")
        self.scale, self.temperature, self.choices = scale, temperature, supernet.choices
        self.first = first
        self.names = [decision.name for decision in supernet.space.decisions]
        sizes = [len(decision.choices) for decision in supernet.space.decisions[first:]]
        self.start = nn.Parameter(torch.empty(hidden).uniform_(-0.1, 0.1))
        self.embeddings = nn.ModuleList(nn.Embedding(size, hidden) for size in sizes)
        self.cell = nn.LSTMCell(hidden, hidden)
        self.heads = nn.ModuleList(nn.Linear(hidden, size) for size in sizes)
        for parameter in self.parameters():
            nn.init.uniform_(parameter, -0.1, 0.1)
        self.groups = _groups(supernet)

    def draw(self, count: int, *, generator: torch.Generator, beam: Beam | None = None) -> Draw:
        """Draw architectures, independent of each other; each continues one of ``beam``, if given.

        Raises:
            DivergenceError: logits that are not finite.
        """
        chosen = None
        if beam is not None:
            chosen = torch.randint(len(beam.architectures), (count,), generator=generator)
        return self._run(count, None, generator, *self._beginnings(count, beam, chosen))

    def of(self, architectures: list[Architecture], *, beam: Beam | None = None) -> Draw:
        """Return the probabilities of given architectures that the supernet holds.

        With ``beam``, those of continuing its beginnings so.
        """
        chosen = None
        if beam is not None:
            places = [beam.architectures.index(each[: self.first]) for each in architectures]
            chosen = torch.tensor(places)
        count, given = len(architectures), torch.tensor(architectures)
        return self._run(count, given, torch.Generator(), *self._beginnings(count, beam, chosen))

    def _beginnings(
        self, count: int, beam: Beam | None, chosen: Tensor | None
    ) -> tuple[list[Tensor], tuple[Tensor, Tensor] | None]:
        """The columns of the decisions already taken, and the state of the LSTM after them."""
        if beam is None or chosen is None:
            if self.first:
                raise ValueError(f"{self.first} decisions stand before the first; give a beam")
            return [], None
        device = self.start.device
        taken = torch.tensor(beam.architectures, device=device)[chosen.to(device)]
        states = beam.states.to(device)[chosen.to(device)]
        return list(taken.unbind(1)), (states[:, 0], states[:, 1])

    def _run(
        self,
        count: int,
        given: Tensor | None,
        generator: torch.Generator,
        columns: list[Tensor],
        state: tuple[Tensor, Tensor] | None,
    ) -> Draw:
        device = self.start.device
        token = self.start.expand(count, -1)
        total = torch.zeros(count, device=device)
        entropies = torch.zeros(count, device=device)
        probabilities = []
        for place, held in enumerate(self.choices[self.first :], self.first):
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
            token = self.embeddings[place - self.first](columns[-1])
        rows = torch.stack(columns, 1).tolist()
        assert state is not None
        states = torch.stack([each.detach() for each in state], 1)
        return Draw([tuple(row) for row in rows], total, entropies, probabilities, states)

    def _logits(self, place: int, hidden: Tensor) -> Tensor:
        raw = self.heads[place - self.first](hidden)[:, list(self.choices[place])]
        if not raw.isfinite().all():
            raise DivergenceError(
                f"the controller's logits of {self.names[place]!r} are not finite; lower its "
                "learning rate"
            )
        if self.scale is None:
            return raw
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


def _groups(supernet: SuperNet) -> list[tuple[int, ...]]:
    """Decisions of which exactly two are not the first choice, ``none``: the edges into a node."""
    space = supernet.space
    cells = space.cell_graphs if isinstance(space, Cellular) else ()
    return [group for cell in cells if cell.inputs == 2 for group in cell.incoming()]
