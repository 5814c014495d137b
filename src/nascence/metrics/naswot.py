"""Score a network by how well its binary activation codes tell the images of a batch apart.

Mellor, Turner, Storkey and Crowley, "Neural Architecture Search without Training", ICML 2021.
"""

import torch
from torch import Tensor, nn

from nascence.metrics.codes import CodeKernel, observe
from nascence.metrics.metric import Batch


def naswot(model: nn.Module, batch: Batch) -> float:
    """Return ``ln |det K|`` of Mellor et al. (2021), equation 2, in one forward pass.

    Every unit of an activation that switches at zero gives an image one bit, 1 where the unit's
    input is positive. With N_A bits per image, ``K[i, j] = N_A - Hamming(code_i, code_j)``.
    Higher is better: the codes of different images differ more.

    Activations are found by what is computed, as module, function or method: ReLU, ReLU6 (and
    ``hardtanh`` from zero), ``clamp(min=0)``, ``threshold`` at zero, leaky and parametric ReLU,
    and, which the paper does not mention, GELU, SiLU, Mish, ELU, SELU, CELU and hard-swish, by the
    sign of their input. Activations that share an input repeat its code: it counts once. The same
    holds for the output of a rectifier that another activation reads directly.

    BatchNorm uses the statistics of the batch, as the published code does, and its running
    statistics stay as they are. All else is in evaluation mode: dropout and its like would make
    the score random. Images of four dimensions are given in channels-last order, in which
    convolutions are faster.

    Args:
        model: a network that keeps the batch as the first dimension of its activations.
        batch: two images or more, ``(B, C, H, W)`` or what else the network takes; no label is
            read.

    Images whose codes are equal count once, so that a batch with repeated images ranks networks as
    the different ones alone do. (The determinant itself is then zero, whatever the network.)

    Returns:
        The score, 0 or above. Where K is singular all the same, as it is for more images than
        units, the logarithm of the product of its eigenvalues other than zero.

    Raises:
        ValueError: a batch of fewer than two; a forward pass without such an activation; an
            activation whose first dimension is not the batch; an output that is not finite.
    """
    images = batch[0]
    if len(images) < 2:
        raise ValueError(f"the batch has {len(images)} image; the score compares 2 or more")
    codes = CodeKernel(len(images), images.device)
    observe(model, images, codes)
    kernel = codes.kernel()
    repeats = (kernel == codes.bits).triu(1).any(0)
    return _log_determinant(kernel[~repeats][:, ~repeats])


def _log_determinant(kernel: Tensor) -> float:
    """Return the logarithm of the product of the eigenvalues other than zero.

    They are those of an integer, positive semidefinite matrix (B, B), so that the product is a
    positive integer.
    """
    matrix = kernel.double().cpu()
    factor, failed = torch.linalg.cholesky_ex(matrix)
    pivots = factor.diagonal().square()
    rounding = len(matrix) * torch.finfo(matrix.dtype).eps * matrix.max()
    if not failed and pivots.min() > rounding:
        return float(pivots.log().sum())
    eigenvalues = torch.linalg.eigvalsh(matrix)
    return float(eigenvalues[eigenvalues > rounding].log().sum())
