"""Networks that a command line names: of this package, of a library, or of a file."""

import importlib.util
import re
from pathlib import Path
from typing import Any

import torch
from torch import nn

from nascence.models import build
from nascence.reparam import MobileOne, RepVGG

WEIGHTS = (".pt", ".pth", ".safetensors")


def network(
    source: str, *, classes: int, in_channels: int = 3, architecture: str | None = None
) -> nn.Module:
    """The network that ``source`` names, ``(B, in_channels, H, W)`` to ``(B, classes)``.

    ``source`` is a name of :func:`nascence.models.names`, ``repvgg-a0`` or ``mobileone-s0`` and
    their relatives in training form, ``timm/NAME``, ``torchvision/NAME``,
    ``FILE.py:NAME`` (a class or function without arguments, or a module), or a file of weights,
    which ``architecture`` names the network of. Files of weights are never unpickled.

    Raises ValueError or FileNotFoundError with one line for what cannot be used, and
    ModuleNotFoundError for a library that is not installed.
    """
    path = Path(source)
    if path.suffix in WEIGHTS:
        if architecture is None:
            raise ValueError(f"{source} holds weights alone; name its network with --architecture")
        model = network(architecture, classes=classes, in_channels=in_channels)
        load_weights(model, path)
        return model
    if architecture is not None:
        raise ValueError(f"--architecture goes with a file of weights ({', '.join(WEIGHTS)})")
    if match := re.fullmatch(r"(.+\.py):(\w+)", source):
        return _of_python(Path(match[1]), match[2])
    library, separator, name = source.replace(":", "/", 1).partition("/")
    if separator and library == "timm":
        return _of_timm(name, classes, in_channels)
    if separator and library == "torchvision":
        return _of_torchvision(name, classes, in_channels)
    if separator:
        raise ValueError(
            f"no network {source!r}; give a name, timm/NAME, torchvision/NAME, FILE.py:NAME or a "
            f"file of weights ({', '.join(WEIGHTS)})"
        )
    if source.lower().startswith(("repvgg-", "mobileone-")):
        return _of_branches(source, classes, in_channels)
    return build(source, classes=classes, in_channels=in_channels)


def _of_branches(source: str, classes: int, in_channels: int) -> nn.Module:
    if in_channels != 3:
        raise ValueError(f"the images have {in_channels} channels and {source} takes 3")
    family, _, size = source.lower().partition("-")
    if family == "repvgg":
        return RepVGG(size[:1].upper() + size[1:], classes=classes)
    return MobileOne(size.upper(), classes=classes)


def _of_timm(name: str, classes: int, in_channels: int) -> nn.Module:
    import timm

    try:
        model: nn.Module = timm.create_model(
            name, pretrained=False, num_classes=classes, in_chans=in_channels
        )
    except (RuntimeError, ValueError, TypeError) as error:
        raise ValueError(f"timm makes no network {name!r}: {error}") from error
    return model


def _of_torchvision(name: str, classes: int, in_channels: int) -> nn.Module:
    try:
        from torchvision import models
    except RuntimeError as error:  # built for another torch
        raise ValueError(f"torchvision does not fit the installed torch: {error}") from error
    if in_channels != 3:
        raise ValueError(
            f"the images have {in_channels} channels and torchvision's networks take 3; "
            "use a network of timm or of nascence"
        )
    # drawing truncated normal values takes minutes and is of no use here
    settings = {"init_weights": False} if name in ("googlenet", "inception_v3") else {}
    try:
        model: nn.Module = models.get_model(name, weights=None, num_classes=classes, **settings)
    except (ValueError, TypeError) as error:
        raise ValueError(f"torchvision makes no network {name!r}: {error}") from error
    return model


def _of_python(path: Path, name: str) -> nn.Module:
    """Run a Python file of the user's and take a module from it."""
    if not path.is_file():
        raise FileNotFoundError(f"no Python file at {path}")
    specification = importlib.util.spec_from_file_location(path.stem, path)
    assert specification is not None
    assert specification.loader is not None
    namespace = importlib.util.module_from_spec(specification)
    try:
        specification.loader.exec_module(namespace)
        found = getattr(namespace, name, None)
        model = found() if callable(found) and not isinstance(found, nn.Module) else found
    except Exception as error:  # whatever the user's code raises
        raise ValueError(f"{path}:{name} failed: {type(error).__name__}: {error}") from error
    if not isinstance(model, nn.Module):
        kind = "is not there" if model is None else f"gives a {type(model).__name__}"
        raise ValueError(f"{path}:{name} {kind}; it must be or return a torch.nn.Module")
    return model


def load_weights(model: nn.Module, path: Path) -> None:
    """Fill ``model`` from a checkpoint without unpickling code; ValueError if it does not fit."""
    if not path.is_file():
        raise FileNotFoundError(f"no checkpoint at {path}")
    try:
        if path.suffix == ".safetensors":
            from safetensors.torch import load_file

            state: Any = load_file(str(path))
        else:
            state = torch.load(path, map_location="cpu", weights_only=True)
        state = state.get("state_dict", state.get("model", state))
    except Exception as reason:  # a damaged file fails in many ways
        line = (str(reason) or type(reason).__name__).splitlines()[0]
        raise ValueError(f"{path} is not a checkpoint of weights: {line[:150]}") from reason
    own = model.state_dict()
    wrong = [name for name in {**own, **state} if _shape(own.get(name)) != _shape(state.get(name))]
    if wrong:
        raise ValueError(
            f"{path} does not fit the architecture: {len(wrong)} values are missing, unknown or "
            f"of another shape, the first {wrong[0]}"
        )
    model.load_state_dict(state)


def _shape(value: Any) -> tuple[int, ...] | None:
    return tuple(value.shape) if isinstance(value, torch.Tensor) else None
