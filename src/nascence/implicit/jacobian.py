"""The Jacobian of a cell at a state: its size, to regularise, and its spectral radius."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from nascence.implicit.backward import Tensors, pack, transposed_product, unpack
from nascence.implicit.solution import State


def jacobian_penalty(
    f: Callable[[Any], Any],
    z: State,
    *,
    probes: int = 1,
    generator: torch.Generator | None = None,
) -> Tensor:
    """Estimate of ``|J|_F^2 / N`` of f at ``z``, averaged over samples, to add to a loss.

    Hutchinson's estimator with normal probes e, ``E |e^T J|^2``, over the N values of a sample
    (Bai, Koltun, Kolter 2021, eq. 7). ``z`` is a tensor (B, ...) or a tuple of them, and constant
    here; gradients go to what f depends on. The probes come from ``generator``.

    Raises:
        ValueError: ``probes`` is below 1.
    """
    if probes < 1:
        raise ValueError(f"probes is {probes}; it must be at least 1")
    with torch.enable_grad():
        inputs, images = _evaluated(f, z)
        size = sum(image.numel() for image in images)
        total = torch.zeros((), device=images[0].device)
        for _ in range(probes):
            rows = tuple(
                torch.empty_like(image).normal_(generator=generator).detach() for image in images
            )
            products = transposed_product(images, inputs, rows, create_graph=True)
            total = total + sum(product.float().square().sum() for product in products)
    return total / (probes * size)


def spectral_radius(
    f: Callable[[Any], Any],
    z: State,
    *,
    iterations: int = 100,
    generator: torch.Generator | None = None,
) -> Tensor:
    """Largest absolute eigenvalue ``(B,)`` of the Jacobian of f at each sample of ``z``.

    Power iteration, then the eigenvalues of the Jacobian on the plane of the last two iterates
    (Saad 2011, section 4.1): that plane holds a dominant eigenvector, or the pair of a complex
    eigenvalue, in which the iterates keep rotating. Below 1, Picard iteration converges nearby.

    Raises:
        ValueError: ``iterations`` is below 1.
    """
    if iterations < 1:
        raise ValueError(f"iterations is {iterations}; it must be at least 1")
    with torch.enable_grad():
        inputs, images = _evaluated(f, z)

    def product(rows: Tensor) -> Tensor:
        # J^T has the eigenvalues of J
        return pack(transposed_product(images, inputs, unpack(rows, images), create_graph=False))

    flat = pack([image.detach() for image in images])
    vector = _unit(torch.empty_like(flat).normal_(generator=generator))
    for _ in range(iterations - 1):
        vector = _unit(product(vector))
    image = product(vector)
    along = (vector * image).sum(1, keepdim=True)
    across = image - along * vector
    across = across - (vector * across).sum(1, keepdim=True) * vector
    below = torch.linalg.vector_norm(across, dim=1)
    # a real dominant eigenvalue leaves nothing across, and rounding is no second direction
    noise = 10 * torch.finfo(flat.dtype).eps * torch.linalg.vector_norm(image, dim=1)
    second = torch.where((below > noise).unsqueeze(1), _unit(across), 0)
    second_image = product(second)
    plane = torch.stack([vector, second], dim=1)
    small = torch.bmm(plane, torch.stack([image, second_image], dim=2)).double()
    # NaN goes through a closed form, where an eigenvalue routine would raise
    half_trace = 0.5 * (small[:, 0, 0] + small[:, 1, 1])
    determinant = small[:, 0, 0] * small[:, 1, 1] - small[:, 0, 1] * small[:, 1, 0]
    discriminant = half_trace**2 - determinant
    real = half_trace.abs() + discriminant.clamp_min(0).sqrt()
    radius = torch.where(discriminant < 0, determinant.clamp_min(0).sqrt(), real)
    return radius.to(flat.dtype)


def _evaluated(f: Callable[[Any], Any], z: State) -> tuple[Tensors, Tensors]:
    """The state as constants to differentiate with respect to, and f of it."""
    states = (z,) if isinstance(z, Tensor) else tuple(z)
    inputs = tuple(state.detach().requires_grad_() for state in states)
    images = f(inputs[0] if isinstance(z, Tensor) else inputs)
    images = (images,) if isinstance(images, Tensor) else tuple(images)
    shapes = [tuple(state.shape) for state in states]
    if [tuple(image.shape) for image in images] != shapes:
        raise ValueError(
            f"f gave shapes {[tuple(image.shape) for image in images]} for a state of {shapes}; "
            "it must keep them"
        )
    return inputs, images


def _unit(vectors: Tensor) -> Tensor:
    """Rows (B, N) of length one; rows of zeros stay."""
    length = torch.linalg.vector_norm(vectors, dim=1, keepdim=True)
    return torch.where(length > 0, vectors / length, 0)
