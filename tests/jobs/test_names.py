"""Everything that has a name can be had by it, and what has none is refused with the names."""

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from nascence import registry
from nascence.data import Dataset, Split, nb201
from nascence.jobs.evaluators import Sources, evaluator_named
from nascence.jobs.names import (
    cost_named,
    make_strategy,
    needs_images,
    space_named,
    table_named,
)
from nascence.latency.table import LatencyTable
from nascence.search import RankSumEvaluator, Strategy
from nascence.spaces import NB201, ElasticMobile, SearchSpace

SPACE = NB201(width=4, cells=1)


def strategy_of(name: str, space: SearchSpace) -> Strategy:
    entry = registry.find(name, *registry.STRATEGIES)
    return make_strategy(entry, space, generator=torch.Generator().manual_seed(0))


def images() -> Dataset:
    generator = torch.Generator().manual_seed(0)

    def split(count: int) -> Split:
        pixels = torch.randint(256, (count, 3, 8, 8), generator=generator, dtype=torch.uint8)
        return Split(pixels, torch.arange(count) % 4)

    names = tuple("abcd")
    return Dataset("noise", split(40), split(40), names, (0.5,) * 3, (0.3,) * 3, (), "noise")


def sources(**changes) -> Sources:
    given = Sources(nb201(), "cifar10/test", images(), 8, 4, None, 0)
    return given._replace(**changes)


@pytest.mark.parametrize("name", registry.names("space", "table"))
def test_spaces_by_name(name: str) -> None:
    space = space_named(name)
    architecture = space.sample(generator=torch.Generator().manual_seed(0))
    assert space.format(architecture)
    table = table_named(name)
    if table is not None:
        assert table.decisions == tuple(map(tuple, space.decisions))


@pytest.mark.parametrize("name", registry.names("strategy"))
def test_strategies_by_name(name: str) -> None:
    strategy = strategy_of(name, SPACE)
    strategy.tell(architecture := strategy.ask(), 1.0)
    assert len(architecture) == 6


NOT_METRICS = ["accuracy", "angle", "few-shot", "one-shot", "rlnas", "table", "train"]


@pytest.mark.parametrize("name", [*NOT_METRICS, "naswot", "synflow", "angle+rlnas+synflow"])
def test_evaluators_by_name(name: str) -> None:
    space = NB201(width=4, cells=1, classes=4)
    evaluate = evaluator_named(name, space, sources())
    assert set(NOT_METRICS) <= set(registry.names("evaluator", "score"))
    assert isinstance(evaluate((3, 2, 3, 2, 4, 1)), float)
    assert evaluate.description  # type: ignore[attr-defined]
    assert needs_images(name) == (name != "table")


@pytest.mark.parametrize("names", ["macs+parameters", "channel_independence+synflow"])
def test_ranks_are_summed_over_names(names: str) -> None:
    evaluate = evaluator_named(names, NB201(width=2, cells=1, classes=4), sources())
    assert isinstance(evaluate, RankSumEvaluator)
    assert set(evaluate.ranks((3,) * 6)) == set(names.split("+"))
    assert evaluate((3,) * 6) > 1.8
    assert evaluate((1,) * 6) < 1
    with pytest.raises(ValueError, match="names an evaluator twice"):
        evaluator_named("macs+macs", SPACE, sources())


def test_sizes_and_images_shape_the_space() -> None:
    space = space_named("nb201", data=images(), sizes={"width": 8, "cells": 2})
    assert space.description == NB201(classes=4, width=8, cells=2).description
    with pytest.raises(ValueError, match="the space shufflenet has not all of cells"):
        space_named("shufflenet", sizes={"cells": 2})
    with pytest.raises(ValueError, match="is a table and has no width"):
        space_named("nats-size", sizes={"width": 2})


def test_an_elastic_space_is_made_for_the_side_of_the_images() -> None:
    space = space_named("elastic-mobile", data=images(), sizes={"width": 16})
    assert isinstance(space, ElasticMobile)
    assert space.resolutions[-1] == 8
    assert (space.classes, space.geometry.places[0][0].out_channels) == (4, 16)
    assert space_named("elastic-mobile").resolutions[-1] == 224  # type: ignore[attr-defined]
    with pytest.raises(ValueError, match="ofa trains the networks"):
        strategy_of("ofa", space)


def test_costs_by_name() -> None:
    table = nb201()
    architecture = (3,) * 6
    assert cost_named("macs", SPACE, None)(architecture) == SPACE.macs(architecture)
    macro = space_named("nasbench-macro")
    cost = cost_named("macs", macro, table_named("nasbench-macro"))
    assert cost((0,) * 8) == 7_713_280
    with pytest.raises(ValueError, match="no cost 'latency/raspi4'; use one of parameters, macs"):
        cost_named("latency/raspi4", SPACE, table)
    with pytest.raises(ValueError, match=r"no cost 'latency'; .*or give the file of latencies"):
        cost_named("latency", SPACE, None)
    rows = tuple((1.0, 2.0, 3.0, 4.0, 5.0) for _ in SPACE.decisions)
    known = LatencyTable(SPACE.description, 8, 1, SPACE.decisions, 0.5, rows)
    assert cost_named("latency", SPACE, None, known)((0, 1, 2, 3, 4, 0)) == 16.5


def test_unknown_names_are_refused_with_the_known() -> None:
    for call, message in (
        (
            lambda: space_named("nb101"),
            "no space 'nb101'; use one of accel-nasbench, darts",
        ),
        (lambda: strategy_of("hill", SPACE), "no strategy 'hill'"),
        (lambda: evaluator_named("luck", SPACE, sources()), "no evaluator 'luck'; use one of"),
        (lambda: evaluator_named("table", SPACE, sources(table=None)), "no table of this space"),
        (lambda: evaluator_named("train", SPACE, sources(data=None)), "train needs images"),
        (lambda: evaluator_named("table", SPACE, sources(column="mnist")), "no data set 'mnist'"),
    ):
        with pytest.raises(ValueError, match=message):
            call()


@pytest.mark.parametrize("name", ["mobile", "shufflenet"])
def test_published_networks_fit_small_images(name: str) -> None:
    space = space_named(name, data=images(), sizes={"width": 0.1})
    architecture = space.sample(generator=torch.Generator().manual_seed(0))
    with FlopCounterMode(display=False) as counter:
        assert space.build(architecture).eval()(torch.zeros(1, 3, 8, 8)).shape == (1, 4)
    assert counter.get_total_flops() / 2 == space.macs(architecture)  # type: ignore[attr-defined]
    assert space_named(name).default_side == 224  # type: ignore[attr-defined]
