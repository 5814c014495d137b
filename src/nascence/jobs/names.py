"""Spaces, strategies, costs and evaluators by the names that the command line calls them."""

from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import torch

from nascence.data import Dataset, Table, accel_nasbench, nasbench_macro, nats_size, nb201
from nascence.gradient import GRADIENT_STRATEGIES
from nascence.latency.table import LatencyTable
from nascence.metrics.names import metric, metric_names
from nascence.search.crossover_evolution import CrossoverEvolution
from nascence.search.evaluator import (
    Evaluator,
    MetricEvaluator,
    RankSumEvaluator,
    TableEvaluator,
    TrainingEvaluator,
)
from nascence.search.limits import Allowed
from nascence.search.listed_space import table_space
from nascence.search.local_search import LocalSearch
from nascence.search.optuna_strategies import NSGA2, TPE
from nascence.search.predictor_search import PredictorSearch
from nascence.search.reinforce import Reinforce
from nascence.search.strategy import Evolution, RandomSearch, Strategy
from nascence.search.tree_search import LaMCTS, LaNAS
from nascence.spaces import (
    NB201,
    Architecture,
    Darts,
    ElasticMobile,
    Mobile,
    SearchSpace,
    ShuffleNetSpace,
    SmallSpace,
)

if TYPE_CHECKING:
    from nascence.supernets.convergence import Kind

_NETWORKS: dict[str, Callable[..., SearchSpace]] = {
    "darts": Darts,
    "elastic-mobile": ElasticMobile.for_side,
    "mobile": Mobile,
    "nb201": NB201,
    "shufflenet": ShuffleNetSpace,
    "small": SmallSpace,
}
_TABLES: dict[str, Callable[[], Table]] = {
    "accel-nasbench": accel_nasbench,
    "nasbench-macro": nasbench_macro,
    "nats-size": nats_size,
    "nb201": nb201,
}
_STRATEGIES: dict[str, Callable[..., Strategy]] = {
    "crossover": CrossoverEvolution,
    "evolution": Evolution,
    "la-mcts": LaMCTS,
    "lanas": LaNAS,
    "local-search": LocalSearch,
    "nsga2": NSGA2,
    "predictor": PredictorSearch,
    "random": RandomSearch,
    "reinforce": Reinforce,
    "tpe": TPE,
}
POPULATION = 64
"""Random architectures among which a sum of ranks ranks."""


def space_names() -> tuple[str, ...]:
    """Every name that :func:`space_named` knows."""
    return tuple(sorted({*_NETWORKS, *_TABLES}))


def strategy_names() -> tuple[str, ...]:
    """Every name that :func:`strategy_named` knows."""
    return tuple(_STRATEGIES)


def evaluator_names() -> tuple[str, ...]:
    """Every name that :func:`evaluator_named` knows."""
    return (*_EVALUATORS, *metric_names())


def _known(kind: str, name: str, names: tuple[str, ...]) -> str:
    if name not in names:
        raise ValueError(f"there is no {kind} {name!r}; use one of {', '.join(names)}")
    return name


def table_named(space: str) -> Table | None:
    """The bundled table of a space, if there is one."""
    return _TABLES[space]() if space in _TABLES else None


def space_named(name: str, *, data: Dataset | None = None, **sizes: float) -> SearchSpace:
    """Return a space, its networks for the images of ``data``; ``sizes`` such as ``width=8``.

    Networks that were published for images of 224 pixels get strides for those of ``data``.

    Raises:
        ValueError: an unknown name, or a size that the space does not have.
    """
    _known("space", name, space_names())
    if name not in _NETWORKS:
        if sizes:
            raise ValueError(f"the space {name} is a table and has no {', '.join(sizes)} to set")
        return table_space(_TABLES[name]())
    images: dict[str, Any] = {}
    make = _NETWORKS[name]
    if data is not None:
        images = {"classes": data.classes, "in_channels": data.image_shape[0]}
        if strides_for := getattr(make, "strides_for", None):
            side = min(data.image_shape[1:])
            images |= {"side": side, **strides_for(side)}
    if data is not None and name == "elastic-mobile":
        images["side"] = max(data.image_shape[1:])
    try:
        return make(**images, **sizes)
    except TypeError:
        raise ValueError(f"the space {name} has not all of {', '.join(sizes)} to set") from None


def strategy_named(
    name: str,
    space: SearchSpace,
    *,
    generator: torch.Generator,
    allowed: Allowed | None = None,
    objectives: int = 1,
) -> Strategy:
    """Return a strategy with its defaults; NSGA-II learns of all ``objectives``.

    Raises:
        ValueError: an unknown name, or a space that the strategy cannot search.
    """
    if name == "ofa":
        raise ValueError(
            "ofa trains the networks that it scores; use nascence.supernets.once_for_all"
        )
    _known("strategy", name, (*_STRATEGIES, *GRADIENT_STRATEGIES))
    if name in GRADIENT_STRATEGIES:
        raise ValueError(f"{name} is told no scores; nascence.gradient has it as a function")
    make = _STRATEGIES[name]
    several: dict[str, Any] = {"objectives": objectives} if make is NSGA2 else {}
    return make(space, generator=generator, allowed=allowed, **several)


def cost_named(
    name: str,
    space: SearchSpace,
    table: Table | None,
    latencies: LatencyTable | None = None,
) -> Callable[[Architecture], float]:
    """Return ``parameters``, ``macs``, ``latency`` or a column such as ``latency/pixel3``.

    ``latency`` is in milliseconds, the sum over the operators of ``latencies``.

    Raises:
        ValueError: neither the space nor the table has that cost.
    """
    if name in ("parameters", "macs") and hasattr(space, name):
        return getattr(space, name)
    if name == "latency" and latencies is not None:
        return latencies.of
    column = {"macs": "flops"}.get(name, name)
    costs = [] if table is None else [each for each in table.columns if _is_cost(each)]
    if table is None or column not in costs:
        known = [each for each in ("parameters", "macs") if hasattr(space, each)] + costs
        raise ValueError(
            f"there is no cost {name!r}; use one of {', '.join(dict.fromkeys(known)) or 'none'}"
            + (", or give the file of latencies" if name.startswith("latency") else "")
        )
    values = table.column(column)
    return lambda architecture: float(values[table.row(architecture)])


def _is_cost(column: str) -> bool:
    return column in ("parameters", "flops") or column.startswith("latency/")


class Sources(NamedTuple):
    """What evaluators are made from; each takes what it needs.

    Attributes:
        table: of the space, if there is one.
        column: of the table, ``DATA/ACCURACY``; empty for the table's first.
        data: images to score or train on.
        images: of the batch that metrics see.
        steps: of every training.
        folder: for the checkpoints of supernets.
        seed: of all randomness.
    """

    table: Table | None
    column: str
    data: Dataset | None
    images: int
    steps: int
    folder: Path | None
    seed: int


def needs_images(text: str) -> bool:
    """Whether an evaluator builds networks: all do but the table's."""
    return any(part != "table" for part in text.split("+"))


def evaluator_named(text: str, space: SearchSpace, sources: Sources) -> Evaluator:
    """Return an evaluator; names joined by ``+`` sum the ranks among 64 random architectures.

    Raises:
        ValueError: an unknown name, or something that the evaluator needs and is not there.
    """
    names = text.split("+")
    made = {name: _one(name, space, sources) for name in names}
    if len(names) == 1:
        return made[text]
    if len(made) < len(names):
        raise ValueError(f"{text!r} names an evaluator twice; name each once")
    generator = torch.Generator().manual_seed(sources.seed)
    population = [space.sample(generator=generator) for _ in range(POPULATION)]
    return RankSumEvaluator(made, population)


def _one(name: str, space: SearchSpace, sources: Sources) -> Evaluator:
    _known("evaluator", name, evaluator_names())
    if name in _EVALUATORS:
        return _EVALUATORS[name](space, sources)
    generator = torch.Generator().manual_seed(sources.seed)
    images = _images(name, sources)
    batch = images.batch(min(sources.images, len(images.train)), generator=generator)
    return MetricEvaluator(space, metric(name), batch, seeds=(sources.seed,))


def _images(name: str, sources: Sources) -> Dataset:
    if sources.data is None:
        raise ValueError(f"the evaluator {name} needs images; give them as data")
    return sources.data


def _table(space: SearchSpace, sources: Sources) -> Evaluator:
    if sources.table is None:
        raise ValueError(
            f"there is no table of this space; use one of {', '.join(_TABLES)}, or an evaluator "
            f"that needs none: {', '.join(name for name in evaluator_names() if name != 'table')}"
        )
    data, _, accuracy = sources.column.partition("/")
    return TableEvaluator(space, sources.table, data=data, accuracy=accuracy)


def _train(space: SearchSpace, sources: Sources) -> Evaluator:
    images = _images("train", sources)
    return TrainingEvaluator(space, images, steps=sources.steps, seed=sources.seed)


def _one_shot(space: SearchSpace, sources: Sources) -> Evaluator:
    return _supernet(space, sources, levels=0)


def _few_shot(space: SearchSpace, sources: Sources) -> Evaluator:
    return _supernet(space, sources, levels=1)


def _supernet(space: SearchSpace, sources: Sources, *, levels: int) -> Evaluator:
    from nascence.supernets.trained import trained_supernet_evaluator

    return trained_supernet_evaluator(
        space,
        _images("few-shot" if levels else "one-shot", sources),
        levels=levels,
        steps=sources.steps,
        seed=sources.seed,
        out=sources.folder,
    )


def _convergence(kind: "Kind", space: SearchSpace, sources: Sources) -> Evaluator:
    from nascence.supernets.convergence import convergence_evaluator

    return convergence_evaluator(
        kind,
        space,
        _images(kind, sources),
        steps=sources.steps,
        seed=sources.seed,
        out=sources.folder,
    )


_EVALUATORS: Mapping[str, Callable[[SearchSpace, Sources], Evaluator]] = {
    "accuracy": partial(_convergence, "accuracy"),
    "angle": partial(_convergence, "angle"),
    "few-shot": _few_shot,
    "one-shot": _one_shot,
    "rlnas": partial(_convergence, "rlnas"),
    "table": _table,
    "train": _train,
}
