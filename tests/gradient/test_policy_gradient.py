"""The policy gradient of a controller on spaces that can be listed."""

import math

import pytest
import torch
from torch import Tensor

from nascence.gradient.policy_gradient import PolicyGradient
from nascence.spaces import Architecture, Darts
from nascence.supernets import SuperNet, split
from tests.supernets_for_tests import listed, part_of_eight


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


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


def test_the_estimate_is_of_the_rewards_that_are_given(supernet: SuperNet) -> None:
    """What it returns is the gradient of its loss for the draw and the rewards it tells."""
    method = method_of(part_of_eight(supernet), samples=5, entropy=0.2)
    values = dict(zip(listed(part_of_eight(supernet)), rewards_of(listed(supernet.restrict(
        [(1, 3), (0, 4), (2, 5), (3,)]))).tolist(), strict=True))  # fmt: skip
    gradients, drawn, rewards = method.estimate(values.__getitem__, generator=seeded(3))
    assert rewards == [values[each] for each in drawn.architectures]
    again = method.controller.of(drawn.architectures)
    total = torch.tensor(rewards) + 0.2 * again.entropies.detach()
    expected = gradient(method, method.loss(again, total, baseline=total.mean()))
    torch.testing.assert_close(flat(gradients), expected)
    torch.testing.assert_close(method.controller.get_buffer("baseline"), total.mean())
