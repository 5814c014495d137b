"""Weights of a learned optimizer on disk: safetensors with the settings and a card inside."""

import json
from pathlib import Path
from typing import Any

from nascence import registry
from nascence.core.weights import Weights, find_weights, read_weights, write_weights
from nascence.optim.contract import LearnedOptimizer

_FORMAT = "nascence-optimizer-1"


def create(name: str, **settings: Any) -> LearnedOptimizer:
    """Return an untrained optimizer by the name of its architecture.

    Args:
        name: Name of an optimizer in `nascence.registry`.
        settings: Its keyword arguments.

    Raises:
        ValueError: For a name or settings that are not known.
    """
    make = registry.find(name, "optimizer", called="optimizer architecture").load()
    try:
        made: LearnedOptimizer = make(**settings)
        return made
    except (TypeError, RuntimeError, OverflowError, MemoryError) as error:
        reason = next(iter(str(error).splitlines()), type(error).__name__)
        raise ValueError(f"{name} cannot have the settings {settings}: {reason}") from None


def save(
    optimizer: LearnedOptimizer, path: str | Path, *, card: dict[str, Any] | None = None
) -> None:
    """Write weights, settings and a card (how trained, on what, results) to a file, atomically.

    Raises:
        ValueError: The optimizer is not of a named architecture.
        WriteError: The disk is full, or the folder cannot be written.
    """
    known = registry.entries("optimizer")
    named = next((entry for entry in known if type(optimizer) is entry.load()), None)
    if named is None:
        raise ValueError(
            f"{type(optimizer).__name__} is none of {', '.join(registry.names('optimizer'))}; "
            "save its state_dict() yourself, or register it as nascence.optimizers"
        )
    metadata = {
        "format": _FORMAT,
        "architecture": named.name,
        "settings": json.dumps(optimizer.settings),
        "card": json.dumps(card or {}),
    }
    write_weights(path, optimizer.state_dict(), metadata=metadata)


def load(path: str | Path) -> LearnedOptimizer:
    """Return the optimizer that `save` wrote, from a file or by the name of released weights.

    Raises:
        ValueError: For anything else.
    """
    found = _read(path)
    architecture = found.metadata.get("architecture", "")
    optimizer = create(architecture, **found.values("settings", path))
    own, theirs = optimizer.state_dict(), found.tensors
    if own.keys() != theirs.keys() or any(own[n].shape != theirs[n].shape for n in own):
        raise ValueError(f"{path} has weights that do not fit its settings; it is damaged")
    optimizer.load_state_dict(theirs)
    return optimizer


def read_card(path: str | Path) -> dict[str, Any]:
    """Return the card of a file that `save` wrote.

    Raises:
        ValueError: For any other file.
    """
    return _read(path).values("card", path)


def _read(path: str | Path) -> Weights:
    found = find_weights(path, of="optimizer", start="optimizer-")
    return read_weights(found, of="optimizer", format=_FORMAT)
