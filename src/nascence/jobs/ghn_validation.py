"""What the meta-training of a hypernetwork trains on and is validated on."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from nascence.core.files import understood
from nascence.data import Dataset, Split
from nascence.hypernet import GHN, validation
from nascence.spaces.deepnets import DeepNets


def floats(data: Dataset, split: Split, count: int | None) -> tuple[Tensor, Tensor]:
    """Return normalised images ``(N, 3, H, W)``, grey ones three times, and labels ``(N,)``."""
    images = data.normalise(split.images[:count])
    return images.expand(-1, 3, -1, -1).contiguous(), split.labels[:count]


def validation_on(
    data: Dataset, networks: dict[str, DeepNets], count: int, device: torch.device
) -> Callable[[GHN], dict[str, float]]:
    """Return a pass over ``count`` networks of every split on at most 1,000 validation images."""
    calibration, _ = floats(data, data.train, 256)
    images, labels = floats(data, data.validation, 1000)
    splits = {
        name: lambda index, of=of: _placed(of[index], device) for name, of in networks.items()
    }
    return validation(
        splits,
        count,
        images.to(device),
        labels.to(device),
        calibration=[b for b in calibration.to(device).split(64) if len(b) > 1],
    )


def _placed(pair: Any, device: torch.device) -> Any:
    graph, model = pair
    return graph, model.to(device)


def last_validation(out: Path) -> dict[str, float]:
    """Return the accuracies of the last validation pass in the log."""
    found: dict[str, float] = {}
    path = out / "log.jsonl"
    with understood(path, remedy="delete it; the next leg begins another log"):
        for line in path.read_text().splitlines() if path.is_file() else ():
            row = json.loads(line)
            found = {k: float(v) for k, v in row.items() if k.startswith("accuracy_")} or found
    return found
