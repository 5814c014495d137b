"""Properties of an architecture before training, and regression from its embedding.

Knyazev et al. (2021), section 5.3: accuracy with predicted parameters, accuracy on noisy
images, inference time, and speed of convergence; and their regression from the mean of the
node states.
"""

import time
from collections.abc import Sequence
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.func import functional_call

from nascence.core.modes import evaluation_mode, modes_restored
from nascence.graph import Graph
from nascence.hypernet.calibration import accuracy
from nascence.hypernet.ghn import GHN
from nascence.params import Params


class Properties(NamedTuple):
    """Accuracies in [0, 1]; seconds of one batch; loss after the gradient steps, and before."""

    accuracy: float
    noisy_accuracy: float
    seconds: float
    loss_after: float
    loss_before: float

    @property
    def convergence(self) -> float:
        """How much the loss fell: higher is faster."""
        return self.loss_before - self.loss_after


def properties(
    model: nn.Module,
    values: Params,
    images: Tensor,
    labels: Tensor,
    *,
    generator: torch.Generator,
    noise: float = 0.1,
    steps: int = 10,
    learning_rate: float = 0.01,
    batch_size: int = 64,
) -> Properties:
    """Measure the four properties of ``model`` with predicted ``values``.

    ``images`` are ``(N, C, H, W)``, ``labels`` ``(N,)``. ``noise`` is the standard deviation of
    what is added to the images; the loss is that of
    plain gradient descent on batches drawn with ``generator``. The model keeps its own values.
    """
    blurred = images + noise * torch.randn(images.shape, generator=generator)
    clean = accuracy(model, values, images, labels)
    noisy = accuracy(model, values, blurred, labels)
    seconds = _seconds(model, values, images[:batch_size])
    before, after = _descent(
        model, values, images, labels, generator, steps, learning_rate, batch_size
    )
    return Properties(clean, noisy, seconds, after, before)


def _seconds(model: nn.Module, values: Params, batch: Tensor) -> float:
    """Return the time of the fastest of five passes, after one to warm up."""
    best = float("inf")
    with evaluation_mode(model):
        for turn in range(6):
            start = time.perf_counter()
            functional_call(model, values, (batch,))
            if turn:
                best = min(best, time.perf_counter() - start)
    return best


def _descent(
    model: nn.Module,
    values: Params,
    images: Tensor,
    labels: Tensor,
    generator: torch.Generator,
    steps: int,
    learning_rate: float,
    batch_size: int,
) -> tuple[float, float]:
    """Mean loss of the first and of the last three batches of gradient descent."""
    names = {name for name, _ in model.named_parameters()}
    params = {n: v.detach().clone().requires_grad_() for n, v in values.items() if n in names}
    buffers = {name: value.clone() for name, value in values.items() if name not in names}
    losses = []
    with modes_restored(model):
        model.train()
        for _ in range(max(steps, 1)):
            rows = torch.randint(len(images), (batch_size,), generator=generator)
            logits = functional_call(model, {**params, **buffers}, (images[rows],))
            loss = F.cross_entropy(logits, labels[rows])
            losses.append(float(loss.detach()))
            gradients = torch.autograd.grad(loss, list(params.values()), allow_unused=True)
            with torch.no_grad():
                for value, gradient in zip(params.values(), gradients, strict=True):
                    if gradient is not None:
                        value -= learning_rate * gradient
    few = min(3, len(losses))
    return sum(losses[:few]) / few, sum(losses[-few:]) / few


@torch.no_grad()
def mean_embedding(ghn: GHN, graph: Graph) -> Tensor:
    """Return the mean node state, ``(width,)``: what the hypernetwork knows about the network."""
    return ghn.embed(graph).mean(0)


class Regression:
    """Kernel ridge regression from embeddings ``(n, width)`` to a property ``(n,)``.

    A Gaussian kernel on standardised embeddings with the median distance as its width; the
    strength has the lowest leave-one-out error, which is closed-form:
    ``e_i = alpha_i / (K + s I)^-1_ii``.

    Raises:
        ValueError: Embeddings and targets differ in number, or are fewer than 3.
    """

    def __init__(
        self,
        embeddings: Tensor,
        targets: Tensor | Sequence[float],
        *,
        strengths: Sequence[float] = (1e-3, 1e-2, 1e-1, 1.0, 10.0),
    ) -> None:
        x = embeddings.double()
        y = torch.as_tensor(targets, dtype=torch.float64)
        if len(x) != len(y) or len(x) < 3:
            raise ValueError(f"{len(x)} embeddings and {len(y)} targets; at least 3 of each")
        self._mean, self._deviation = x.mean(0), x.std(0).clamp(min=1e-12)
        self._known = (x - self._mean) / self._deviation
        distances = torch.cdist(self._known, self._known)
        self._width = float(distances[distances > 0].median()) if distances.any() else 1.0
        self._offset = y.mean()
        kernel = self._kernel(self._known)
        best = float("inf")
        for strength in strengths:
            inverse = torch.linalg.inv(kernel + strength * torch.eye(len(x), dtype=x.dtype))
            alpha = inverse @ (y - self._offset)
            error = float((alpha / inverse.diagonal()).square().mean())
            if error < best:
                best, self._alpha, self.strength = error, alpha, strength
        self.leave_one_out_error = best**0.5

    def _kernel(self, x: Tensor) -> Tensor:
        return torch.exp(-torch.cdist(x, self._known).square() / (2 * self._width**2))

    def __call__(self, embeddings: Tensor) -> Tensor:
        """Predict the property ``(m,)`` for embeddings ``(m, width)``."""
        x = (embeddings.double() - self._mean) / self._deviation
        return self._kernel(x) @ self._alpha + self._offset
