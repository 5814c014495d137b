"""Networks of timm, with the weights of its hub or of a local file."""

import importlib
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from nascence.core.weights import read_weights

LIBRARIES: list[torch.library.Library] = []


def zoo(name: str) -> Any:
    """Import the module ``name`` of timm or torchvision, also with a torch without CUDA.

    Raises:
        ValueError: If it does not fit the installed torch.
        ModuleNotFoundError: If it is not installed.
    """
    try:
        return importlib.import_module(name)
    except RuntimeError as error:  # torchvision for CUDA lacks its operators beside torch for CPUs
        if "operator torchvision::" not in str(error) or LIBRARIES:
            raise ValueError(f"{name} does not fit the installed torch: {error}") from error
    LIBRARIES.append(torch.library.Library("torchvision", "DEF"))
    LIBRARIES[0].define("nms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
    LIBRARIES[0].define("qnms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
    return zoo(name)


def timm_network(
    name: str, *, classes: int, in_channels: int = 3, pretrained: bool = False
) -> nn.Module:
    """Build a network of timm.

    Args:
        name: What timm calls it, such as ``resnet18.a1_in1k``.
        classes: Of the classifier, which is always new.
        in_channels: Channels of the images.
        pretrained: Whether to load its weights from the hub, or from the cache on this machine.

    Raises:
        ValueError: timm has no such network, or its weights cannot be had.
        ModuleNotFoundError: timm is not installed.
    """
    timm = zoo("timm")
    try:
        model: nn.Module = timm.create_model(
            name, pretrained=pretrained, num_classes=classes, in_chans=in_channels
        )
    except Exception as error:  # its constructors, and what loads weights, fail in many ways
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        what = f"has no weights of {name!r} here" if pretrained else f"makes no network {name!r}"
        raise ValueError(f"timm {what}: {reason}") from error
    return model


def timm_network_of(
    name: str, file: str | Path, *, classes: int, in_channels: int = 3
) -> nn.Module:
    """Build a network of timm with the weights of a safetensors file, but for its classifier.

    Args:
        name: What timm calls it.
        file: Weights as timm names them, of images with three channels.
        classes: Of the new classifier.
        in_channels: Channels of the images; where they are not three, the first kernel is
            repeated or summed up as timm does.

    Raises:
        ValueError: There is no such network, the file cannot be read, or it is of another one.
    """
    model = timm_network(name, classes=classes, in_channels=in_channels)
    config: dict[str, Any] = model.pretrained_cfg  # type: ignore[assignment]
    found = dict(read_weights(file, of="network").tensors)
    own, heads = model.state_dict(), _names(config.get("classifier"))
    found = {key: value for key, value in found.items() if not _is_of(key, heads)}
    if in_channels != 3:
        adapt = importlib.import_module("timm.models").adapt_input_conv
        for key in (f"{each}.weight" for each in _names(config.get("first_conv"))):
            if key in found:
                found[key] = adapt(in_channels, found[key])
    wanted = {key: value for key, value in own.items() if not _is_of(key, heads)}
    if wrong := _differences(wanted, found):
        raise ValueError(f"{file} holds another network than {name}: {wrong}")
    model.load_state_dict({**own, **found})
    return model


def _names(value: str | tuple[str, ...] | None) -> tuple[str, ...]:
    return (value,) if isinstance(value, str) else tuple(value or ())


def _is_of(key: str, modules: tuple[str, ...]) -> bool:
    return any(key.startswith(f"{module}.") for module in modules)


def _differences(wanted: dict[str, Tensor], found: dict[str, Tensor]) -> str:
    """The first of each kind of difference between two states, in words; empty where none is."""
    lacking, extra = sorted(wanted.keys() - found.keys()), sorted(found.keys() - wanted.keys())
    words = []
    if lacking:
        words.append(f"{lacking[0]} and {len(lacking) - 1} more are missing")
    if extra:
        words.append(f"{extra[0]} and {len(extra) - 1} more are not of it")
    for key in sorted(wanted.keys() & found.keys()):
        if wanted[key].shape != found[key].shape:
            words.append(f"{key} is {tuple(found[key].shape)}, not {tuple(wanted[key].shape)}")
            break
    return "; ".join(words)
