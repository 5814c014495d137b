"""The policy gradient: its draws, its gradient and its steps against their definitions."""

import math
from collections import Counter

import numpy as np
import pytest
import torch

from nascence.data import nb201
from nascence.search import (
    Box,
    Limit,
    Limits,
    RandomSearch,
    Reinforce,
    TableEvaluator,
    open_study,
    search,
)
from nascence.spaces import (
    NB201,
    Architecture,
    Darts,
    Decision,
    ProductSpace,
    ShuffleNetSpace,
    SmallSpace,
)
from tests.search.strategies_for_tests import additive, run, seeded

LARGE = ShuffleNetSpace()


class Toy(ProductSpace):
    """Two decisions of three and two choices, in which nothing is the same function."""

    description = "Toy"

    def __init__(self) -> None:
        super().__init__((Decision("a", (1, 2, 3)), Decision("b", (1, 2))))

    def canonical(self, architecture: Architecture) -> Architecture:
        return self.check(architecture)

    def format(self, architecture: Architecture) -> str:
        return str(architecture)

    def build(self, architecture: Architecture) -> torch.nn.Module:
        raise NotImplementedError


LOGITS = np.array([0.5, -0.3, 1.0, 0.2, -0.7])


def probability(architecture: Architecture) -> float:
    first, second = np.exp(LOGITS[:3]), np.exp(LOGITS[3:])
    return first[architecture[0]] / first.sum() * second[architecture[1]] / second.sum()


@pytest.mark.parametrize("listed", [True, False])
def test_draws_have_the_probabilities_of_the_softmaxes(listed: bool) -> None:
    strategy = Reinforce(
        Toy(), generator=seeded(), distinct="nothing", most_listed=6 if listed else 0
    )
    strategy._logits = LOGITS.copy()
    counts = Counter(strategy.ask() for _ in range(3000))
    for architecture in Toy():
        share = probability(architecture)
        error = (share * (1 - share) / 3000) ** 0.5
        assert abs(counts[architecture] / 3000 - share) < 5 * error
    assert strategy.policy()[1].tolist() == pytest.approx(
        [probability((0, b)) / (probability((0, 0)) + probability((0, 1))) for b in (0, 1)]
    )


def test_draws_of_what_is_left_are_the_policy_given_that() -> None:
    """Without (2, 0), which was met, and where the first decision may not be 0."""
    counts: Counter[Architecture] = Counter()
    generator = seeded()
    for _ in range(2000):
        strategy = Reinforce(Toy(), generator=generator, allowed=lambda each: each[0] != 0)
        strategy._logits = LOGITS.copy()
        strategy.tell((2, 0), 1.0)
        strategy._logits = LOGITS.copy()
        counts[strategy.ask()] += 1
    left = [(1, 0), (1, 1), (2, 1)]
    total = sum(map(probability, left))
    assert set(counts) == set(left)
    for architecture in left:
        share = probability(architecture) / total
        assert abs(counts[architecture] / 2000 - share) < 5 * (share * (1 - share) / 2000) ** 0.5


@pytest.mark.parametrize("listed", [True, False])
def test_directions_are_gradients_of_the_log_probability(listed: bool) -> None:
    strategy = Reinforce(
        Toy(), generator=seeded(), distinct="nothing", most_listed=6 if listed else 0
    )
    strategy._logits = LOGITS.copy()
    strategy.ask()
    for architecture in Toy():
        logits = torch.tensor(LOGITS, requires_grad=True)
        log = (
            logits[:3].log_softmax(0)[architecture[0]] + logits[3:].log_softmax(0)[architecture[1]]
        )
        (expected,) = torch.autograd.grad(log, logits)
        assert strategy._direction(architecture) == pytest.approx(expected.numpy())


def test_steps_are_those_of_the_rule() -> None:
    """Baseline, deviation and logits after three rewards, worked out one by one."""
    strategy = Reinforce(LARGE, generator=seeded(), rate=0.5, momentum=0.8, clip=1.5)
    expected, baseline, deviation = np.zeros(80), 0.0, 0.0
    for number, reward in enumerate((70.0, 72.0, 60.0)):
        architecture = strategy.ask()
        code = LARGE.codes([architecture])[0]
        split = expected.reshape(20, 4)
        softmax = np.exp(split) / np.exp(split).sum(axis=1, keepdims=True)
        if number:
            difference = reward - baseline
            deviation = abs(difference) if number == 1 else 0.8 * deviation + 0.2 * abs(difference)
            advantage = max(min(difference / deviation, 1.5), -1.5)
            expected = expected + 0.5 * advantage * (code - softmax.reshape(-1))
        baseline = reward if not number else 0.8 * baseline + 0.2 * reward
        strategy.tell(architecture, reward)
        assert strategy._logits == pytest.approx(expected)


def test_the_unit_of_the_scores_does_not_matter() -> None:
    first = run(Reinforce(LARGE, generator=seeded()), 30)
    other = run(Reinforce(LARGE, generator=seeded()), 30, lambda each: 8 * additive(each) - 64)
    assert first == other


@pytest.mark.parametrize("space", [LARGE, NB201(), SmallSpace(width=4), Darts(width=4, cells=3)])
def test_the_policy_leads_to_better_scores(space) -> None:
    asked = run(Reinforce(space, generator=seeded()), 120)
    drawn = run(RandomSearch(space, generator=seeded()), 120)
    late = sum(map(additive, asked[60:])) / 60
    assert late > sum(map(additive, drawn)) / 120 + 1
    assert len({space.canonical(each) for each in asked}) == 120


def test_limits_hold_in_large_spaces_too() -> None:
    for space in (LARGE, NB201()):
        drawn = sorted(space.macs(space.sample(generator=seeded(seed))) for seed in range(20))
        limits = Limits(Limit("macs", space.macs, drawn[5]))
        strategy = Reinforce(space, generator=seeded(), allowed=limits)
        assert all(space.macs(each) <= drawn[5] for each in run(strategy, 50))


def test_a_target_makes_the_costly_less_likely() -> None:
    """MnasNet, eq. 2: of two with one score the cheap one has the higher reward."""
    cost = Limit("macs", lambda each: 1.0 + each[0], 2.0)
    strategy = Reinforce(LARGE, generator=seeded(), target=cost, exponent=-0.07)
    assert strategy._reward((3,) * 20, 70.0) == pytest.approx(70 * 2**-0.07)
    assert strategy._reward((0,) * 20, 70.0) == pytest.approx(70 * 2**0.07)
    run(strategy, 300, lambda each: 70.0)
    costs = strategy.policy()[0]
    assert costs[0] > 0.5 > costs[2] + costs[3]
    with pytest.raises(ValueError, match=r"score is -1.0; with a target, scores must be above 0"):
        strategy.tell((0,) * 20, -1.0)


def test_scores_that_are_not_finite_are_borne() -> None:
    strategy = Reinforce(LARGE, generator=seeded())
    run(strategy, 40, lambda each: -math.inf if each[0] == 0 else additive(each))
    assert np.isfinite(strategy._logits).all()
    assert strategy.policy()[0][0] < 0.25


def test_a_study_goes_on_as_if_it_had_not_stopped(tmp_path) -> None:
    table, space = nb201(), NB201()

    def searched(trials: list[int], name: str) -> list[Architecture]:
        for count in trials:
            study = open_study(tmp_path / "journal", space=space, name=name)
            strategy = Reinforce(space, generator=seeded())
            history = search(strategy, TableEvaluator(space, table), trials=count, study=study)
        return [candidate.architecture for candidate in history.candidates]

    assert searched([5, 17, 30], "in three") == searched([30], "at once")


def test_a_space_is_searched_to_its_end() -> None:
    history = search(Reinforce(SmallSpace(width=4), generator=seeded()), additive, trials=300)
    assert len(history) == 253


def test_what_cannot_be_searched_is_refused() -> None:
    with pytest.raises(ValueError, match="Box has no derive; the policy needs it"):
        Reinforce(Box(0, 1, dimensions=2), generator=seeded())  # type: ignore[arg-type]
    target = Limit("macs", LARGE.macs, 1e6)
    with pytest.raises(ValueError, match=r"exponent is 0.1; it must be below 0"):
        Reinforce(LARGE, generator=seeded(), target=target, exponent=0.1)
    for settings in ({"rate": 0.0}, {"momentum": 1.0}, {"clip": -1.0}):
        with pytest.raises(ValueError, match=r"give a rate and a clip above 0 and a momentum"):
            Reinforce(LARGE, generator=seeded(), **settings)
