"""Weights of a hypernetwork on disk: safetensors with the settings and a card inside."""

import json
import os
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file

from nascence.hypernet.ghn import GHN

_FORMAT = "nascence-ghn-1"


def save(ghn: GHN, path: str | Path, *, card: dict[str, Any] | None = None) -> None:
    """Write the weights, the settings they need, and a card: how trained, on what, which figures.

    The file appears whole or not at all. A hypernetwork with a graph network of one's own is
    saved too, but only :func:`load_into` reads it back.
    """
    path = Path(path)
    metadata = {
        "format": _FORMAT,
        "settings": json.dumps(ghn.settings),
        "card": json.dumps(card or {}),
    }
    whole = path.with_name(path.name + ".part")
    tensors = {name: value.detach().cpu().contiguous() for name, value in ghn.state_dict().items()}
    save_file(tensors, whole, metadata=metadata)
    whole.chmod(0o644)  # safetensors would leave it to its owner alone
    os.replace(whole, path)


def load(path: str | Path) -> GHN:
    """The hypernetwork that :func:`save` wrote, from a file or by the name of released weights.

    Raises ``ValueError`` for a file that is not one, or whose weights do not fit its settings.
    """
    settings, _, tensors = _read(path)
    try:
        ghn = GHN(**settings)
    except TypeError as error:
        raise ValueError(f"{path} has settings that this version does not know: {error}") from None
    _fill(ghn, tensors, path)
    return ghn


def load_into(ghn: GHN, path: str | Path) -> None:
    """Replace the weights of ``ghn`` by those in the file; raises, unchanged, if they differ."""
    settings, _, tensors = _read(path)
    differing = [
        f"{key} is {settings.get(key)!r} in the file and {value!r} here"
        for key, value in ghn.settings.items()
        if _plain(settings.get(key)) != _plain(value)
    ]
    if differing:
        raise ValueError(f"{path} was saved for another configuration: {'; '.join(differing)}")
    _fill(ghn, tensors, path)


def read_card(path: str | Path) -> dict[str, Any]:
    """The card of a file written by :func:`save`."""
    return _read(path)[1]


def _plain(value: Any) -> Any:
    return json.loads(json.dumps(value))


def _located(path: str | Path) -> Path:
    """The file, or the released weights of that name."""
    if Path(path).is_file():
        return Path(path)
    released = Path(__file__).parents[1] / "weights"
    if (released / f"{path}.safetensors").is_file():
        return released / f"{path}.safetensors"
    known = ", ".join(sorted(file.stem for file in released.glob("ghn*.safetensors"))) or "none"
    raise ValueError(
        f"{path} is not a file, nor the name of released weights ({known}); "
        "give the .safetensors file of a hypernetwork"
    )


def _read(path: str | Path) -> tuple[dict[str, Any], dict[str, Any], dict[str, Any]]:
    path = _located(path)
    try:
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
            names = list(file.keys()) if metadata.get("format") == _FORMAT else []
            tensors = {name: file.get_tensor(name) for name in names}
    except (SafetensorError, OSError) as error:
        raise ValueError(f"{path} is not a readable safetensors file: {error}") from None
    if metadata.get("format") != _FORMAT:
        raise ValueError(f"{path} holds no hypernetwork: its format is {metadata.get('format')!r}")
    try:
        return json.loads(metadata["settings"]), json.loads(metadata["card"]), tensors
    except (KeyError, json.JSONDecodeError) as error:
        raise ValueError(f"{path} has damaged settings: {error}") from None


def _fill(ghn: GHN, tensors: dict[str, Any], path: str | Path) -> None:
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
    ghn.load_state_dict(tensors)
