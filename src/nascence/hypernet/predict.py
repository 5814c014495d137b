"""From a module to predicted values in one call, and values to start training from."""

import copy
import itertools

import torch
from torch import Tensor, nn

from nascence.graph import Graph, trace
from nascence.hypernet.checkpoint import load
from nascence.hypernet.ghn import GHN
from nascence.hypernet.ridge import ridge_head
from nascence.params import Params
from nascence.recalibration import STATISTICS, recalibrate

RELEASED = "ghn2-cifar10"


def predict(
    model: nn.Module,
    inputs: Tensor,
    *,
    ghn: GHN | None = None,
    labels: Tensor | None = None,
    batch_size: int = 64,
) -> Params:
    """Return parameters and buffers for ``model``: trace, predict, recalibrate, fit the head.

    The model is left as it is: ``model.load_state_dict(predict(model, inputs))`` puts the values
    in place.

    Args:
        model: Any network that can be traced.
        inputs: ``(B, C, H, W)`` of any floating-point dtype; they give the statistics of batch
            normalisation.
        ghn: The hypernetwork; None for the released weights.
        labels: ``(B,)``; the classifier is fitted to them in closed form, which suits any data and
            number of classes. None keeps the predicted one.
        batch_size: Inputs in a forward pass.

    Returns:
        What ``model.load_state_dict`` takes.

    Raises:
        GraphError: The network cannot be traced or predicted.
        ValueError: A label is not below the number of outputs.
    """
    ghn = load(RELEASED) if ghn is None else ghn
    single, inputs = single_precision(model), inputs.float()
    graph = trace(single, inputs[:1])
    with torch.no_grad():
        params = ghn([graph])[0]
    return state_of(model, _completed(single, graph, params, inputs, labels, batch_size))


def transfer(
    model: nn.Module,
    inputs: Tensor,
    *,
    generator: torch.Generator,
    ghn: GHN | None = None,
    labels: Tensor | None = None,
    scale: float = 1e-2,
    batch_size: int = 64,
) -> Params:
    """Like :func:`predict`, for other data or a few images of it: with a new classifier.

    The layers that :attr:`Graph.classifiers` names are not predicted but drawn as PyTorch
    draws linear layers, biases zero (Knyazev et al., 2021, section 5.4), or with ``labels``
    fitted in closed form. All else has the noise of :func:`break_symmetry`.

    Args:
        model: Any network that can be traced.
        inputs: ``(B, C, H, W)``, of the new data.
        generator: Draws classifier and noise.
        ghn: The hypernetwork; None for the released weights.
        labels: ``(B,)``, or None.
        scale: Scale of the noise; 0 for none.
        batch_size: Inputs in a forward pass.

    Returns:
        What ``model.load_state_dict`` takes.
    """
    ghn = load(RELEASED) if ghn is None else ghn
    single, inputs = single_precision(model), inputs.float()
    graph = trace(single, inputs[:1])
    with torch.no_grad():
        params = ghn([graph])[0]
    params = break_symmetry(params, generator=generator, scale=scale)
    for node in sorted(graph.classifiers):
        for parameter in graph.nodes[node].parameters:
            old = params[parameter.name]
            bound = 0.0 if old.dim() < 2 else old[0].numel() ** -0.5
            drawn = torch.rand(old.shape, generator=generator, dtype=old.dtype)
            params[parameter.name] = (bound * (2 * drawn - 1)).to(old.device)
    return state_of(model, _completed(single, graph, params, inputs, labels, batch_size))


def single_precision(model: nn.Module) -> nn.Module:
    """The model, or a copy in float32 where it has parameters or buffers of another precision.

    Hypernetworks predict in float32; `state_of` gives the values the dtypes of the model again.
    """
    tensors = itertools.chain(model.parameters(), model.buffers())
    if all(each.dtype == torch.float32 for each in tensors if each.is_floating_point()):
        return model
    return copy.deepcopy(model).float()


def _completed(
    model: nn.Module,
    graph: Graph,
    params: Params,
    inputs: Tensor,
    labels: Tensor | None,
    batch_size: int,
) -> Params:
    """Add BatchNorm statistics and, if there are labels, the closed-form head."""
    batches = [batch for batch in inputs.split(batch_size) if len(batch) > 1]
    values = {**params, **recalibrate(model, params, batches)}
    if labels is not None:
        values.update(ridge_head(model, graph, values, inputs, labels))
    return values


def state_of(model: nn.Module, values: Params) -> Params:
    """Return ``values`` by parameter and buffer in the form that ``load_state_dict`` takes.

    That names a shared tensor by each of its names, leaves out buffers that are not saved, and has
    the model's dtypes.
    """
    owned = {
        id(tensor): name
        for found in (model.named_parameters(), model.named_buffers())
        for name, tensor in found
    }
    state = model.state_dict(keep_vars=True)
    return {name: values[owned[id(tensor)]].to(tensor.dtype) for name, tensor in state.items()}


def break_symmetry(params: Params, *, generator: torch.Generator, scale: float = 1e-2) -> Params:
    """Return ``params`` plus noise of ``scale`` times each tensor's root mean square.

    Tiling makes filters equal, and equal filters stay equal under gradient descent; a little
    noise lets training part them (Knyazev et al., 2023, section 4.3). Statistics of batch
    normalisation, which :func:`predict` returns as well, stay as they are.

    Raises:
        ValueError: ``scale`` is negative.
    """
    if scale < 0:
        raise ValueError(f"scale is {scale}; it must not be negative")
    found = {}
    for name, value in params.items():
        if name.endswith(STATISTICS):
            found[name] = value
            continue
        noise = torch.randn(value.shape, generator=generator, dtype=value.dtype)
        size = value.square().mean().sqrt()
        found[name] = value + scale * size * noise.to(value.device)
    return found
