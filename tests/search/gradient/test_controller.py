"""The controller on spaces that can be listed: its distribution and its policy gradient."""

import math

import pytest
import torch
from torch import Tensor

from nascence.search.gradient.controller import Controller
from nascence.search.gradient.reinforce import PolicyGradient
from nascence.spaces import NB201, Architecture, Darts, Mobile, SuperNet, split
from nascence.training import DivergenceError


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def part_of_eight(supernet: SuperNet) -> SuperNet:
    """Of the small space: two choices of three edges, one of the fourth."""
    return supernet.restrict([(1, 3), (0, 4), (2, 5), (3,)])


def listed(part: SuperNet) -> list[Architecture]:
    return [(a, b, c, d) for a in part.choices[0] for b in part.choices[1]
            for c in part.choices[2] for d in part.choices[3]]  # fmt: skip


def method_of(part: SuperNet, **settings) -> PolicyGradient:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        method = PolicyGradient(part, rate=0.1, hidden=8, temperature=0.1, **settings)
    return method


def rewards_of(architectures: list[Architecture]) -> Tensor:
    return torch.tensor([math.sin(7.3 * sum((k + 2) * i for k, i in enumerate(a)))
                         for a in architectures])  # fmt: skip


def flat(gradients) -> Tensor:
    return torch.cat([gradient.flatten() for gradient in gradients]).double()


def gradient(method: PolicyGradient, scalar: Tensor) -> Tensor:
    own = list(method.controller.parameters())
    return flat(
        torch.autograd.grad(
            scalar, own, allow_unused=True, materialize_grads=True, retain_graph=True
        )
    )


def test_probabilities_add_up_to_one_and_are_those_of_the_draws(supernet: SuperNet) -> None:
    method = method_of(part_of_eight(supernet))
    everything = listed(part_of_eight(supernet))
    chances = method.controller.of(everything).log_probabilities.exp().detach()
    assert float(chances.sum()) == pytest.approx(1, abs=1e-5)
    drawn = method.controller.draw(4000, generator=seeded())
    for architecture, chance in zip(everything, chances.tolist(), strict=True):
        count = drawn.architectures.count(architecture)
        assert abs(count - 4000 * chance) < 4 * math.sqrt(4000 * chance * (1 - chance))
    again = method.controller.of(drawn.architectures)
    torch.testing.assert_close(again.log_probabilities, drawn.log_probabilities)
    torch.testing.assert_close(again.entropies, drawn.entropies)


def test_the_policy_gradient_is_unbiased(supernet: SuperNet) -> None:
    """Its expected value over all draws is the gradient of expected reward and entropy."""
    part = part_of_eight(supernet)
    everything = listed(part)
    method = method_of(part, entropy=0.3)
    every = method.controller.of(everything)
    chances = every.log_probabilities.exp()
    accuracies = rewards_of(everything)
    target = (chances * accuracies).sum() - 0.3 * (chances * every.log_probabilities).sum()
    exact = -gradient(method, target)
    for baseline in (torch.tensor(0.0), torch.tensor(2.5)):
        expected = torch.zeros_like(exact)
        for place, architecture in enumerate(everything):
            drawn = method.controller.of([architecture])
            rewards = accuracies[place] + 0.3 * drawn.entropies.detach()
            estimate = gradient(method, method.loss(drawn, rewards, baseline=baseline))
            expected += float(chances[place].detach()) * estimate
        torch.testing.assert_close(expected, exact, atol=1e-5, rtol=1e-3)


def test_the_mean_of_sampled_gradients_is_the_exact_one(supernet: SuperNet) -> None:
    """Within four standard errors of 2,000 single draws, along a random direction."""
    part = part_of_eight(supernet)
    everything = listed(part)
    method = method_of(part, entropy=0.0)
    every = method.controller.of(everything)
    exact = -gradient(method, (every.log_probabilities.exp() * rewards_of(everything)).sum())
    direction = torch.randn(len(exact), generator=seeded(1), dtype=torch.float64)
    single = {}  # the estimate depends on the draw alone
    for architecture in everything:
        drawn = method.controller.of([architecture])
        loss = method.loss(drawn, rewards_of([architecture]), baseline=torch.tensor(0.1))
        single[architecture] = float(gradient(method, loss) @ direction)
    drawn = method.controller.draw(2000, generator=seeded()).architectures
    samples = torch.tensor([single[architecture] for architecture in drawn])
    error = float(samples.std()) / math.sqrt(len(samples))
    assert abs(float(samples.mean()) - float(exact @ direction)) < 4 * error


def test_it_learns_the_best_of_the_space(supernet: SuperNet) -> None:
    """Rewards that stand for accuracies; the loop's own steps, without a supernet."""
    part = part_of_eight(supernet)
    everything = listed(part)
    method = method_of(part, entropy=0.0)
    best = everything[int(rewards_of(everything).argmax())]
    baseline = torch.zeros(())
    for step in range(150):
        drawn = method.controller.draw(8, generator=seeded(step))
        rewards = rewards_of(drawn.architectures)
        method.optimizer.zero_grad()
        method.loss(drawn, rewards, baseline=baseline).backward()
        method.optimizer.step()
        baseline = 0.9 * baseline + 0.1 * rewards.mean()
    assert float(method.controller.of([best]).log_probabilities.detach()) > math.log(0.6)


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


def test_the_baseline_is_a_moving_average(supernet: SuperNet) -> None:
    method = method_of(supernet, samples=3, entropy=0.0, baseline_decay=0.5)
    images = torch.randn(8, 3, 8, 8, generator=seeded())
    batch = (images, torch.arange(8) % 2)
    expected = None
    for step in range(3):
        drawn = method.controller.draw(3, generator=seeded(step)).architectures
        with torch.no_grad():
            accuracy = torch.stack(
                [(supernet(images, each).argmax(1) == batch[1]).float().mean() for each in drawn]
            ).mean()
        expected = accuracy if expected is None else 0.5 * expected + 0.5 * accuracy
        method.gradients(supernet, batch, batch, done=0.0, rate=0.1, generator=seeded(step))
        torch.testing.assert_close(method.controller.get_buffer("baseline"), expected)


def test_the_derived_network_is_the_most_accurate_drawn(supernet: SuperNet) -> None:
    method = method_of(supernet, candidates=12)
    images = torch.randn(16, 3, 8, 8, generator=seeded())
    labels = torch.arange(16) % 2
    derived = method.derive(supernet, (images, labels), seeded(5))

    def right(architecture: Architecture) -> int:
        return int((supernet(images, architecture).argmax(1) == labels).sum())

    drawn = method.controller.draw(12, generator=seeded(5)).architectures
    assert derived in drawn
    assert right(derived) == max(map(right, drawn))


def test_logits_that_are_not_finite_are_told(supernet: SuperNet) -> None:
    method = method_of(supernet)
    with torch.no_grad():
        method.controller.heads[2].bias[1] = math.nan  # type: ignore[union-attr]
    with pytest.raises(DivergenceError, match="logits of 'edge_1_3' are not finite"):
        method.controller.draw(1, generator=seeded())


@pytest.mark.parametrize(
    "settings",
    [{"rate": 0.0}, {"rate": 0.1, "samples": 0}, {"rate": 0.1, "baseline_decay": 1.0},
     {"rate": 0.1, "hidden": 0}, {"rate": 0.1, "temperature": 0.0}],
)  # fmt: skip
def test_impossible_settings(supernet: SuperNet, settings) -> None:
    with pytest.raises(ValueError, match="give"):
        PolicyGradient(supernet, **settings)


def test_a_part_from_which_nothing_can_be_derived() -> None:
    supernet = SuperNet(Darts(width=4, cells=3))
    part = split(supernet, {"normal_1_2": [(0,), tuple(range(1, 8))]})[0]
    with pytest.raises(ValueError, match="needs that decision whole"):
        PolicyGradient(part, rate=0.1)
