"""Re-parameterised blocks: many linear branches in training, one convolution once folded.

A block holds no activation: it takes the place of a convolution (with its BatchNorm), and the
network puts the nonlinearity after it. Every block maps ``(B, in_channels, H, W)`` to
``(B, out_channels, H', W')`` as the convolution of the same arguments does; ``padding`` defaults
to half the reach of the kernel.
"""

from typing import TypedDict, Unpack

from torch import Tensor, nn

from nascence.reparam.branch_layers import (
    AveragePooling,
    ConvNorm,
    Geometry2d,
    IdentityPointwise,
    PaddedNorm,
    Size,
    convolution,
    pair_of,
)


class ConvolutionSettings(TypedDict, total=False):
    """Keywords of a convolution that every block takes."""

    stride: Size
    padding: Size | None
    dilation: Size
    groups: int


class BranchedConvolution(nn.Module):
    """Sum of branches that read one input; subclasses add them.

    Maps ``(B, in_channels, H, W)`` to ``(B, out_channels, H', W')``.

    Args:
        in_channels: Channels of the input.
        out_channels: Channels of the output.
        kernel_size: Size of the folded kernel, one number or (height, width).
        stride: Step, one number or two.
        padding: Zeros on each side, one number or two; half the reach of the kernel if None.
        dilation: Distance of the taps, one number or two.
        groups: Groups of channels; it divides both channel counts.

    Raises:
        ValueError: If the sizes are no geometry, or ``groups`` does not divide the channels.
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
        if in_channels % groups or out_channels % groups:
            raise ValueError(
                f"groups is {groups}; it must divide in_channels {in_channels} and "
                f"out_channels {out_channels}"
            )
        self.in_channels, self.out_channels, self.groups = in_channels, out_channels, groups
        self.geometry = Geometry2d.of(kernel_size, stride, padding, dilation)
        self.branches = nn.ModuleDict()
        self.add_branches()

    def add_branches(self) -> None:
        """Fill ``branches``; the other attributes of the block are set already."""
        raise NotImplementedError

    @property
    def keeps_shape(self) -> bool:
        """Whether output and input have the same shape, so that an identity branch is possible."""
        return self.in_channels == self.out_channels and self.geometry.keeps_size

    def branch(self, kernel: tuple[int, int] | None = None) -> ConvNorm:
        """A convolution with BatchNorm in the middle of the block's kernel."""
        return ConvNorm(
            self.in_channels, self.out_channels, self.geometry, kernel=kernel, groups=self.groups
        )

    def forward(self, x: Tensor) -> Tensor:
        """Sum of the branches of ``x``, shape ``(B, in_channels, H, W)``."""
        outputs = [branch(x) for branch in self.branches.values()]
        total = outputs[0]
        for output in outputs[1:]:
            total = total + output
        return total


class RepVGGBlock(BranchedConvolution):
    """k x k, 1 x 1 and identity branch, each with its BatchNorm, summed.

    Ding et al., "RepVGG: Making VGG-style ConvNets Great Again", CVPR 2021, figure 2 and
    section 3.3. The identity branch exists where the shape is kept.
    """

    def add_branches(self) -> None:
        """Fill ``branches``."""
        self.branches["dense"] = self.branch()
        if max(self.geometry.kernel) > 1:
            self.branches["pointwise"] = self.branch((1, 1))
        if self.keeps_shape:
            self.branches["identity"] = nn.BatchNorm2d(self.in_channels)


class AsymmetricBlock(BranchedConvolution):
    """k x k, 1 x k and k x 1 branch, each with its BatchNorm, summed.

    Ding et al., "ACNet: Strengthening the Kernel Skeletons", ICCV 2019, figure 1.
    """

    def add_branches(self) -> None:
        """Fill ``branches``."""
        height, width = self.geometry.kernel
        self.branches["square"] = self.branch()
        if height > 1:
            self.branches["horizontal"] = self.branch((1, width))
        if width > 1:
            self.branches["vertical"] = self.branch((height, 1))


class DiverseBranchBlock(BranchedConvolution):
    """k x k; 1 x 1; 1 x 1 then average; 1 x 1 then k x k: each step with its BatchNorm, summed.

    Ding et al., "Diverse Branch Block: Building a Convolution as an Inception-like Unit",
    CVPR 2021, figure 2 and section 3.4. A depthwise block has no 1 x 1 branch and averages its
    input directly; its sequential branch is twice as wide, as in the authors' experiments.
    """

    def add_branches(self) -> None:
        """Fill ``branches``."""
        geometry, channels, out_channels = self.geometry, self.in_channels, self.out_channels
        depthwise = self.groups == channels == out_channels and self.groups > 1
        self.branches["dense"] = self.branch()
        if max(geometry.kernel) == 1:
            return
        inner = geometry._replace(padding=(0, 0))
        if not depthwise:
            self.branches["pointwise"] = self.branch((1, 1))
        self.branches["average"] = self._average(inner, depthwise)
        width = 2 * channels if depthwise else channels
        self.branches["sequence"] = nn.Sequential(
            IdentityPointwise(channels, width, self.groups),
            PaddedNorm(width, geometry.padding),
            convolution(width, out_channels, inner, groups=self.groups),
            nn.BatchNorm2d(out_channels),
        )

    def _average(self, inner: Geometry2d, depthwise: bool) -> nn.Sequential:
        first: list[nn.Module] = []
        if depthwise and any(self.geometry.padding):
            height, width = self.geometry.padding
            first = [nn.ZeroPad2d((width, width, height, height))]
        elif not depthwise:
            one = Geometry2d.of(1, 1, 0, 1)
            first = [
                convolution(self.in_channels, self.out_channels, one, groups=self.groups),
                PaddedNorm(self.out_channels, self.geometry.padding),
            ]
        pooling = AveragePooling(self.out_channels, inner)
        return nn.Sequential(*first, pooling, nn.BatchNorm2d(self.out_channels))


class MobileOneBlock(BranchedConvolution):
    """``copies`` k x k branches, a 1 x 1 branch and an identity branch, each with its BatchNorm.

    Vasu et al., "MobileOne: An Improved One millisecond Mobile Backbone", CVPR 2023, figure 3.

    Raises:
        ValueError: ``copies`` is below 1.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: Size = 3,
        *,
        copies: int = 1,
        **settings: Unpack[ConvolutionSettings],
    ) -> None:
        if copies < 1:
            raise ValueError(f"copies is {copies}; it must be at least 1")
        self.copies = copies
        super().__init__(in_channels, out_channels, kernel_size, **settings)

    def add_branches(self) -> None:
        """Fill ``branches``."""
        for number in range(self.copies):
            self.branches[f"copy{number}"] = self.branch()
        if max(self.geometry.kernel) > 1:
            self.branches["pointwise"] = self.branch((1, 1))
        if self.keeps_shape:
            self.branches["identity"] = nn.BatchNorm2d(self.in_channels)


class LargeKernelBlock(BranchedConvolution):
    """A large kernel and a small one in its middle, each with its BatchNorm, summed.

    Ding et al., "Scaling Up Your Kernels to 31x31", CVPR 2022, section 3.2, guideline 3. The
    small branch is left out where the kernel is no larger than ``small``.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: Size = 31,
        *,
        small: Size = 5,
        **settings: Unpack[ConvolutionSettings],
    ) -> None:
        self.small = pair_of(small, "small")
        super().__init__(in_channels, out_channels, kernel_size, **settings)

    def add_branches(self) -> None:
        """Fill ``branches``."""
        height, width = self.small
        inner = (min(height, self.geometry.kernel[0]), min(width, self.geometry.kernel[1]))
        self.branches["large"] = self.branch()
        if inner != self.geometry.kernel:
            self.branches["small"] = self.branch(inner)


class QARepVGGBlock(BranchedConvolution):
    """RepVGG's block made for int8: BatchNorm only on the k x k branch and after the sum.

    Chu et al., "Make RepVGG Greater Again: A Quantization-Aware Approach", AAAI 2024, figure 4,
    variant S4.
    """

    def add_branches(self) -> None:
        """Fill ``branches``."""
        self.branches["dense"] = self.branch()
        if max(self.geometry.kernel) > 1:
            layers = list(self.branch((1, 1)))[:-1]
            self.branches["pointwise"] = nn.Sequential(*layers)
        if self.keeps_shape:
            self.branches["identity"] = nn.Identity()
        self.norm = nn.BatchNorm2d(self.out_channels)

    def forward(self, x: Tensor) -> Tensor:
        """BatchNorm of the sum of the branches of ``x``, shape ``(B, in_channels, H, W)``."""
        return self.norm(super().forward(x))
