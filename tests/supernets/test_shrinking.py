"""Shrinking: scores against explicit means, and whole runs on three spaces."""

import copy

import pytest
import torch

from nascence.spaces import NB201, Darts, Mobile
from nascence.supernets import SuperNet, drop_worst, operation_scores, shrink


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def weigh(architectures):
    """A known score: later decisions and higher indices count more."""
    table = torch.as_tensor(architectures)
    return (table * (1 + torch.arange(table.shape[1]))).sum(1).double()


def test_scores_are_the_means_over_all_networks_that_contain_an_operation():
    space = NB201()
    choices = ((0, 1), (2,), (0, 3, 4), (1,), (2, 3), (4,))
    found = operation_scores(space, choices, weigh, generator=generator())
    left = [space.restricted(choices).widen(each) for each in space.restricted(choices)]
    assert set(found) == {(0, 0), (0, 1), (2, 0), (2, 3), (2, 4), (4, 2), (4, 3)}
    for (place, index), score in found.items():
        own = [float(weigh([each])[0]) for each in left if each[place] == index]
        assert score == pytest.approx(sum(own) / len(own))


def test_samples_a_space_too_large_to_list_and_keeps_to_a_limit():
    space = Mobile()
    seen = []

    def score(architectures):
        seen.extend(architectures)
        return weigh(architectures)

    found = operation_scores(
        space,
        tuple(tuple(range(len(d.choices))) for d in space.decisions),
        score,
        generator=generator(),
        children=60,
        allowed=lambda architecture: sum(architecture) < 65,
    )
    assert len(found) == 141
    assert all(sum(each) < 65 for each in seen)
    means = [sum(v for (p, i), v in found.items() if i == index) for index in range(6)]
    assert means == sorted(means)


def test_drops_the_lowest_but_never_the_last():
    space = NB201()
    choices = ((0, 1), (2, 3), (4,), (0,), (0,), (0,))
    scores = {(0, 0): 1.0, (0, 1): 2.0, (1, 2): 3.0, (1, 3): 4.0}
    left, dropped = drop_worst(space, choices, scores, count=3)
    assert dropped == ((0, 0), (1, 2))
    assert left == ((1,), (3,), (4,), (0,), (0,), (0,))
    assert drop_worst(space, choices, scores, count=3, at_most=2)[1] == ((0, 0),)
    assert drop_worst(space, choices, scores, count=1)[1] == ((0, 0),)
    assert drop_worst(space, choices, scores, count=1, per_decision=True)[1] == ((0, 0), (1, 2))


def turned(supernet, _):
    """A training that turns the candidates of higher index more."""
    trained = copy.deepcopy(supernet)
    with torch.no_grad():
        for mixed in trained.operations():
            for key, candidate in mixed.candidates.items():
                for parameter in candidate.parameters():
                    noise = torch.randn(parameter.shape, generator=generator(int(key)))
                    parameter += 0.02 * int(key) * parameter.std() * noise
    return trained


@pytest.mark.parametrize(
    ("space", "settings"),
    [
        (NB201(width=4, cells=1), {"at_most": 1562, "drop": 2}),
        (Mobile(width=0.1, depths=(2, 1, 1, 1, 1, 1), last=16), {"at_most": 500, "drop": 7}),
        (Darts(width=4, cells=3), {"at_most": 10**8, "drop": 3, "per_decision": True}),
    ],
)
def test_shrinks_until_few_are_left(space, settings):
    torch.manual_seed(0)
    supernet = SuperNet(space, statistics="tracked")
    weights = copy.deepcopy(supernet.state_dict())
    rounds = []
    shrunk = shrink(
        supernet,
        turned,
        generator=generator(),
        children=12,
        on_round=lambda each, choices: rounds.append(choices),
        **settings,
    )
    assert shrunk.space.size <= settings["at_most"]
    assert all(torch.equal(weights[name], value) for name, value in supernet.state_dict().items())
    assert shrunk.supernet.choices == shrunk.space.choices == rounds[-1]
    dropped = [operation for each in shrunk.rounds for operation in each.dropped]
    held = sum(map(len, supernet.choices))
    assert held - sum(map(len, shrunk.space.choices)) == len(set(dropped)) == len(dropped)
    best = shrunk.space.sample(generator=generator())
    assert shrunk.supernet.check(shrunk.space.widen(best))


def test_keeps_what_turns_most():
    torch.manual_seed(0)
    space = Mobile(width=0.1, depths=(1,) * 6, last=16)
    supernet = SuperNet(space, statistics="tracked")
    shrunk = shrink(supernet, turned, generator=generator(), at_most=1, drop=6, children=20)
    assert sum(map(sum, shrunk.space.choices)) >= 4 * 6  # of indices 0 to 5, high ones are left


def test_bad_input():
    supernet = SuperNet(NB201(width=4, cells=1), statistics="tracked")
    with pytest.raises(ValueError, match="give 1 or more"):
        shrink(supernet, turned, generator=generator(), at_most=0)
    with pytest.raises(ValueError, match="before its first step"):
        shrink(supernet, lambda each, _: each, generator=generator(), at_most=10)

    def broken(each, number):
        trained = turned(each, number)
        torch.nn.init.constant_(next(trained.operations()[0].parameters()), float("nan"))
        return trained

    with pytest.raises(ValueError, match="not finite"):
        shrink(supernet, broken, generator=generator(), at_most=10)
    with pytest.raises(ValueError, match="is allowed"):
        operation_scores(
            supernet.space,
            supernet.choices,
            weigh,
            generator=generator(),
            allowed=lambda architecture: False,
        )
