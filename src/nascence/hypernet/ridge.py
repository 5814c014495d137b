"""A closed-form classifier on the features of a predicted network.

Predicted features are useful before the predicted classifier is, and for data and class counts
that the hypernetwork never saw. Ridge regression on one-hot labels takes no gradient step; its
strength is chosen by generalised cross-validation (Golub, Heath and Wahba, 1979).
"""

from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.func import functional_call

from nascence.core.modes import evaluation_mode
from nascence.graph import Graph
from nascence.params import Params

STRENGTHS = tuple(10.0**power for power in range(-6, 5))


class Solution(NamedTuple):
    """Weight ``(classes, F)``, bias ``(classes,)`` and the strength that was chosen."""

    weight: Tensor
    bias: Tensor
    strength: float


def solve_ridge(
    features: Tensor, labels: Tensor, classes: int, *, strengths: tuple[float, ...] = STRENGTHS
) -> Solution:
    """Minimise ``|X W^T + b - Y|^2 + n s |W|^2`` over features ``(n, F)``, ``Y`` one-hot.

    ``s`` is the entry of ``strengths``, relative to the mean variance of the features, with
    the lowest generalised cross-validation error ``n |residual|^2 / (n - trace)^2``.

    Raises:
        ValueError: There are fewer than two samples.
    """
    x = features.double()
    count = len(x)
    if count < 2:
        raise ValueError(f"ridge regression got {count} samples; it needs at least 2")
    y = nn.functional.one_hot(labels, classes).double()
    x_mean, y_mean = x.mean(0), y.mean(0)
    x, y = x - x_mean, y - y_mean
    left, values, right = torch.linalg.svd(x, full_matrices=False)
    projected = left.t() @ y
    unexplained = float(y.square().sum() - projected.square().sum())
    scale = float(values.square().sum()) / max(x.shape[1], 1) or 1.0
    best: tuple[float, float, Tensor] | None = None
    for strength in strengths:
        shrink = values.square() / (values.square() + strength * scale)
        rest = float(((1 - shrink)[:, None] * projected).square().sum()) + unexplained
        # one degree of freedom went to the mean
        error = count * rest / max(count - 1 - float(shrink.sum()), 1e-9) ** 2
        if best is None or error < best[0]:
            best = error, strength, shrink
    assert best is not None
    factor = torch.where(values > 0, best[2] / values.clamp(min=1e-300), 0.0)
    weight = ((right.t() * factor) @ projected).t()
    bias = y_mean - weight @ x_mean
    return Solution(weight.to(features.dtype), bias.to(features.dtype), best[1])


def classifier_name(graph: Graph) -> str:
    """Dotted name of the linear layer that gives the network's first output.

    Raises:
        ValueError: The first output is not that of a linear layer.
    """
    stack, seen = [graph.outputs[0]], set()
    while stack:
        index = stack.pop()
        node = graph.nodes[index]
        if node.op == "conv" and len(node.parameters[0].shape) == 2:
            return node.module
        if index not in seen and node.op in ("bias", "sum"):
            seen.add(index)
            stack.extend(graph.predecessors[index])
    raise ValueError(
        f"the first output comes from a {graph.nodes[graph.outputs[0]].op} node, not from a "
        "linear layer; a closed-form head needs a linear classifier"
    )


def features(
    model: nn.Module, layer: str, values: Params, images: Tensor, *, batch_size: int = 250
) -> Tensor:
    """``(N, F)``: what reaches the linear ``layer``, in evaluation mode."""
    caught: list[Tensor] = []

    def catch(_: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        caught.append(inputs[0].flatten(1))

    handle = model.get_submodule(layer).register_forward_pre_hook(catch)
    try:
        with evaluation_mode(model):
            for batch in images.split(batch_size):
                functional_call(model, values, (batch,))
    finally:
        handle.remove()
    return torch.cat(caught)


def ridge_head(
    model: nn.Module, graph: Graph, values: Params, images: Tensor, labels: Tensor
) -> Params:
    """Return weight and bias of the classifier of ``model``, fitted to ``images`` and ``labels``.

    ``images`` are ``(n, C, H, W)``, ``labels`` ``(n,)``. ``values`` are parameters and buffers by
    name; merge the result into them: a weight ``(classes, F)`` and a bias ``(classes,)``. The
    classes are those of the model's last layer.

    Raises:
        ValueError: A label is not below their number, or there are fewer than two images.
    """
    name = classifier_name(graph)
    classes = len(values[f"{name}.weight"])
    if int(labels.max()) >= classes:
        raise ValueError(
            f"label {int(labels.max())} but layer {name} has {classes} outputs; "
            "build the model for the classes of the data"
        )
    found = solve_ridge(features(model, name, values, images), labels, classes)
    head = {f"{name}.weight": found.weight}
    if f"{name}.bias" in {parameter.name for parameter in graph.parameters}:
        head[f"{name}.bias"] = found.bias
    return head
