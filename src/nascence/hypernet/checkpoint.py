"""Weights of a hypernetwork on disk: safetensors with the settings and a card inside."""

import json
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from nascence.core.weights import find_weights, read_weights, write_weights
from nascence.hypernet.ghn import GHN

_FORMAT = "nascence-ghn-1"


def save(ghn: GHN, path: str | Path, *, card: dict[str, Any] | None = None) -> None:
    """Write the weights, the settings they need, and a card that says how they were trained.

    The file appears whole or not at all. A hypernetwork with a graph network of one's own is
    saved too, but only :func:`load_into` reads it back.
    """
    metadata = {
        "format": _FORMAT,
        "settings": json.dumps(ghn.settings),
        "card": json.dumps(card or {}),
    }
    write_weights(path, ghn.state_dict(), metadata=metadata)


def load(path: str | Path) -> GHN:
    """Load a hypernetwork that :func:`save` wrote, from a file or by the name of released weights.

    Raises ``ValueError`` for a file that is not one, or whose weights do not fit its settings.
    """
    settings, _, tensors = _read(path)
    try:
        with torch.device("meta"):  # which takes no memory, whatever size a damaged file asks for
            plan = GHN(**settings)
    except (TypeError, ValueError, RuntimeError, ArithmeticError) as error:
        raise ValueError(f"{path} has settings that this version does not know: {error}") from None
    _check(plan, tensors, path)
    ghn = GHN(**settings)
    ghn.load_state_dict(tensors)
    return ghn


def load_into(ghn: GHN, path: str | Path) -> None:
    """Replace the weights of ``ghn`` by those in the file; raises, unchanged, if they differ.

    Raises:
        ValueError: The file was saved for another configuration.
    """
    settings, _, tensors = _read(path)
    differing = [
        f"{key} is {settings.get(key)!r} in the file and {value!r} here"
        for key, value in ghn.settings.items()
        if _plain(settings.get(key)) != _plain(value)
    ]
    if differing:
        raise ValueError(f"{path} was saved for another configuration: {'; '.join(differing)}")
    _check(ghn, tensors, path)
    ghn.load_state_dict(tensors)


def read_card(path: str | Path) -> dict[str, Any]:
    """Read the card of a file that :func:`save` wrote."""
    return _read(path)[1]


def _plain(value: Any) -> Any:
    return json.loads(json.dumps(value))


def _read(path: str | Path) -> tuple[dict[str, Any], dict[str, Any], dict[str, Tensor]]:
    path = find_weights(path, of="hypernetwork", start="ghn")
    found = read_weights(path, of="hypernetwork", format=_FORMAT)
    return found.values("settings", path), found.values("card", path), found.tensors


def _check(ghn: GHN, tensors: dict[str, Tensor], path: str | Path) -> None:
    """Raise ValueError if the tensors are not those of ``ghn``."""
    own = ghn.state_dict()
    for name, value in own.items():
        if name not in tensors:
            raise ValueError(f"{path} was saved for another configuration: it lacks {name}")
        if tensors[name].shape != value.shape:
            raise ValueError(
                f"{path} was saved for another configuration: {name} is "
                f"{tuple(tensors[name].shape)} in the file and {tuple(value.shape)} here"
            )
    extra = sorted(set(tensors) - set(own))
    if extra:
        raise ValueError(f"{path} was saved for another configuration: {extra[0]} is not known")
