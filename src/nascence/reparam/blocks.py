"""Re-parameterised blocks: many linear branches in training, one convolution once folded.

A block holds no activation: it takes the place of a convolution (with its BatchNorm), and the
network puts the nonlinearity after it.
"""

from torch import Tensor, nn

from nascence.reparam.branch_layers import (
    Geometry2d,
    Size,
    conv_norm,
    shifted,
)


class RepVGGBlock(nn.Module):
    """k x k, 1 x 1 and identity branch, each with its BatchNorm, summed.

    Ding et al., "RepVGG: Making VGG-style ConvNets Great Again", CVPR 2021, figure 2 and
    section 3.3, for any kernel size, stride, padding, dilation and groups. The identity branch
    exists where the shape is kept. Input ``(B, in_channels, H, W)``, output
    ``(B, out_channels, H', W')``; ``padding`` defaults to half the reach of the kernel.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: Size = 3,
        *,
        stride: Size = 1,
        padding: Size | None = None,
        dilation: Size = 1,
        groups: int = 1,
    ) -> None:
        super().__init__()
        geometry = Geometry2d.of(kernel_size, stride, padding, dilation)
        self.window = geometry.window((1, 1))
        self.dense = conv_norm(in_channels, out_channels, geometry, groups=groups)
        self.pointwise = None
        if max(geometry.kernel) > 1:
            self.pointwise = conv_norm(
                in_channels, out_channels, geometry.at_centre((1, 1)), groups=groups
            )
        kept = in_channels == out_channels and geometry.keeps_size
        self.identity = nn.BatchNorm2d(in_channels) if kept else None

    def forward(self, x: Tensor) -> Tensor:
        total = self.dense(x)
        if self.pointwise is not None:
            total = total + self.pointwise(shifted(x, self.window))
        if self.identity is not None:
            total = total + self.identity(x)
        return total
