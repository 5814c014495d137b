"""The networks of a run as its files hold them: the trained, the folded, and the baseline."""

import json
from contextlib import AbstractContextManager
from pathlib import Path

import torch
from torch import Tensor, nn

from nascence.core.files import understood
from nascence.core.resumable import CheckpointError
from nascence.core.weights import read_metadata
from nascence.data import Dataset
from nascence.design.families import FAMILIES
from nascence.design.folder import RunError
from nascence.design.hand import hand_design, stock_resnet18
from nascence.models import resnet_of_macs
from nascence.reparam import fold


def fold_network(model: nn.Module, images: Tensor) -> nn.Module:
    """Fold a trained network, checked on normalised images ``(N, C, H, W)``."""
    return fold(model.eval(), images)


def check_images(data: Dataset) -> Tensor:
    """A few normalised validation images ``(N, C, H, W)``, on which folding is checked."""
    return data.normalise(data.validation.images[:8])


def load_trained(path: Path) -> nn.Module:
    """Read the trained network of a run, its branches still there, from its safetensors file.

    Raises:
        CheckpointError: The file is damaged, or of a family that this version lacks.
    """
    with _understood(path):
        metadata = read_metadata(path)
        family = metadata.get("family", "cells")
        if family not in FAMILIES:
            raise CheckpointError(
                f"{path} holds a network of the family {family!r}; this version knows "
                f"{', '.join(FAMILIES)}"
            )
        return load_state(FAMILIES[family].load(metadata), path).eval()


def load_baseline(path: Path) -> nn.Module:
    """Read the trained baseline of a run.

    Raises:
        CheckpointError: The file is damaged.
    """
    with _understood(path):
        metadata = read_metadata(path)
        classes = len(json.loads(metadata["classes"]))
        shape = tuple(json.loads(metadata["image_shape"]))
        model: nn.Module
        kind, _, width = metadata.get("spec", "").partition(" ")
        if kind == "hand":
            model = hand_design(int(width), classes=classes, image_shape=shape)
        elif kind == "resnet18":
            model = stock_resnet18(classes=classes, image_shape=shape)
        else:  # of an earlier version
            model = resnet_of_macs(int(metadata["macs"]), classes=classes, image_shape=shape)
        return load_state(model, path).eval()


def load_folded(run: str | Path) -> nn.Module:
    """Read the folded network of a run.

    Args:
        run: Folder of the run.

    Raises:
        RunError: The run has not come that far.
        CheckpointError: A file is damaged.
    """
    run = Path(run)
    trained, folded = run / "checkpoints" / "trained.safetensors", run / "model.safetensors"
    if not (trained.exists() and folded.exists()):
        raise RunError(f"{run} has no folded network yet; `nascence resume {run}` finishes it")
    network = load_trained(trained)
    with _understood(folded):
        example = torch.zeros(1, *json.loads(read_metadata(folded)["image_shape"]))
        return load_state(fold_network(network, example), folded).eval()


def _understood(path: Path) -> AbstractContextManager[None]:
    remedy = "delete the result of the stage that wrote it to run that again, or start a new run"
    return understood(path, remedy=remedy, error=CheckpointError)


def load_state(model: nn.Module, path: Path) -> nn.Module:
    """Fill a freshly built network from a safetensors file; return it.

    Raises:
        CheckpointError: The file cannot be read, or holds other weights.
    """
    from safetensors import SafetensorError
    from safetensors.torch import load_model

    try:
        load_model(model, str(path))
    except (SafetensorError, RuntimeError, OSError) as error:
        reason = " ".join(str(error).split())[:200]
        raise CheckpointError(f"{path} does not hold this network's weights ({reason})") from error
    return model
