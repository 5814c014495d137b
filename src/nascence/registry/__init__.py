"""What is called by a name: what it is, who published it and where it is found.

Nothing here loads PyTorch, so that the command line can name everything at once. Help texts, error
messages, the tables of the documentation and the contract tests all read these entries.

Other packages register their own as entry points of the groups of `KINDS`, for example ::

    [project.entry-points."nascence.spaces"]
    my-cells = "my_package:MyCells"

They are looked for when a name is looked up, never at start-up.
"""

from functools import cache
from typing import Any

from nascence.registry.entry import KINDS, STRATEGIES, Entry, RegistrationError
from nascence.registry.own import OWN

__all__ = [
    "KINDS",
    "OWN",
    "STRATEGIES",
    "Entry",
    "RegistrationError",
    "entries",
    "find",
    "find_any",
    "names",
    "own_names",
]


def entries(*kinds: str) -> tuple[Entry, ...]:
    """Everything of these kinds: our own in alphabetical order, then that of other packages."""
    own = [entry for entry in OWN if entry.kind in kinds]
    return (*own, *(entry for kind in kinds for entry in _registered(kind)))


def names(*kinds: str) -> tuple[str, ...]:
    """The names of everything of these kinds, each once, in alphabetical order."""
    return tuple(sorted({entry.name for entry in entries(*kinds)}))


def own_names(*kinds: str) -> str:
    """Our own names with commas between them, for help texts: reads no entry points."""
    return ", ".join(sorted({entry.name for entry in OWN if entry.kind in kinds}))


def find(name: str, *kinds: str, called: str = "") -> Entry:
    """Look a name up.

    Args:
        name: What it is called.
        kinds: Where to look; with several kinds, the first that has the name.
        called: What a message calls it; by default the first kind.

    Raises:
        ValueError: There is nothing of that name, or two packages have registered it.
        RegistrationError: Two packages, or two entries, have registered the name.
    """
    known = entries(*kinds)
    found = [entry for entry in known if entry.name == name]
    if not found:
        allowed = ", ".join(sorted({entry.name for entry in known}))
        raise ValueError(f"there is no {called or kinds[0]} {name!r}; use one of {allowed}")
    if len({entry.package for entry in found}) > 1 or len({e.kind for e in found}) < len(found):
        places = " and ".join(f"{each.target} of {each.package}" for each in found)
        raise RegistrationError(
            f"{called or kinds[0]} {name!r} is registered by {places}; rename or uninstall one"
        )
    return min(found, key=lambda entry: kinds.index(entry.kind))


def find_any(name: str, *kinds: str) -> Entry | None:
    """Look a name up; None where nothing of these kinds is called so."""
    return find(name, *kinds) if name in names(*kinds) else None


@cache
def _entry_points() -> Any:
    from importlib.metadata import entry_points

    return entry_points()


@cache
def _registered(kind: str) -> tuple[Entry, ...]:
    """What other packages register, in alphabetical order."""
    found = []
    for point in _entry_points().select(group=KINDS[kind]):
        package = point.dist.name if point.dist is not None else point.module
        line = f"from the package {package}"
        found.append(Entry(kind, point.name, point.value, line, package=package))
    return tuple(sorted(found, key=lambda entry: (entry.name, entry.package)))
