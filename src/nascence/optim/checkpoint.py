"""Weights of a learned optimizer on disk: safetensors with the settings and a card inside."""

import json
import os
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file

from nascence.optim.baselines.first_order import SGD, Adam, AdamW, NAdamW
from nascence.optim.contract import LearnedOptimizer
from nascence.optim.feed_forward import FeedForward
from nascence.optim.hierarchical.optimizer import Hierarchical
from nascence.optim.small.optimizer import Small

_FORMAT = "nascence-optimizer-1"
ARCHITECTURES: dict[str, type[LearnedOptimizer]] = {
    "small": Small,
    "hierarchical": Hierarchical,
    "feed-forward": FeedForward,
    "sgd": SGD,
    "adam": Adam,
    "adamw": AdamW,
    "nadamw": NAdamW,
}


def create(name: str, **settings: Any) -> LearnedOptimizer:
    """An untrained optimizer by the name of its architecture.

    Raises ValueError for a name or settings that are not known.
    """
    if name not in ARCHITECTURES:
        raise ValueError(f"architecture is {name!r}; allowed are {', '.join(ARCHITECTURES)}")
    try:
        return ARCHITECTURES[name](**settings)
    except TypeError as error:
        raise ValueError(f"{name} has not these settings: {error}") from None


def save(
    optimizer: LearnedOptimizer, path: str | Path, *, card: dict[str, Any] | None = None
) -> None:
    """Write weights, settings and a card (how trained, on what, which figures), whole or not."""
    names = [name for name, kind in ARCHITECTURES.items() if type(optimizer) is kind]
    if not names:
        raise ValueError(
            f"{type(optimizer).__name__} is none of {', '.join(ARCHITECTURES)}; "
            "save its state_dict() yourself"
        )
    path = Path(path)
    metadata = {
        "format": _FORMAT,
        "architecture": names[0],
        "settings": json.dumps(optimizer.settings),
        "card": json.dumps(card or {}),
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    whole = path.with_name(path.name + ".part")
    tensors = {name: value.detach().cpu().contiguous() for name, value in _weights(optimizer)}
    save_file(tensors, whole, metadata=metadata)
    whole.chmod(0o644)  # safetensors would leave it to its owner alone
    os.replace(whole, path)


def load(path: str | Path) -> LearnedOptimizer:
    """The optimizer that `save` wrote, from a file or by the name of released weights.

    Raises ValueError for anything else.
    """
    architecture, settings, _, tensors = _read(path)
    optimizer = create(architecture, **settings)
    own = dict(_weights(optimizer))
    if own.keys() != tensors.keys() or any(own[n].shape != tensors[n].shape for n in own):
        raise ValueError(f"{path} has weights that do not fit its settings; it is damaged")
    optimizer.load_state_dict(tensors)
    return optimizer


def read_card(path: str | Path) -> dict[str, Any]:
    """The card of a file that `save` wrote."""
    return _read(path)[2]


def _weights(optimizer: LearnedOptimizer) -> list[tuple[str, torch.Tensor]]:
    return list(optimizer.state_dict().items())


def _located(path: str | Path) -> Path:
    if Path(path).is_file():
        return Path(path)
    released = Path(__file__).parents[1] / "weights"
    if (released / f"{path}.safetensors").is_file():
        return released / f"{path}.safetensors"
    known = sorted(file.stem for file in released.glob("optimizer-*.safetensors"))
    raise ValueError(
        f"{path} is not a file, nor the name of released weights ({', '.join(known) or 'none'}); "
        "give the .safetensors file of an optimizer"
    )


def _read(path: str | Path) -> tuple[str, dict[str, Any], dict[str, Any], dict[str, Any]]:
    path = _located(path)
    try:
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
            names = list(file.keys()) if metadata.get("format") == _FORMAT else []
            tensors = {name: file.get_tensor(name) for name in names}
    except (SafetensorError, OSError) as error:
        raise ValueError(f"{path} is not a readable safetensors file: {error}") from None
    if metadata.get("format") != _FORMAT:
        raise ValueError(f"{path} holds no optimizer: its format is {metadata.get('format')!r}")
    try:
        settings, card = json.loads(metadata["settings"]), json.loads(metadata["card"])
        return metadata["architecture"], dict(settings), dict(card), tensors
    except (KeyError, ValueError, TypeError) as error:
        raise ValueError(f"{path} has damaged settings: {error}") from None
