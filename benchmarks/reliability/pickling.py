"""Kind 13, everything that is called by a name, and every exception, sent to another process."""

import importlib
import inspect
import pickle
import pkgutil
import random
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import torch

import nascence
from benchmarks.reliability.trying import Try, WrongError
from nascence import registry
from nascence.search import Evolution, History, search
from nascence.spaces import NB201, Darts, SearchSpace, SmallSpace


def sent(thing: Any, protocol: int = pickle.HIGHEST_PROTOCOL) -> Any:
    return pickle.loads(pickle.dumps(thing, protocol))


def exceptions() -> list[type[BaseException]]:
    found = set()
    for module in pkgutil.walk_packages(nascence.__path__, "nascence."):
        if not module.name.endswith("__main__"):
            for each in vars(importlib.import_module(module.name)).values():
                if inspect.isclass(each) and issubclass(each, BaseException):
                    found.add(each)
    return sorted(
        (each for each in found if each.__module__.startswith("nascence.")),
        key=lambda each: each.__qualname__,
    )


def exception(kind: type[BaseException]) -> None:
    """An exception comes back with its words, its cause's words and its notes, by any protocol."""
    others = (
        [] if "__init__" not in vars(kind) else [*inspect.signature(kind.__init__).parameters][2:]
    )
    first = kind("[/] it failed: ä", *(3 for _ in others))
    first.add_note("a note")
    for protocol in range(2, pickle.HIGHEST_PROTOCOL + 1):
        again = sent(first, protocol)
        if type(again) is not kind or str(again) != str(first) or vars(again) != vars(first):
            raise WrongError(f"comes back as {again!r}")


def entry(found: registry.Entry) -> None:
    again = sent(found)
    if again != found or sent(found.load()) is None:
        raise WrongError("is another")


def strategy(name: str, told: int, space: Any) -> None:
    """A strategy goes on where it was, from any moment."""
    made = registry.find(name, "strategy").load()
    first = made(space, generator=torch.Generator().manual_seed(told))
    for _ in range(told):
        architecture = first.ask()
        first.tell(architecture, float(sum(architecture)))
    again = sent(first)
    for _ in range(4):
        architecture = first.ask()
        if again.ask() != architecture:
            raise WrongError("goes on otherwise")
        for each in (first, again):
            each.tell(architecture, 1.0)


def history(space: Any) -> None:
    found = search(
        Evolution(space, generator=torch.Generator().manual_seed(1)),
        lambda architecture: float(sum(architecture)),
        trials=8,
    )
    again: History = sent(found)
    if again.best != found.best or len(again) != len(found):
        raise WrongError("is another")


def tries(rng: random.Random, folder: Path) -> Iterator[Try]:
    for kind in exceptions():
        yield Try(kind.__name__, partial(exception, kind))
    for found in rng.sample(registry.OWN, 20):
        yield Try(f"{found.kind} {found.name}", partial(entry, found))
    spaces: tuple[SearchSpace, ...]
    spaces = (NB201(width=4, cells=1), SmallSpace(width=4), Darts(width=4, cells=3))
    for name in registry.names("strategy"):
        told, space = rng.choice((0, 3, 27)), rng.choice(spaces[:2])
        yield Try(
            f"{name} of {type(space).__name__} after {told}",
            partial(strategy, name, told, space),
        )
    for each in spaces:
        yield Try(f"history of {type(each).__name__}", partial(history, each))
