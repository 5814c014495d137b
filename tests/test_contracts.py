"""Every space, strategy and metric keeps its contract."""

from collections.abc import Callable
from functools import partial

import pytest

from nascence import registry
from nascence.data import accel_nasbench, nats_size
from nascence.metrics import Metric, metric_names
from nascence.metrics import metric as metric_of
from nascence.reparam import RepVGGBlock
from nascence.search import (
    NSGA2,
    TPE,
    CrossoverEvolution,
    Evolution,
    LaMCTS,
    LaNAS,
    ListedSpace,
    LocalSearch,
    PredictorSearch,
    RandomSearch,
    Reinforce,
    TableSpace,
)
from nascence.spaces import (
    NB201,
    Coded,
    Costed,
    Crossable,
    Darts,
    Derivable,
    ElasticMobile,
    GeneratorSpace,
    Listable,
    Mobile,
    NetworkSpace,
    Readable,
    Restrictable,
    SearchSpace,
    Sharable,
    ShuffleNetSpace,
    SmallSpace,
    Stage,
    StagedSpace,
)
from nascence.spaces.cell import convolution
from nascence.testing import scores, spaces, strategies

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
    "StagedSpace": lambda: StagedSpace(stages=2, widths=(4, 8), depths=(0, 1)),
    "StagedSpace with branches": lambda: StagedSpace(
        stages=2, widths=(4, 8), depths=(0, 1), branched=RepVGGBlock
    ),
}
NETWORKS = tuple(SPACES)
SEARCHED = ("NB201", "Darts", "ListedSpace")  # small, large, with gaps
SPACES |= {
    "TableSpace": lambda: TableSpace(nats_size()),
    "ListedSpace": lambda: ListedSpace(accel_nasbench()),
    "Restricted": lambda: NB201(width=4, cells=1).restricted([(0, 2, 3, 4)] * 6),
    "Restricted Darts": lambda: Darts(width=4, cells=3).restricted(
        [(0, 1 + place % 7, 1 + (place + 3) % 7) for place in range(28)]
    ),
    "Restricted ElasticMobile": lambda: SPACES["ElasticMobile"]().restricted(
        [(0, 1), *[(0, 2)] * 18]
    ),
}
STRATEGIES: dict[str, strategies.Make] = {
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


@pytest.fixture(params=SPACES)
def space(request: pytest.FixtureRequest) -> SearchSpace:
    return SPACES[request.param]()


@pytest.fixture(params=METRICS)
def metric(request: pytest.FixtureRequest) -> Metric:
    return METRICS[request.param]


@pytest.mark.parametrize("check", spaces.CHECKS, ids=lambda check: check.__name__)
def test_space_keeps_the_contract(space: SearchSpace, check: Callable[[SearchSpace], None]) -> None:
    check(space)


@pytest.mark.parametrize("name", NETWORKS)
def test_spaces_of_networks_do_all_that_the_docs_promise(name: str) -> None:
    space = SPACES[name]()
    promised = (Readable, Costed, Listable, Crossable, Derivable, Coded, Sharable, Restrictable)
    assert all(isinstance(space, protocol) for protocol in promised)
    without = name == "ElasticMobile" or name.startswith("StagedSpace")
    assert isinstance(space, NetworkSpace) != without


@pytest.mark.parametrize("name", SEARCHED)
@pytest.mark.parametrize("strategy", STRATEGIES)
@pytest.mark.parametrize("check", strategies.CHECKS, ids=lambda check: check.__name__)
def test_strategy_keeps_the_contract(name: str, strategy: str, check: Callable[..., None]) -> None:
    check(STRATEGIES[strategy], SPACES[name]())


@pytest.mark.parametrize("check", scores.CHECKS, ids=lambda check: check.__name__)
def test_metric_keeps_the_contract(metric: Metric, check: Callable[[Metric], None]) -> None:
    check(metric)


def test_every_name_has_a_contract_suite() -> None:
    """Scores, optimizers and solvers are covered by name; the rest by what they are here."""

    def classes(*kinds: str) -> set[str]:
        return {
            entry.target.partition(":")[2].partition(".")[0]
            for entry in registry.OWN
            if entry.kind in kinds
        }

    assert classes("space") == {type(SPACES[name]()).__name__ for name in NETWORKS}
    assert classes("strategy") == set(STRATEGIES)
    assert set(registry.names("score")) == set(METRICS)
