"""The controller on spaces that can be listed: its distribution, and beginnings to continue."""

import math

import pytest
import torch

from nascence.controllers.controller import Beam, Controller
from nascence.spaces import NB201, Darts, Mobile
from nascence.supernets import SuperNet
from nascence.training import DivergenceError
from tests.supernets_for_tests import listed, part_of_eight


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def controller_of(supernet: SuperNet, **settings) -> Controller:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return Controller(supernet, hidden=8, **settings)


def test_probabilities_add_up_to_one_and_are_those_of_the_draws(supernet: SuperNet) -> None:
    controller = controller_of(part_of_eight(supernet), temperature=0.1)
    everything = listed(part_of_eight(supernet))
    chances = controller.of(everything).log_probabilities.exp().detach()
    assert float(chances.sum()) == pytest.approx(1, abs=1e-5)
    drawn = controller.draw(4000, generator=seeded())
    for architecture, chance in zip(everything, chances.tolist(), strict=True):
        count = drawn.architectures.count(architecture)
        assert abs(count - 4000 * chance) < 4 * math.sqrt(4000 * chance * (1 - chance))
    again = controller.of(drawn.architectures)
    torch.testing.assert_close(again.log_probabilities, drawn.log_probabilities)
    torch.testing.assert_close(again.entropies, drawn.entropies)


@pytest.mark.parametrize("space", [NB201(width=4, cells=1), Mobile(width=0.1, last=16)])
def test_draws_of_any_space(space) -> None:
    supernet = SuperNet(space)
    drawn = Controller(supernet).draw(20, generator=seeded())
    assert all(supernet.check(architecture) for architecture in drawn.architectures)
    assert len(set(drawn.architectures)) == 20


def test_draws_of_darts_are_legal_in_every_part() -> None:
    supernet = SuperNet(Darts(width=4, cells=3))
    names = [name for name, _ in supernet.space.decisions]
    fixed = {"normal_0_3": (4,), "normal_2_4": (0,), "reduce_0_5": (1, 2), "reduce_3_5": (5,)}
    part = supernet.restrict([fixed.get(name, tuple(range(8))) for name in names])
    for net in (supernet, part):
        drawn = Controller(net).draw(200, generator=seeded())
        for architecture in drawn.architectures:
            assert net.space.canonical(net.check(architecture))
        assert len(set(drawn.architectures)) == 200


def test_a_controller_of_later_decisions_continues_a_beam(supernet: SuperNet) -> None:
    """Its first decisions are those of a beginning, drawn uniformly, and so is its state."""
    part = part_of_eight(supernet)
    early = Controller(part, hidden=8)
    states = early.draw(2, generator=seeded()).states
    assert states.shape == (2, 2, 8)
    beam = Beam([(1, 4), (3, 0)], states)
    later = controller_of(part, first=2, scale=None)
    drawn = later.draw(2000, generator=seeded(), beam=beam)
    assert {each[:2] for each in drawn.architectures} == {(1, 4), (3, 0)}
    share = sum(each[:2] == (1, 4) for each in drawn.architectures) / 2000
    assert abs(share - 0.5) < 4 * 0.5 / 2000**0.5
    for prefix in beam.architectures:
        rest = [(*prefix, c, d) for c in part.choices[2] for d in part.choices[3]]
        chances = later.of(rest, beam=beam).log_probabilities.exp().detach()
        assert float(chances.sum()) == pytest.approx(1, abs=1e-5)
    again = later.of(drawn.architectures, beam=beam)
    torch.testing.assert_close(again.log_probabilities, drawn.log_probabilities)
    other = Beam(beam.architectures, beam.states + 1)
    changed = later.of(drawn.architectures, beam=other).log_probabilities
    assert not torch.allclose(changed, drawn.log_probabilities)


def test_without_a_scale_the_logits_are_those_of_the_heads(supernet: SuperNet) -> None:
    controller = controller_of(part_of_eight(supernet), scale=None)
    hidden = torch.randn(3, 8, generator=seeded())
    expected = controller.heads[0](hidden)[:, [1, 3]]
    assert torch.equal(controller._logits(0, hidden), expected)
    clipped = controller_of(part_of_eight(supernet), scale=2.5, temperature=5.0)
    assert torch.equal(clipped._logits(0, hidden), 2.5 * (expected / 5).tanh())


def test_a_beginning_is_needed_and_must_be_of_the_beam(supernet: SuperNet) -> None:
    later = controller_of(supernet, first=2)
    with pytest.raises(ValueError, match="2 decisions stand before the first; give a beam"):
        later.draw(1, generator=seeded())
    with pytest.raises(ValueError, match="first is 4; give 0 to 3"):
        controller_of(supernet, first=4)


def test_logits_that_are_not_finite_are_told(supernet: SuperNet) -> None:
    controller = controller_of(supernet)
    with torch.no_grad():
        controller.heads[2].bias[1] = math.nan  # type: ignore[union-attr]
    with pytest.raises(DivergenceError, match="logits of 'edge_1_3' are not finite"):
        controller.draw(1, generator=seeded())
