"""Networks by name, as the command line uses them."""

from collections.abc import Callable
from difflib import get_close_matches
from functools import partial

from torch import nn

from nascence.models import densenet, dynamic, mobilenet, resnet, shufflenet, vit

_WITH_STEM: dict[str, Callable[..., nn.Module]] = {
    "resnet18": resnet.resnet18,
    "resnet34": resnet.resnet34,
    "resnet50": resnet.resnet50,
    "resnet101": resnet.resnet101,
    "densenet121": densenet.densenet121,
    "densenet169": densenet.densenet169,
    "densenet201": densenet.densenet201,
    "densenet161": densenet.densenet161,
    "mobilenet_v2": mobilenet.mobilenet_v2,
    "shufflenet_v2_x0_5": partial(shufflenet.shufflenet_v2, width=0.5),
    "shufflenet_v2_x1_0": partial(shufflenet.shufflenet_v2, width=1.0),
    "shufflenet_v2_x1_5": partial(shufflenet.shufflenet_v2, width=1.5),
    "shufflenet_v2_x2_0": partial(shufflenet.shufflenet_v2, width=2.0),
    "dynamic_resnet18": dynamic.dynamic_resnet18,
    "dynamic_mobilenet_v2": dynamic.dynamic_mobilenet_v2,
}
_BUILDERS: dict[str, Callable[..., nn.Module]] = {
    **_WITH_STEM,
    **{f"{name}_cifar": partial(build, stem="cifar") for name, build in _WITH_STEM.items()},
    "resnet20": resnet.resnet20,
    "resnet32": resnet.resnet32,
    "resnet44": resnet.resnet44,
    "resnet56": resnet.resnet56,
    "resnet110": resnet.resnet110,
    "densenet_bc_100_12": densenet.cifar_densenet,
    "vit_tiny": vit.vit_tiny,
    "vit_small": vit.vit_small,
    "vit_base": vit.vit_base,
    "vit_cifar": vit.vit_cifar,
}


def names() -> tuple[str, ...]:
    """Every name that :func:`build` knows, sorted.

    Those that end in ``_cifar``, ``resnet20`` to ``resnet110`` and ``densenet_bc_100_12`` are made
    for images of about 32 pixels; the others for 224. The transformers accept only one size: 32 for
    ``vit_cifar``, 224 for the others.
    """
    return tuple(sorted(_BUILDERS))


def build(name: str, *, classes: int, in_channels: int = 3) -> nn.Module:
    """The network of that name: ``(B, in_channels, H, W)`` to ``(B, classes)``.

    For the settings of a family, call its function. Raises ValueError, with the closest names,
    where there is no such network.
    """
    if name not in _BUILDERS:
        close = get_close_matches(name.lower().replace("-", "_"), _BUILDERS, n=3, cutoff=0.5)
        near = (
            f"did you mean {' or '.join(close)}?" if close else f"use one of {', '.join(names())}"
        )
        raise ValueError(f"there is no network {name!r}; {near}")
    return _BUILDERS[name](classes=classes, in_channels=in_channels)
