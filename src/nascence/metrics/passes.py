"""How scores run a network, so that it is left exactly as it was found."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn.modules.batchnorm import _BatchNorm
from torch.overrides import TorchFunctionMode

from nascence.core.modes import modes_restored
from nascence.core.randomness import seeded
from nascence.metrics.metric import Batch, refusals, unwrapped

_STOCK = nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d
# What makes a network's scale not grow with its weights'; each takes its input first.
_NORMALISATIONS = {F.batch_norm, F.instance_norm, F.group_norm, F.layer_norm, F.rms_norm}


@contextmanager
def batch_statistics(model: nn.Module) -> Iterator[None]:
    """Let BatchNorm use the statistics of the batch, and hold all else in evaluation mode.

    Dropout and its like would make a score random. Every module's mode is restored, and so is the
    state of the global random generators.
    """
    first = next(model.parameters(), None)
    with modes_restored(model), seeded(None, "cpu" if first is None else first.device):
        model.eval()
        for module in model.modules():
            if isinstance(module, _BatchNorm):
                module.training = True
        yield


def run(
    model: nn.Module,
    images: Tensor,
    parameters: Mapping[str, Tensor] | None = None,
    *,
    channels_last: bool = True,
) -> Any:
    """Return the output of one pass in :func:`batch_statistics`, buffers kept as they are.

    Args:
        model: any network that takes one tensor.
        images: (B, ...).
        parameters: values to use in place of the network's own, by name; buffers too.
        channels_last: give images of four dimensions in channels-last order. On a CPU convolutions
            and their first derivatives are faster in it, their second derivatives slower.

    Raises:
        ValueError: there is no image, or the network does not take images of this shape.
    """
    if channels_last:
        images = in_channels_last(images)
    state: dict[str, Tensor] = {}
    tracking: list[_BatchNorm] = []
    for prefix, module in model.named_modules():
        if isinstance(module, _BatchNorm) and type(module) in _STOCK:
            tracking += [module] if module.track_running_stats else []
            continue
        for name, buffer in module.named_buffers(prefix, recurse=False):
            state[name] = buffer.clone()  # a module of another kind may write into its buffers
    state |= parameters or {}
    single = _taking_one_value(model) if len(images) == 1 else nullcontext()
    with refusals(images), batch_statistics(model), _not_tracking(tracking), single:
        return functional_call(model, state, (images,)) if state else model(images)


@contextmanager
def _not_tracking(modules: list[_BatchNorm]) -> Iterator[None]:
    """Let BatchNorms leave their running statistics alone, which costs less than copies of them."""
    try:
        for module in modules:
            module.track_running_stats = False
        yield
    finally:
        for module in modules:
            module.track_running_stats = True


@contextmanager
def _taking_one_value(model: nn.Module) -> Iterator[None]:
    """Let BatchNorms take one value per channel, which PyTorch refuses to train on.

    The same value twice has the same statistics: what is left of it is the channel's shift.
    """
    doubled: set[nn.Module] = set()

    def double(module: nn.Module, inputs: Any) -> Any:
        if inputs[0].numel() != inputs[0].shape[1]:
            return None
        doubled.add(module)
        return torch.cat([inputs[0], inputs[0]])

    def halve(module: nn.Module, inputs: Any, output: Any) -> Any:
        if module not in doubled:
            return None
        doubled.remove(module)
        return output[:1]

    handles = []
    for module in model.modules():
        if isinstance(module, _BatchNorm):
            handles.append(module.register_forward_pre_hook(double))
            handles.append(module.register_forward_hook(halve))
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


class FunctionMode(TorchFunctionMode):
    """While active, hands every function that is called to :meth:`call`."""

    def call(self, func: Callable[..., Any], args: tuple, kwargs: dict[str, Any]) -> Any:
        """Return what the function is to give; by default what it gives."""
        return func(*args, **kwargs)

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Any,
        args: tuple = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:
        return self.call(func, args, kwargs or {})


class WithoutNormalisation(FunctionMode):
    """While active, a normalisation gives its input, whoever calls it."""

    def call(self, func: Callable[..., Any], args: tuple, kwargs: dict[str, Any]) -> Any:
        """Return the input of a normalisation, and what any other function gives."""
        if func in _NORMALISATIONS:
            return args[0] if args else kwargs["input"]
        return func(*args, **kwargs)


def in_channels_last(images: Tensor) -> Tensor:
    """Return images in channels-last order if they are ``(B, C, H, W)``, else as they are."""
    return images.contiguous(memory_format=torch.channels_last) if images.dim() == 4 else images


def one_tensor(output: Any) -> Tensor:
    """Return what a network gave, of any shape, or raise ``ValueError`` if it is not one tensor."""
    if not isinstance(output, Tensor):
        raise ValueError(
            f"the network gives a {type(output).__name__}; a score needs one that gives one tensor"
        )
    return output


def free_parameters(model: nn.Module) -> dict[str, Tensor]:
    """Return the parameters by name, of their shapes and memory, as leaves of a new graph."""
    return {name: value.detach().requires_grad_() for name, value in model.named_parameters()}


def weights_of(parameters: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return those ``(out, in, ...)``, of two dimensions or more: no bias and no scale.

    Raises:
        ValueError: there is none.
    """
    weights = {name: value for name, value in parameters.items() if value.dim() > 1}
    if not weights:
        raise ValueError(
            "the network has no weights (parameters of two or more dimensions); "
            "this score says nothing about it"
        )
    return weights


def cross_entropy(output: Any, labels: Tensor) -> Tensor:
    """Return the mean cross-entropy of a network's logits (B, classes) and labels (B,).

    Raises:
        ValueError: outputs, shapes or labels that do not fit; a loss that is not finite.
    """
    logits = one_tensor(output)
    if logits.dim() != 2 or labels.shape != logits.shape[:1]:
        raise ValueError(
            f"the network gives {tuple(logits.shape)} for labels {tuple(labels.shape)}; "
            "this score needs (batch, classes) and (batch,)"
        )
    if len(labels) == 0 or labels.min() < 0 or labels.max() >= logits.shape[1]:
        raise ValueError(
            f"the labels must be at least one, from 0 to {logits.shape[1] - 1}, for a network "
            f"with {logits.shape[1]} outputs"
        )
    loss = F.cross_entropy(logits, labels)
    if not loss.isfinite():
        raise ValueError("the network's loss is not finite, so that its gradients mean nothing")
    return loss


def gradients(value: Tensor, inputs: Mapping[str, Tensor], *, graph: bool = False) -> list[Tensor]:
    """Return the gradient of a scalar for each input; zeros where it does not depend on one.

    Raises:
        ValueError: a gradient that is not finite.
    """
    if not value.requires_grad:
        return [torch.zeros_like(x) for x in inputs.values()]
    found = torch.autograd.grad(
        value, list(inputs.values()), create_graph=graph, materialize_grads=True
    )
    for name, gradient in zip(inputs, found, strict=True):
        if not gradient.isfinite().all():
            raise ValueError(f"the gradient of {name} is not finite; this score means nothing")
    return list(found)


def loss_gradients(
    model: nn.Module, batch: Batch, *, graph: bool = False
) -> tuple[dict[str, Tensor], list[Tensor]]:
    """Return the weights, and for each, in its shape, the gradient of the batch's cross-entropy.

    The batch is images ``(B, C, H, W)`` and labels ``(B,)``; ``graph`` keeps the gradients'
    own graph, to differentiate them again.
    """
    model = unwrapped(model)
    parameters = free_parameters(model)
    weights = weights_of(parameters)
    with torch.enable_grad():
        output = run(model, batch[0], parameters, channels_last=not graph)
        loss = cross_entropy(output, batch[1])
        return weights, gradients(loss, weights, graph=graph)
