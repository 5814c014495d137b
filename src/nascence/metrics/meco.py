"""Score a network by how independent the channels of its feature maps are."""

from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from nascence.metrics.metric import Batch, unwrapped
from nascence.metrics.passes import FunctionMode, run

# What the layers of torch.nn call, and the other names of some of it.
_FUNCTIONS: frozenset[Any] = frozenset(
    [
        *(getattr(F, name) for name in dir(F) if name[0] != "_" and callable(getattr(F, name))),
        *(
            getattr(owner, name)
            for owner in (torch, Tensor)
            for name in (
                "relu",
                "relu_",
                "sigmoid",
                "sigmoid_",
                "tanh",
                "tanh_",
                "softmax",
                "prelu",
            )
            if hasattr(owner, name)
        ),
    ]
)


class _FeatureMaps(FunctionMode):
    """While active, records the least eigenvalue of every feature map that a layer returns.

    A layer is a module of ``torch.nn``, which hooks observe, or a function that such a module would
    call, observed where it is called outside of one.
    """

    def __init__(self) -> None:
        super().__init__()
        self.least: list[float] = []
        self.layers: set[nn.Module] = set()
        self._inside = 0
        self._known: dict[tuple[int, int], tuple[Tensor, float]] = {}

    def call(self, func: Callable[..., Any], args: tuple, kwargs: dict[str, Any]) -> Any:
        output = func(*args, **kwargs)
        if not self._inside and func in _FUNCTIONS:
            self.note(output)
        return output

    def enter(self, module: nn.Module, inputs: Any) -> None:
        """Hook before a layer's pass."""
        self._inside += 1

    def leave(self, module: nn.Module, inputs: Any, output: Any) -> None:
        """Hook after any module's pass."""
        self._inside -= module in self.layers
        with torch._C.DisableTorchFunction():  # what is measured is not watched
            self.note(output)

    def note(self, output: Any) -> None:
        """Record feature maps (1, C, ...) that have at least two channels and two values each."""
        if not isinstance(output, Tensor) or output.dim() < 3:
            return
        maps = output[0].flatten(1)
        if min(maps.shape) < 2:
            return
        # A block gives the tensor of its last layer, which is held so that it stays itself.
        key = id(output), output._version
        if key not in self._known:
            self._known[key] = output, least_eigenvalue(maps)
        self.least.append(self._known[key][1])


def meco(model: nn.Module, batch: Batch) -> float:
    """Return the sum over layers and blocks of the least eigenvalue of their maps' correlation.

    Jiang, Wang and Bie, "MeCo: Zero-Shot NAS with One Data and Single Forward Pass via Minimum
    Eigenvalue of Correlation", NeurIPS 2023. As in the published code every module that gives
    feature maps counts, a block beside the layers it is made of, as often as it is called, and
    BatchNorm uses the statistics of the one image. A function counts as the layer of ``torch.nn``
    that it stands for, so that ``F.relu`` is ``nn.ReLU``; the published code leaves functions out.
    A constant channel correlates with nothing, not even itself, so that the least eigenvalue is
    zero. Where the published code draws a random image, the first image of the batch is used.

    Args:
        model: any network.
        batch: one image or more, ``(B, C, ...)``, of which the first is used; no label is read.

    Raises:
        ValueError: no module gives feature maps ``(1, C, ...)`` of two channels or more and two
            values or more each; feature maps that are not finite.
    """
    model, maps, handles = unwrapped(model), _FeatureMaps(), []
    for module in model.modules():
        if _is_layer(module):
            maps.layers.add(module)
            handles.append(module.register_forward_pre_hook(maps.enter))
        handles.append(module.register_forward_hook(maps.leave))
    try:
        with torch.no_grad(), maps:
            run(model, batch[0][:1])
    finally:
        for handle in handles:
            handle.remove()
    if not maps.least:
        raise ValueError(
            "no module of the network gives feature maps of two channels or more; "
            "this score says nothing about it"
        )
    return sum(maps.least)


def _is_layer(module: nn.Module) -> bool:
    """Whether a module is a layer of ``torch.nn``, or of a kind derived from one."""
    layers = (kind for kind in type(module).__mro__ if kind is not nn.Module)
    own = any(kind.__module__.startswith("torch.nn.modules.") for kind in layers)
    return own and not any(True for _ in module.children())


def least_eigenvalue(maps: Tensor) -> float:
    """Return that of the correlation of the rows of maps ``(C, values)``.

    Raises:
        ValueError: the maps are not finite.
    """
    maps = maps.double()
    if not maps.isfinite().all():
        raise ValueError("the network's feature maps are not finite, so that they mean nothing")
    if maps.shape[1] <= maps.shape[0]:
        return 0.0  # without their mean the rows lie in fewer dimensions than they are
    centred = maps - maps.mean(1, keepdim=True)
    norms = centred.norm(dim=1, keepdim=True)
    if bool((norms <= 1e-6 * maps.norm(dim=1, keepdim=True)).any()):
        return 0.0  # a constant channel, to which rounding leaves a little variation
    centred = centred / norms
    return max(0.0, float(torch.linalg.eigvalsh(centred @ centred.T)[0]))
