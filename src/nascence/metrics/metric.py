"""What a metric is, and the two that merely count."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from nascence.graph import count_macs, count_parameters

Batch = tuple[Tensor, Tensor]
"""Images (B, C, H, W) and their labels (B,)."""

Metric = Callable[[nn.Module, Batch], float]
"""Score of a network, higher is better. The network is left exactly as it was found."""


_WRAPPERS = nn.DataParallel, nn.parallel.DistributedDataParallel


def unwrapped(model: nn.Module) -> nn.Module:
    """Return the network itself where it is wrapped for several devices or compiled.

    A score cannot observe what runs on other threads or in a compiled graph, and a wrapper would
    count as one more module.
    """
    while inner := getattr(model, "module" if isinstance(model, _WRAPPERS) else "_orig_mod", None):
        model = inner
    return model


@contextmanager
def refusals(images: Tensor) -> Iterator[None]:
    """Say in one line why a network does not take images (B, ...).

    Raises:
        ValueError: there is no image, or PyTorch raised a ``RuntimeError``, as it does for shapes
            that do not fit; running out of memory stays what it is.
    """
    if not len(images):
        raise ValueError("the batch holds no image; a score needs one or more")
    try:
        yield
    except torch.OutOfMemoryError:
        raise
    except RuntimeError as error:
        raise ValueError(
            f"the network does not take images of shape {tuple(images.shape)}: "
            f"{(str(error).splitlines() or ['no reason given'])[0]}"
        ) from error


def parameters(model: nn.Module, batch: Batch) -> float:
    """Number of learnable scalars, the simplest baseline for any score. ``batch`` is not used."""
    return float(count_parameters(model))


def macs(model: nn.Module, batch: Batch) -> float:
    """Multiply-adds of one image ``(1, C, H, W)`` of the batch: a baseline that is hard to beat."""
    with refusals(batch[0]):
        return float(count_macs(unwrapped(model), batch[0][:1]))
