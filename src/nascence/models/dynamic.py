"""Dynamic convolution: a kernel for each image.

Chen, Dai, Liu, Chen, Yuan, Liu: Dynamic convolution, attention over convolution kernels (CVPR
2020), arXiv 1912.03458.

Weights start by He et al. (2015), normal with fan-out, each kernel by itself; the attention as
torch starts linear layers, so that with a high temperature it starts near uniform.
"""

from functools import partial

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from nascence.models.layers import kaiming_kernel_
from nascence.models.mobilenet import MobileNetV2
from nascence.models.resnet import BasicBlock, ResNet


class DynamicConv2d(nn.Module):
    """Convolution with a kernel that each image mixes for itself from ``kernels`` kernels.

    ``W(x) = Σ_k π_k(x) W_k``, the bias likewise, with ``π(x) = softmax(z(x) / temperature)`` and z
    two linear layers, ``in_channels // reduction`` ReLU units between them, on the image's average
    (equations 2 to 4). The mixing is one matrix product and the batch is one grouped convolution,
    whose groups are the images: a graph exported from it holds for one batch size. In the paper's
    training ``temperature`` falls linearly from 30 to 1 in the first ten epochs (section 3.3).

    ``(B, in_channels, H, W)`` to ``(B, out_channels, H', W')`` as ``torch.nn.Conv2d``. Raises
    ValueError where ``kernels``, ``reduction`` or ``temperature`` is not positive or ``groups``
    does not divide the channels.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int,
        *,
        stride: int = 1,
        padding: int = 0,
        groups: int = 1,
        bias: bool = True,
        kernels: int = 4,
        reduction: int = 4,
        temperature: float = 30.0,
    ) -> None:
        super().__init__()
        if kernels < 1 or reduction < 1 or temperature <= 0:
            raise ValueError(
                f"kernels is {kernels}, reduction {reduction}, temperature {temperature}; "
                "all three must be positive"
            )
        if in_channels % groups or out_channels % groups:
            raise ValueError(f"groups is {groups}; it must divide {in_channels} and {out_channels}")
        self.stride = stride
        self.padding = padding
        self.groups = groups
        self.temperature = temperature
        self.filters = (out_channels, in_channels // groups, kernel_size, kernel_size)
        self.weight = nn.Parameter(torch.empty(kernels, *self.filters))
        self.bias = nn.Parameter(torch.zeros(kernels, out_channels)) if bias else None
        for kernel in self.weight:
            kaiming_kernel_(kernel, groups=groups)
        hidden = max(1, in_channels // reduction)
        self.attention = nn.Sequential(
            nn.AdaptiveAvgPool2d(1),
            nn.Flatten(),
            nn.Linear(in_channels, hidden),
            nn.ReLU(inplace=True),
            nn.Linear(hidden, kernels),
        )

    def forward(self, x: Tensor) -> Tensor:
        """Convolve each image of ``x`` (B, in_channels, H, W) with its own kernel."""
        batch, channels, height, width = x.shape
        attention = F.softmax(self.attention(x) / self.temperature, dim=1)
        mixed = attention @ self.weight.flatten(1)
        out = F.conv2d(
            x.reshape(1, batch * channels, height, width),
            mixed.view(batch * self.filters[0], *self.filters[1:]),
            None if self.bias is None else (attention @ self.bias).flatten(),
            stride=self.stride,
            padding=self.padding,
            groups=batch * self.groups,
        )
        return out.view(batch, self.filters[0], out.shape[2], out.shape[3])


def dynamic_resnet18(
    *,
    classes: int = 1000,
    in_channels: int = 3,
    stem: str = "imagenet",
    kernels: int = 4,
    temperature: float = 30.0,
) -> ResNet:
    """ResNet-18 whose convolutions are dynamic, all but the first.

    With four kernels 45.5 M parameters and 1.86 G MACs at 224 pixels.
    """
    return ResNet(
        BasicBlock,
        (2, 2, 2, 2),
        classes=classes,
        in_channels=in_channels,
        stem=stem,
        conv=partial(DynamicConv2d, kernels=kernels, temperature=temperature),
    )


def dynamic_mobilenet_v2(
    *,
    width: float = 1.0,
    classes: int = 1000,
    in_channels: int = 3,
    stem: str = "imagenet",
    dropout: float = 0.2,
    kernels: int = 4,
    temperature: float = 30.0,
) -> MobileNetV2:
    """MobileNetV2 whose convolutions are dynamic, all but the first.

    With four kernels 12.4 M parameters, 11.1 M of them before the classifier, which is the
    paper's figure, and 0.31 G MACs at 224 pixels.
    """
    return MobileNetV2(
        width=width,
        classes=classes,
        in_channels=in_channels,
        stem=stem,
        dropout=dropout,
        conv=partial(DynamicConv2d, kernels=kernels, temperature=temperature),
    )
