"""Networks that a command line names: from this package, a library, or a file."""

import importlib
import importlib.util
import pickle
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch import nn

from nascence.core.weights import read_weights
from nascence.models import build
from nascence.models.zoo import timm_network, zoo
from nascence.reparam import MobileOne, RepVGG
from nascence.reparam.verification import first_line

WEIGHTS = (".pt", ".pth", ".safetensors")
CLASSES = 1000  # of a network that nothing else says the classes of


def network(
    source: str,
    *,
    classes: int | None = None,
    in_channels: int = 3,
    architecture: str | None = None,
) -> nn.Module:
    """The network that ``source`` names, ``(B, in_channels, H, W)`` to ``(B, classes)``.

    Files of weights are never unpickled.

    Args:
        source: A name of :func:`nascence.models.names`, ``repvgg-a0`` or ``mobileone-s0`` and
            their relatives in training form, ``timm/NAME``, ``torchvision/NAME``,
            ``FILE.py:NAME`` (a class or function without arguments, or a module), or a file of
            weights.
        classes: Outputs; if None, those of the file of weights, 1,000 for a name.
        in_channels: Channels of the images.
        architecture: Name of the network that a file of weights fills.

    Raises:
        ValueError: If ``source`` cannot be used; one line says why.
        FileNotFoundError: If there is no such file.
        ModuleNotFoundError: If a library is not installed.
    """
    path = Path(source)
    if path.suffix in WEIGHTS:
        state = read_state(path)
        if architecture is None:
            raise ValueError(f"{source} holds only weights; name its network with --architecture")
        model = network(architecture, classes=classes, in_channels=in_channels)
        if classes is None and (own := outputs_of(state, model)) is not None:
            model = network(architecture, classes=own, in_channels=in_channels)
        fill(model, state, path)
        return model
    if architecture is not None:
        raise ValueError(f"--architecture goes with a file of weights ({', '.join(WEIGHTS)})")
    classes = CLASSES if classes is None else classes
    if match := re.fullmatch(r"(.+\.py):(\w+)", source):
        return _of_python(Path(match[1]), match[2])
    library, separator, name = source.replace(":", "/", 1).partition("/")
    if separator and library == "timm":
        return timm_network(name, classes=classes, in_channels=in_channels)
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


def _of_torchvision(name: str, classes: int, in_channels: int) -> nn.Module:
    models = zoo("torchvision").models
    if in_channels != 3:
        raise ValueError(
            f"the images have {in_channels} channels and torchvision's networks take 3; "
            "use a network of timm or of nascence"
        )
    # drawing truncated normal values takes minutes and is of no use here
    settings = {"init_weights": False} if name in ("googlenet", "inception_v3") else {}
    try:
        model: nn.Module = models.get_model(name, weights=None, num_classes=classes, **settings)
    except Exception as error:  # its constructors fail in many ways
        reason = first_line(error)
        raise ValueError(f"torchvision makes no network {name!r}: {reason}") from error
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
    except (Exception, SystemExit) as error:  # whatever the user's code raises
        raise ValueError(f"{path}:{name} failed: {type(error).__name__}: {error}") from error
    if not isinstance(model, nn.Module):
        kind = "is not there" if model is None else f"gives a {type(model).__name__}"
        raise ValueError(f"{path}:{name} {kind}; it must be or return a torch.nn.Module")
    return model


@contextmanager
def foreign_failures_named(source: str) -> Iterator[None]:
    """Turn whatever the code of a user's Python file raises into one ValueError."""
    try:
        yield
    except (ValueError, OSError, ImportError):
        raise
    except (Exception, SystemExit) as error:
        if ".py:" not in source:
            raise
        line = f"{type(error).__name__}: {first_line(error)}"
        raise ValueError(f"{source} failed when it ran: {line}") from error


def read_state(path: Path) -> dict[str, torch.Tensor]:
    """The tensors of a checkpoint by name, of any shape, read without unpickling code.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If it is damaged, or holds something else.
    """
    if not path.is_file():
        raise FileNotFoundError(f"no checkpoint at {path}")
    try:
        if path.suffix == ".safetensors":
            state: Any = read_weights(path, of="weights").tensors
        else:
            state = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # a damaged file fails in many ways
        line = first_line(error)[:150]
        if isinstance(error, pickle.UnpicklingError) and "GLOBAL" in str(error):
            line = "it pickles other objects, such as a whole network; save its state_dict()"
        raise ValueError(f"{path} is not a checkpoint of weights: {line}") from error
    for name in ("state_dict", "model"):
        state = state.get(name, state) if isinstance(state, dict) else state
    if not isinstance(state, dict) or not all(isinstance(name, str) for name in state):
        kind = type(state).__name__
        raise ValueError(f"{path} is not a checkpoint of weights: it holds a {kind} without names")
    return state


def outputs_of(state: dict[str, torch.Tensor], model: nn.Module) -> int | None:
    """How many classes ``state`` is for, where it differs from ``model``, which has ``CLASSES``.

    None if the two differ in nothing, or in more than one number of outputs. Only the first axis
    of a tensor is compared: a head is ``(classes, features)`` with a bias ``(classes,)``.
    """
    counts = set()
    for name, value in model.state_dict().items():
        own, given = _shape(value), _shape(state.get(name))
        if own and given and own != given and own[0] == CLASSES and own[1:] == given[1:]:
            counts.add(given[0])
    return counts.pop() if len(counts) == 1 else None


def fill(model: nn.Module, state: dict[str, torch.Tensor], path: Path) -> None:
    """Load ``state``, read from ``path``, into ``model``.

    Raises:
        ValueError: A tensor is missing, unknown or of another shape.
    """
    own = model.state_dict()
    wrong = [name for name in {**own, **state} if _shape(own.get(name)) != _shape(state.get(name))]
    if wrong:
        raise ValueError(
            f"{path} does not fit the architecture: {len(wrong)} values are missing, unknown or "
            f"of another shape, the first {wrong[0]}"
        )
    try:
        model.load_state_dict(state)
    except (RuntimeError, TypeError) as error:
        raise ValueError(f"{path} does not fit the architecture: {first_line(error)}") from error


def _shape(value: Any) -> tuple[int, ...] | None:
    return tuple(value.shape) if isinstance(value, torch.Tensor) else None
