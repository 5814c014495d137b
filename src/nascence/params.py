"""Named parameters of a network, and checkpoints that are whole or not there."""

import contextlib
import copy
import os
import pickle
import zipfile
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

Params = dict[str, Tensor]


class CheckpointError(OSError):
    """A checkpoint cannot be written, read, or belongs to something else."""


def of(model: nn.Module) -> Params:
    """Copies of a model's parameters, keyed like ``named_parameters()``."""
    return {name: value.detach().clone() for name, value in model.named_parameters()}


def load(model: nn.Module, params: Params) -> nn.Module:
    """A copy of ``model`` with these parameters; buffers are the model's own.

    Raises ValueError that names the first missing, superfluous or wrongly shaped parameter.
    """
    loaded = copy.deepcopy(model)
    own = dict(loaded.named_parameters())
    if missing := [name for name in own if name not in params]:
        raise ValueError(f"{len(missing)} parameters are missing, the first is {missing[0]!r}")
    if extra := [name for name in params if name not in own]:
        raise ValueError(f"the model has no parameter {extra[0]!r} ({len(extra)} such names)")
    with torch.no_grad():
        for name, parameter in own.items():
            if params[name].shape != parameter.shape:
                raise ValueError(
                    f"parameter {name!r} has shape {tuple(params[name].shape)}; "
                    f"the model needs {tuple(parameter.shape)}"
                )
            parameter.copy_(params[name])
    return loaded


def write_whole(path: Path, content: bytes) -> None:
    """Write a file whole or not at all: what stood at ``path`` stays until the new one is safe."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        with temporary.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except OSError as error:
        with contextlib.suppress(OSError):
            temporary.unlink()
        raise CheckpointError(
            f"cannot write {path}: {error.strerror or error}; "
            f"free some space or choose another folder, what was there before is kept"
        ) from error


def save_checkpoint(path: Path, content: dict[str, Any]) -> None:
    """Write tensors and plain values whole or not at all.

    Raises CheckpointError when the disk is full or the folder cannot be written; an earlier
    checkpoint at ``path`` is then still there.
    """
    import io

    buffer = io.BytesIO()
    torch.save(content, buffer)
    write_whole(path, buffer.getvalue())


def load_checkpoint(path: Path) -> dict[str, Any]:
    """Read what save_checkpoint wrote, on the CPU, without unpickling anything but tensors."""
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except (OSError, RuntimeError, EOFError, pickle.UnpicklingError, zipfile.BadZipFile) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise CheckpointError(
            f"{path} is not a checkpoint that can be read ({reason}); delete it to start again"
        ) from error
    if not isinstance(content, dict):
        raise CheckpointError(f"{path} holds a {type(content).__name__}, not a checkpoint")
    return content
