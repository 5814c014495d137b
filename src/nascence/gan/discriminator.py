"""A discriminator of residual blocks with spectral normalisation that grows with the images."""

from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils.parametrizations import spectral_norm


class _Block(nn.Module):
    """Two 3x3 convolutions and a shortcut; ``halve`` ends with a 2x2 average."""

    def __init__(self, in_channels: int, channels: int, *, first: bool, halve: bool) -> None:
        super().__init__()
        self.first, self.halve = first, halve
        self.convolutions = nn.ModuleList(
            [_convolution(in_channels, channels), _convolution(channels, channels)]
        )
        self.shortcut = _convolution(in_channels, channels, 1) if first or halve else None

    def forward(self, x: Tensor) -> Tensor:
        inner = x if self.first else functional.relu(x)
        inner = self.convolutions[1](functional.relu(self.convolutions[0](inner)))
        outer = functional.avg_pool2d(x, 2) if self.halve else x
        if self.shortcut is not None:  # a 1x1 kernel after the average: the same, and cheaper
            outer = self.shortcut(outer)
        return outer + (functional.avg_pool2d(inner, 2) if self.halve else inner)


class Discriminator(nn.Module):
    """Tells real images from generated ones: ``(B, in_channels, H, H)`` to ``(B,)``.

    Miyato, Kataoka, Koyama and Yoshida, "Spectral Normalization for Generative Adversarial
    Networks", ICLR 2018, appendix B.4, as AutoGAN (Gong et al., ICCV 2019) lets it grow: images of
    8 pixels go through one block, those of twice the side through one more, and all through a last
    one, ReLU, the sum over pixels and a linear layer. The first two blocks halve the side.

    Args:
        stages: number of doublings from 4 pixels that it is made for.
        width: channels of every block.
        in_channels: channels of the images.

    Raises:
        ValueError: ``stages`` or ``width`` is below 1.
    """

    def __init__(self, *, stages: int, width: int = 128, in_channels: int = 3) -> None:
        super().__init__()
        if stages < 1 or width < 1:
            raise ValueError(f"stages is {stages} and width {width}; both must be at least 1")
        self.blocks = nn.ModuleList(
            _Block(width if number else in_channels, width, first=number == 0, halve=number < 2)
            for number in range(stages)
        )
        self.last = _Block(width, width, first=False, halve=False)
        self.linear = spectral_norm(nn.Linear(width, 1, bias=False))

    def forward(self, images: Tensor, stages: int | None = None) -> Tensor:
        """Score images of ``4 * 2^stages`` pixels; None is all stages. Higher is more real."""
        x = images
        for block in self.blocks[:stages]:
            x = block(x)
        return self.linear(functional.relu(self.last(x)).sum((2, 3))).squeeze(1)


def _convolution(in_channels: int, out_channels: int, kernel: int = 3) -> nn.Module:
    made = nn.Conv2d(in_channels, out_channels, kernel, padding=kernel // 2)
    nn.init.xavier_uniform_(made.weight)
    return spectral_norm(made)
