"""Spaces, tables, strategies and costs by the names that the command line calls them."""

import inspect
from collections.abc import Callable, Mapping
from typing import Any

import torch

from nascence import registry
from nascence.data import Dataset, Table
from nascence.latency.table import LatencyTable
from nascence.search.limits import Allowed, Limit, Limits
from nascence.search.strategy import Strategy
from nascence.search.table_space import table_space
from nascence.spaces import Architecture, Costed, SearchSpace

Cost = Callable[[Architecture], float]


def table_named(space: str) -> Table | None:
    """Return the table of a space, if there is one."""
    entry = registry.find_any(space, "table")
    table: Table | None = None if entry is None else entry.load()()
    return table


def space_named(
    name: str, *, data: Dataset | None = None, sizes: Mapping[str, Any] | None = None
) -> SearchSpace:
    """Return a space by its name; see `make_space`."""
    return make_space(registry.find(name, "space", "table"), data=data, sizes=sizes)


def make_space(
    entry: registry.Entry, *, data: Dataset | None = None, sizes: Mapping[str, Any] | None = None
) -> SearchSpace:
    """Return a space with networks for the images of ``data``.

    Networks that were published for images of 224 pixels get strides for those of ``data``.

    Args:
        entry: A space or a table.
        data: Decides the classes, channels and side of the networks; None for the published ones.
        sizes: Settings of the space, such as ``{"width": 8}``.

    Raises:
        ValueError: A size that the space does not have, or images that it is not for.
    """
    name, sizes = entry.name, sizes or {}
    if entry.kind == "table":
        if sizes:
            raise ValueError(f"the space {name} is a table and has no {', '.join(sizes)} to set")
        return table_space(entry.load()())
    make = entry.load()
    try:
        if data is None:
            space: SearchSpace = make(**sizes)
        else:
            space = make.for_images(data.image_shape, classes=data.classes, **sizes)
    except TypeError as error:
        if sizes:
            raise ValueError(f"the space {name} has not all of {', '.join(sizes)} to set") from None
        raise ValueError(f"the space {name} is not for images with classes: {error}") from None
    return space


def make_strategy(
    entry: registry.Entry,
    space: SearchSpace,
    *,
    generator: torch.Generator,
    allowed: Allowed | None = None,
    objectives: int = 1,
    settings: Mapping[str, Any] | None = None,
) -> Strategy:
    """Return a strategy that learns from scores.

    Args:
        entry: The strategy.
        space: What it searches.
        generator: Its source of randomness.
        allowed: Tells which architectures may be proposed.
        objectives: One more than there are costs; passed on where the strategy takes it.
        settings: Settings of the strategy, such as ``{"population": 50}``.

    Raises:
        ValueError: An unknown setting, a strategy that does not learn from scores, or a space
            that it cannot search.
    """
    name = entry.name
    if entry.kind == "gradient strategy":
        raise ValueError(f"{name} does not learn from scores; use it from nascence.gradient")
    if entry.kind != "strategy":
        raise ValueError(f"{name} trains the networks that it scores; it is {entry.target}")
    make = entry.load()
    check_settings(name, make, settings or {})
    several = {"objectives": objectives} if "objectives" in parameters_of(make) else {}
    strategy: Strategy = make(
        space, generator=generator, allowed=allowed, **several, **(settings or {})
    )
    return strategy


def needs_images(text: str) -> bool:
    """Whether an evaluator builds networks: all do but the table's."""
    return any(part != "table" for part in text.split("+"))


def check_settings(name: str, *makes: Callable[..., Any] | Mapping[str, Any]) -> None:
    """Raise ``ValueError`` for a setting that none of the functions before it takes."""
    *functions, settings = makes
    assert isinstance(settings, Mapping)
    known = [each for make in functions if callable(make) for each in parameters_of(make)]
    for setting in settings:
        if setting not in known:
            raise ValueError(f"{name} has no setting {setting!r}; it has {', '.join(known)}")


GIVEN = {"generator", "allowed", "progress", "out", "folder", "workers", "steps", "seconds"}
"""Keywords that jobs set themselves."""


def parameters_of(make: Callable[..., Any]) -> tuple[str, ...]:
    """Return the keywords of a strategy that can be set."""
    return tuple(
        name
        for name, each in inspect.signature(make).parameters.items()
        if each.kind is each.KEYWORD_ONLY and name not in GIVEN
    )


def cost_named(
    name: str,
    space: SearchSpace,
    table: Table | None,
    latencies: LatencyTable | None = None,
) -> Cost:
    """Return a function that gives a cost of an architecture.

    Args:
        name: ``parameters``, ``macs``, ``latency``, or a column such as ``latency/pixel3``.
        space: Whose architectures are asked for.
        table: Table of the space, if there is one.
        latencies: Latencies of the operators; ``latency`` is their sum, in milliseconds.

    Raises:
        ValueError: Neither the space nor the table has that cost.
    """
    sizes = sizes_of(space)
    if name in sizes:
        return sizes[name]
    if name == "latency" and latencies is not None:
        return latencies.of
    column = {"macs": "flops"}.get(name, name)
    costs = [] if table is None else [each for each in table.columns if _is_cost(each)]
    if table is None or column not in costs:
        known = [*sizes, *costs]
        raise ValueError(
            f"there is no cost {name!r}; use one of {', '.join(dict.fromkeys(known)) or 'none'}"
            + (", or give the file of latencies" if name.startswith("latency") else "")
        )
    return _TableCost(table, column)


def limits_of(costs: Mapping[str, Cost], limits: Mapping[str, float]) -> Limits | None:
    """Return the limits of costs by name; None where there are none."""
    found = [Limit(name, costs[name], most) for name, most in limits.items()]
    return Limits(*found) if found else None


def sizes_of(space: SearchSpace) -> dict[str, Cost]:
    """Return functions for parameters and multiply-adds, where the space has them."""
    if not isinstance(space, Costed):
        return {}
    return {"parameters": space.parameters, "macs": space.macs}


class _TableCost:
    """A column of a table as a cost."""

    def __init__(self, table: Table, column: str) -> None:
        self.table, self.values = table, table.column(column)

    def __call__(self, architecture: Architecture) -> float:
        return float(self.values[self.table.row(architecture)])


def _is_cost(column: str) -> bool:
    return column in ("parameters", "flops") or column.startswith("latency/")
