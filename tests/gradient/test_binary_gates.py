"""Binary gates against enumeration: what is drawn, what is learned from it, what stays."""

import itertools
from collections import Counter
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from nascence.gradient import binary_gates
from nascence.gradient.binary_gates import BinaryGates, logit_gradient
from nascence.gradient.operations import sampled_paths
from nascence.latency.table import LatencyTable, LatencyTerm
from nascence.spaces import Mobile, SmallSpace
from nascence.supernets import SuperNet, split
from nascence.training import DivergenceError

LOGITS = torch.tensor([0.3, -0.5, 1.0])
GIVEN: dict[str, Any] = {"done": 0.5, "rate": 0.1}


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@pytest.fixture
def part() -> SuperNet:
    """Three choices are left at one edge, all other edges are fixed to convolutions."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        whole = SuperNet(SmallSpace(width=4, classes=2))
    choices = [(1, 2, 3), *([3],) * 3]
    return sampled_paths(whole.restrict(choices))


def gates(supernet: SuperNet, logits: Tensor = LOGITS, **settings: Any) -> BinaryGates:
    method = BinaryGates(supernet, generator=seeded(), **{"rate": 0.1, **settings})
    with torch.no_grad():
        method.logits[0].copy_(logits)
    return method


def batch() -> tuple[Tensor, Tensor]:
    return torch.randn(8, 3, 8, 8, generator=seeded(3)), torch.arange(8) % 2


def by_gates(supernet: SuperNet, active: int) -> Tensor:
    """Derivative of the loss by all gates of the first decision, at one path: all are computed."""
    hard = [torch.eye(3)[active], *(torch.ones(1) for _ in range(3))]
    hard[0].requires_grad_()
    loss = functional.cross_entropy(supernet(batch()[0], hard), batch()[1])
    return torch.autograd.grad(loss, hard[0])[0]


def outcomes(supernet: SuperNet, count: int | None) -> dict[tuple[float, ...], float]:
    """Every gradient that a step can give, with its probability, by enumeration."""
    p = LOGITS.softmax(0)
    found: dict[tuple[float, ...], float] = {}
    size = 3 if count is None else count
    for drawn in itertools.combinations(range(3), size):
        chance = 0.0
        for order in itertools.permutations(drawn):  # one after the other, none twice
            left, product = 1.0, 1.0
            for index in order:
                product *= float(p[index]) / left
                left -= float(p[index])
            chance += product
        within = p[list(drawn)] / p[list(drawn)].sum()
        for place, active in enumerate(drawn):
            slope = by_gates(supernet, active)[list(drawn)]
            gradient = torch.zeros(3)
            for i, j in itertools.product(range(size), repeat=2):
                gradient[drawn[i]] += slope[j] * within[j] * (float(i == j) - within[i])
            found[tuple(gradient.tolist())] = chance * float(within[place])
    return found


@pytest.mark.parametrize("count", [2, None])
def test_gradients_are_those_of_the_enumeration_as_often_as_there(
    part: SuperNet, count: int | None
) -> None:
    """Section 3.2.1 of the paper: pairs drawn without replacement, and one of them is the path."""
    method, expected = gates(part, paths=count), outcomes(part, count)
    assert sum(expected.values()) == pytest.approx(1)
    draws, seen = 120, Counter[tuple[float, ...]]()
    for seed in range(draws):
        found = method.gradients(part, batch(), batch(), **GIVEN, generator=seeded(seed))
        assert all(not each.any() for each in found[1:])
        near = min(expected, key=lambda each: float((torch.tensor(each) - found[0]).norm()))
        torch.testing.assert_close(found[0], torch.tensor(near), atol=1e-5, rtol=1e-3)
        seen[near] += 1
    for outcome, chance in expected.items():
        spread = (draws * chance * (1 - chance)) ** 0.5
        assert abs(seen[outcome] - draws * chance) < 4 * spread + 1


def test_the_derivative_by_logits_is_exact_where_the_loss_is_linear() -> None:
    slopes = torch.tensor([0.2, -1.0, 3.0])
    logits = LOGITS.clone().requires_grad_()
    (expected,) = torch.autograd.grad(logits.softmax(0) @ slopes, logits)
    torch.testing.assert_close(logit_gradient(slopes, LOGITS.softmax(0)), expected)


def test_a_linear_loss_gives_its_gradient_whatever_is_drawn(
    part: SuperNet, monkeypatch: pytest.MonkeyPatch
) -> None:
    slopes = torch.tensor([0.2, -1.0, 3.0])
    monkeypatch.setattr(
        binary_gates, "cross_entropy", lambda net, given, choice: choice[0].to_dense() @ slopes
    )
    logits = LOGITS.clone().requires_grad_()
    (exact,) = torch.autograd.grad(logits.softmax(0) @ slopes, logits)
    for seed in range(3):
        method = gates(part, paths=None)
        found = method.gradients(part, batch(), batch(), **GIVEN, generator=seeded(seed))
        torch.testing.assert_close(found[0], exact)
        pair = gates(part).gradients(part, batch(), batch(), **GIVEN, generator=seeded(seed))[0]
        drawn = pair.nonzero().squeeze(1)
        own = LOGITS[drawn].clone().requires_grad_()
        (among,) = torch.autograd.grad(own.softmax(0) @ slopes[drawn], own)
        torch.testing.assert_close(pair[drawn], among)


def test_what_is_not_sampled_keeps_its_probability(part: SuperNet) -> None:
    method = gates(part)
    for seed in range(5):
        before = method.probabilities(seeded())[0]
        gradient = method.gradients(part, batch(), batch(), **GIVEN, generator=seeded(seed))
        for logits, each in zip(method.logits, gradient, strict=True):
            logits.grad = each
        method.optimizer.step()
        method.optimizer.zero_grad(set_to_none=True)
        after, drawn = method.probabilities(seeded())[0], gradient[0] != 0
        torch.testing.assert_close(after[~drawn], before[~drawn])
        assert (drawn.sum(), bool((after[drawn] != before[drawn]).all())) == (2, True)


def test_one_path_is_drawn_as_often_as_it_is_likely(part: SuperNet) -> None:
    method = gates(part)
    draws = 2000
    drawn = [method.choice(0.0, generator) for generator in [seeded(5)] for _ in range(draws)]
    assert all(each.indices().shape == (1, 1) and each.values().item() == 1 for each, *_ in drawn)
    counts = torch.stack([each.to_dense() for each, *_ in drawn]).sum(0)
    chances = LOGITS.softmax(0)
    assert ((counts - draws * chances).abs() < 4 * (draws * chances * (1 - chances)).sqrt()).all()
    path = method.choice(0.0, seeded(1))
    architecture = tuple(
        held[int(each.indices())] for held, each in zip(part.choices, path, strict=True)
    )
    torch.testing.assert_close(part(batch()[0], path), part(batch()[0], architecture))


def test_nothing_but_the_sampled_paths_is_computed() -> None:
    """At every block one candidate, or two of which one leaves a graph; identities too."""
    space = Mobile(width=0.1, classes=2, last=8, depths=(2, 1, 1, 1, 1, 1))
    net = sampled_paths(SuperNet(space))
    ran: list[tuple[int, bool]] = []

    def note(place: int, output: Tensor) -> None:
        ran.append((place, output.requires_grad))

    for mixed in net.operations():
        for candidate in mixed.candidates.values():
            candidate.register_forward_hook(
                lambda module, given, output, place=mixed.place: note(place, output)
            )
    method = BinaryGates(net, generator=seeded(), rate=0.1)
    with torch.no_grad():
        method.logits[1][6] = 5.0  # the identity, which has no parameters
    images = torch.randn(4, 3, 32, 32), torch.arange(4) % 2
    net(images[0], method.choice(0.0, seeded()))
    assert ran == [(place, True) for place in range(7)]
    ran.clear()
    found = method.gradients(net, images, images, **GIVEN, generator=seeded())
    assert sorted(ran) == [(place, graph) for place in range(7) for graph in (False, True)]
    assert all(int((each != 0).sum()) == 2 for each in found)
    assert all(parameter.grad is None for parameter in net.parameters())


def latencies(space: SmallSpace) -> LatencyTable:
    values = torch.rand(4, 6, generator=seeded(7)) + 1
    rows = tuple(tuple(row) for row in values.tolist())
    return LatencyTable(space.description, 8, 1, space.decisions, 2.0, rows)


@pytest.mark.parametrize("form", ["additive", "multiplicative"])
def test_latency_adds_its_exact_derivative(part: SuperNet, form: Any) -> None:
    """The gates' part times the derivative of the whole by the loss, and autograd of the rest."""
    table = latencies(part.space)  # type: ignore[arg-type]
    term = LatencyTerm(table, 0.7, 6.0, form)
    plain = gates(part).gradients(part, batch(), batch(), **GIVEN, generator=seeded(2))
    found = gates(part, latency=term).gradients(
        part, batch(), batch(), **GIVEN, generator=seeded(2)
    )
    active = gates(part)
    loss = _loss(active, part, seed=2).requires_grad_()
    logits = LOGITS.clone().requires_grad_()
    rows = table.choices
    held = torch.tensor([rows[0][index] for index in (1, 2, 3)])
    fixed = table.fixed + sum(rows[place][3] for place in (1, 2, 3))
    total = term(loss, logits.softmax(0) @ held + fixed)
    scale, by_logits = torch.autograd.grad(total, [loss, logits])
    torch.testing.assert_close(found[0], scale * plain[0] + by_logits, atol=1e-6, rtol=1e-4)


def _loss(method: BinaryGates, net: SuperNet, *, seed: int) -> Tensor:
    """The loss that a step of this seed saw."""
    seen: list[Tensor] = []
    original = binary_gates.cross_entropy

    def keep(*given: Any) -> Tensor:
        seen.append(original(*given))
        return seen[0]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(binary_gates, "cross_entropy", keep)
        method.gradients(net, batch(), batch(), **GIVEN, generator=seeded(seed))
    return seen[0].detach()


class Lottery(nn.Module):
    """In place of a supernet: each choice of one decision has a loss of its own."""

    choices = ((0, 1, 2, 3),)

    def __init__(self) -> None:
        super().__init__()
        self.space = SmallSpace(width=4)
        self.unused = nn.Parameter(torch.zeros(()))

    def forward(self, images: Tensor, choice: list[Tensor]) -> Tensor:
        value = (choice[0].to_dense() * torch.tensor([0.0, 1.0, 3.0, 2.0])).sum()
        return torch.stack((torch.zeros(len(images)), value.expand(len(images))), 1)


@pytest.mark.parametrize("count", [2, 3, None])
def test_the_best_choice_is_learned(count: int | None, monkeypatch: pytest.MonkeyPatch) -> None:
    lottery: Any = Lottery()
    lottery.space = type("Space", (), {"decisions": lottery.space.decisions[:1]})
    method = BinaryGates(lottery, generator=seeded(), rate=0.1, paths=count)
    images = (torch.zeros(4, 3, 2, 2), torch.ones(4, dtype=torch.long))
    for step in range(150):
        (gradient,) = method.gradients(lottery, images, images, **GIVEN, generator=seeded(step))
        method.logits[0].grad = gradient
        method.optimizer.step()
    assert float(method.probabilities(seeded())[0][2]) > 0.8


def test_logits_that_are_not_finite_are_named(part: SuperNet) -> None:
    method = gates(part, torch.tensor([0.0, float("nan"), 1.0]))
    for use in (
        lambda: method.choice(0.0, seeded()),
        lambda: method.gradients(part, batch(), batch(), **GIVEN, generator=seeded()),
        lambda: method.derive(part, batch(), seeded()),
    ):
        with pytest.raises(DivergenceError, match="logits of 'edge_0_1' are not finite"):
            use()


def test_a_certain_choice_still_gives_a_pair(part: SuperNet) -> None:
    """Probabilities that are rounded to 0 are drawn where nothing else is left."""
    method = gates(part, torch.tensor([0.0, -1e4, -1e4]))
    found = method.gradients(part, batch(), batch(), **GIVEN, generator=seeded())
    assert all(bool(each.isfinite().all()) for each in found)
    assert method.derive(part, batch(), seeded()) == (1, 3, 3, 3)


def test_settings_that_are_refused(part: SuperNet) -> None:
    for settings in ({"rate": 0.0}, {"paths": 1}):
        with pytest.raises(ValueError, match="give a positive rate, and 2 paths"):
            gates(part, **settings)
    other = LatencyTerm(latencies(SmallSpace(width=8)))
    with pytest.raises(ValueError, match="measure those of the space that is searched"):
        gates(part, latency=other)
    (first, *_) = split(SuperNet(SmallSpace(width=4, classes=2)), ["edge_0_1"])
    assert len(BinaryGates(first, generator=seeded(), rate=0.1).logits[0]) == 1
