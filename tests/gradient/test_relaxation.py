"""The gradients of a relaxation against autograd written out, and the weights of edges."""

from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from nascence.data import Batch
from nascence.gradient.gates import Gate, concrete_gate, softmax_gate, straight_through_gate
from nascence.gradient.operations import partial_channels
from nascence.gradient.relaxation import Relaxation, incoming_edges
from nascence.spaces import NB201, Darts, Mobile, SmallSpace
from nascence.supernets import SuperNet


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def relaxed(supernet: SuperNet, **settings) -> Relaxation:
    settings = {"gate": softmax_gate, "rate": 0.1, "decay": 0.0, **settings}
    return Relaxation(supernet, generator=seeded(), **settings)


def batches(count: int = 2) -> list[Batch]:
    return [
        (torch.randn(8, 3, 8, 8, generator=seeded(k)), torch.arange(8) % 2) for k in range(count)
    ]


def test_the_first_order_is_the_gradient_on_the_validation_batch(supernet: SuperNet) -> None:
    method = relaxed(supernet)
    train, validation = batches()
    found = method.gradients(supernet, train, validation, done=0.0, rate=0.1, generator=seeded())
    logits = [each.detach().requires_grad_() for each in method.learned.logits]
    answers = supernet(validation[0], [each.softmax(0) for each in logits])
    expected = torch.autograd.grad(functional.cross_entropy(answers, validation[1]), logits)
    assert found[0].numel() == 0  # no weights of edges
    for mine, theirs in zip(found[1:], expected, strict=True):
        torch.testing.assert_close(mine, theirs)
    assert all(parameter.grad is None for parameter in supernet.parameters())


def test_a_rate_of_zero_makes_the_second_order_the_first(supernet: SuperNet) -> None:
    """With random gates as well: all losses of a step see the same."""
    train, validation = batches()
    gate = concrete_gate(1.0, 0.5)
    given = {"done": 0.3, "rate": 0.0}
    one, two = (relaxed(supernet, gate=gate, order=order) for order in (1, 2))
    first = one.gradients(supernet, train, validation, **given, generator=seeded(4))
    second = two.gradients(supernet, train, validation, **given, generator=seeded(4))
    for mine, theirs in zip(first, second, strict=True):
        torch.testing.assert_close(mine, theirs)


class Lottery(nn.Module):
    """In place of a supernet: each choice of one decision has a loss of its own."""

    choices = ((0, 1, 2, 3),)

    def __init__(self) -> None:
        super().__init__()
        self.unused = nn.Parameter(torch.zeros(()))

    def forward(self, images: Tensor, choice: list[Tensor]) -> Tensor:
        value = (choice[0] * torch.tensor([0.0, 1.0, 3.0, 2.0])).sum()
        return torch.stack((torch.zeros(len(images)), value.expand(len(images))), 1)


@pytest.mark.parametrize("order", [1, 2])
@pytest.mark.parametrize(
    "gate", [softmax_gate, concrete_gate(1.0, 0.3), straight_through_gate(2.0, 0.5)]
)
def test_the_best_choice_is_learned(gate: Gate, order: int) -> None:
    lottery: Any = Lottery()
    method = relaxed(lottery, gate=gate, order=order)
    batch = (torch.zeros(4, 3, 2, 2), torch.ones(4, dtype=torch.long))
    for step in range(150):
        (_, gradient) = method.gradients(
            lottery, batch, batch, done=step / 150, rate=0.1, generator=seeded(step)
        )
        method.learned.logits[0].grad = gradient
        method.optimizer.step()
    assert float(method.probabilities(seeded())[0][2]) > 0.8


def test_edges_into_a_node_share_its_input() -> None:
    supernet = partial_channels(SuperNet(NB201(width=8, cells=1)), parts=4)
    groups = incoming_edges(supernet)
    assert groups == [[0], [1, 2], [3, 4, 5]]
    method = relaxed(supernet, edges=groups)
    with torch.no_grad():
        method.learned.edge_logits.copy_(torch.tensor([5.0, 0.0, 1.0, 2.0, 0.0, 1.0]))
    totals = [float(vector.sum().detach()) for vector in method.choice(0.0, seeded())]
    expected = [
        1.0, *torch.tensor([0.0, 1.0]).softmax(0).tolist(),
        *torch.tensor([2.0, 0.0, 1.0]).softmax(0).tolist(),
    ]  # fmt: skip
    assert totals == pytest.approx(expected, abs=1e-6)
    measured = method.measured(supernet, (3, 0, 1, 2, 4, 0))
    assert [float(vector.sum()) for vector in measured] == pytest.approx(
        [1, 0, *expected[2:5], 0], abs=1e-6
    )
    assert [int(vector.argmax()) for vector in measured] == [3, 0, 1, 2, 4, 0]


def test_edges_decide_which_two_a_node_keeps() -> None:
    """Of Darts: equal operations everywhere, and weights of the edges that differ."""
    supernet = SuperNet(Darts(width=4, cells=3))
    groups = incoming_edges(supernet)
    assert [len(group) for group in groups] == [2, 3, 4, 5] * 2
    method = relaxed(supernet, edges=groups)
    strong = [group[-1] for group in groups] + [group[0] for group in groups]
    with torch.no_grad():
        method.learned.edge_logits[strong] = 1.0
        for logits in method.learned.logits:
            logits.copy_(torch.arange(8.0))
    validation = batches()[0]
    derived = method.derive(supernet, validation, seeded())
    assert sorted(place for place, index in enumerate(derived) if index) == sorted(strong)


def test_without_edges_a_derived_network_is_measured_by_its_path(supernet: SuperNet) -> None:
    method = relaxed(supernet)
    assert method.measured(supernet, (1, 2, 3, 4)) == (1, 2, 3, 4)
    expected = [logits.detach().softmax(0) for logits in method.learned.logits]
    for mine, theirs in zip(method.probabilities(seeded()), expected, strict=True):
        assert torch.equal(mine, theirs)


def test_decisions_that_are_no_edges() -> None:
    for space in (Mobile(width=0.1, last=16), NB201(width=(4, 8), cells=1)):
        supernet = SuperNet(SmallSpace(width=4))
        supernet.space = space
        with pytest.raises(ValueError, match="is not an edge of a cell"):
            incoming_edges(supernet)


def test_impossible_settings(supernet: SuperNet) -> None:
    with pytest.raises(ValueError, match="order is 3"):
        relaxed(supernet, order=3)
    for settings in ({"rate": 0.0}, {"decay": -1.0}):
        with pytest.raises(ValueError, match="give positive numbers"):
            relaxed(supernet, **settings)
