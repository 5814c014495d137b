"""What every space, strategy and metric must do."""

from collections.abc import Callable
from functools import partial

import pytest
import torch
from torch import nn

from nascence.metrics import Metric, metric_names
from nascence.metrics import metric as metric_of
from nascence.search import (
    NSGA2,
    TPE,
    CrossoverEvolution,
    Evolution,
    LaMCTS,
    LaNAS,
    LocalSearch,
    PredictorSearch,
    RandomSearch,
    Reinforce,
    Strategy,
    search,
)
from nascence.spaces import (
    NB201,
    Architecture,
    Darts,
    ElasticMobile,
    GeneratorSpace,
    Mobile,
    SearchSpace,
    ShuffleNetSpace,
    SmallSpace,
    Stage,
)
from nascence.spaces.cell import convolution

SPACES: dict[str, Callable[[], SearchSpace]] = {
    "NB201": lambda: NB201(width=4, cells=1),
    "NB201 with free width, depth and block": lambda: NB201(
        width=(4, 6), cells=(1, 2), conv=convolution
    ),
    "NB201 as published": lambda: NB201(width=4, cells=1, prune=False),
    "Darts": lambda: Darts(width=4, cells=3),
    "GeneratorSpace": lambda: GeneratorSpace(stages=2, width=4, latent=8),
    "ElasticMobile": lambda: ElasticMobile(
        classes=10, stages=(Stage(8, 2), Stage(8, 2)), resolutions=(8, 12, 16), final=16, last=16
    ),
    "Mobile": lambda: Mobile(width=0.1, classes=10, last=16),
    "ShuffleNetSpace": lambda: ShuffleNetSpace(width=0.1, classes=10, last=16),
    "SmallSpace": lambda: SmallSpace(width=4),
}
STRATEGIES: dict[str, Callable[..., Strategy]] = {
    "RandomSearch": RandomSearch,
    "LocalSearch": LocalSearch,
    "CrossoverEvolution": CrossoverEvolution,
    "LaNAS": LaNAS,
    "LaMCTS": LaMCTS,
    "TPE": partial(TPE, initial=38),  # its model is slow
    "NSGA2": NSGA2,
    "PredictorSearch": partial(PredictorSearch, candidates=50),
    "Reinforce": Reinforce,
    "Evolution": Evolution,
}
METRICS: dict[str, Metric] = {name: metric_of(name) for name in metric_names()}


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@pytest.fixture(params=SPACES)
def space(request: pytest.FixtureRequest) -> SearchSpace:
    return SPACES[request.param]()


@pytest.fixture(params=STRATEGIES)
def strategy(request: pytest.FixtureRequest) -> Callable[..., Strategy]:
    return STRATEGIES[request.param]


@pytest.fixture(params=METRICS)
def metric(request: pytest.FixtureRequest) -> Metric:
    return METRICS[request.param]


def samples(space: SearchSpace, count: int) -> list[Architecture]:
    generator = seeded(1)
    return [space.sample(generator=generator) for _ in range(count)]


def test_space_keeps_the_protocol(space: SearchSpace) -> None:
    assert isinstance(space, SearchSpace)
    names = [decision.name for decision in space.decisions]
    assert len(set(names)) == len(names)


def test_samples_are_of_the_space_and_of_the_generator(space: SearchSpace) -> None:
    first = [space.sample(generator=seeded(3)) for _ in range(2)]
    assert first[0] == first[1]
    for architecture in samples(space, 50):
        assert len(architecture) == len(space.decisions)
        for index, decision in zip(architecture, space.decisions, strict=True):
            assert isinstance(index, int)
            assert 0 <= index < len(decision.choices)


def test_mutation_changes_one_decision(space: SearchSpace) -> None:
    # an edge of Darts may move to another input: two decisions
    allowed = {1, 2} if isinstance(space, Darts) else {1}
    for architecture in samples(space, 50):
        first, again = (space.mutate(architecture, generator=seeded(4)) for _ in range(2))
        assert first == again
        assert sum(a != b for a, b in zip(architecture, first, strict=True)) in allowed


def test_canonical_form_is_its_own(space: SearchSpace) -> None:
    for architecture in samples(space, 50):
        canonical = space.canonical(architecture)
        assert space.canonical(canonical) == canonical


def test_strings_tell_architectures_apart(space: SearchSpace) -> None:
    architectures = set(samples(space, 200))
    assert len({space.format(architecture) for architecture in architectures}) == len(architectures)


def test_wrong_architectures_are_refused(space: SearchSpace) -> None:
    good = samples(space, 1)[0]
    for wrong in (good[:-1], (*good, 0), (-1, *good[1:]), (10**6, *good[1:])):
        for use in (space.canonical, space.format, space.build):
            with pytest.raises(ValueError, match=r"architecture|decision"):
                use(wrong)
        with pytest.raises(ValueError, match=r"architecture|decision"):
            space.mutate(wrong, generator=seeded())


def test_build_is_a_function_of_the_global_seed(space: SearchSpace) -> None:
    for architecture in samples(space, 3):
        states = []
        for _ in range(2):
            torch.manual_seed(7)
            model = space.build(architecture)
            assert isinstance(model, nn.Module)
            states.append(model.state_dict())
        assert states[0].keys() == states[1].keys()
        assert all(torch.equal(states[0][key], states[1][key]) for key in states[0])


def test_strategy_keeps_the_protocol(space: SearchSpace, strategy: Callable[..., Strategy]) -> None:
    made = strategy(space, generator=seeded())
    assert isinstance(made, Strategy)
    assert made.space is space
    assert made.description == strategy(space, generator=seeded()).description
    assert made.description != strategy(space, generator=seeded(1)).description


def test_strategy_proposes_the_same_again_and_nothing_twice(
    space: SearchSpace, strategy: Callable[..., Strategy]
) -> None:
    def run() -> list[Architecture]:
        made, asked = strategy(space, generator=seeded(2)), []
        for _ in range(40):
            asked.append(made.ask())
            made.tell(asked[-1], float(sum(asked[-1])))
        return asked

    first = run()
    assert first == run()
    assert len({space.canonical(architecture) for architecture in first}) == 40


def test_strategy_proposes_what_is_allowed(
    space: SearchSpace, strategy: Callable[..., Strategy]
) -> None:
    index = min(2, len(space.decisions[0].choices) - 1)

    def allowed(architecture: Architecture) -> bool:
        return architecture[0] == index

    made = strategy(space, generator=seeded(), allowed=allowed)
    history = search(made, lambda architecture: float(sum(architecture)), trials=25)
    assert all(candidate.architecture[0] == index for candidate in history.candidates)


def test_metric_gives_a_number_and_changes_nothing(metric: Metric) -> None:
    torch.manual_seed(0)
    model = NB201(width=4, cells=1).build((3, 2, 3, 2, 4, 1))
    model.stem.eval()
    batch = torch.randn(8, 3, 8, 8), torch.arange(8)
    copies = [part.clone() for part in batch]
    state = {key: value.clone() for key, value in model.state_dict().items()}
    modes = [module.training for module in model.modules()]
    hooks = [len(module._forward_hooks) for module in model.modules()]
    random_state = torch.get_rng_state()
    score = metric(model, batch)
    assert isinstance(score, float)
    assert score == metric(model, batch)
    assert all(torch.equal(part, copy) for part, copy in zip(batch, copies, strict=True))
    assert [module.training for module in model.modules()] == modes
    assert [len(module._forward_hooks) for module in model.modules()] == hooks
    assert torch.equal(torch.get_rng_state(), random_state)
    assert model.state_dict().keys() == state.keys()
    assert all(torch.equal(value, state[key]) for key, value in model.state_dict().items())
    assert all(parameter.grad is None for parameter in model.parameters())
