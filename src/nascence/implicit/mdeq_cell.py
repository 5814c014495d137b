"""The cell of a multiscale deep equilibrium model: Bai, Koltun, Kolter 2020, section 3."""

from collections.abc import Sequence

import torch.nn.functional as F
from torch import Tensor, nn

from nascence.implicit.dropout import SolveDropout
from nascence.implicit.normalise import weight_normalise

Streams = tuple[Tensor, ...]


class ResidualBlock(nn.Module):
    """The block within one resolution, (B, C, H, W) to the same shape: figure 2, left.

    Two 3x3 convolutions with ``expansion`` times the channels between them; where the block is
    ``injected``, the injection is added before the second normalisation.
    """

    def __init__(
        self, channels: int, *, expansion: int, groups: int, dropout: float, injected: bool
    ) -> None:
        super().__init__()
        self.injected = injected
        inner = expansion * channels
        self.conv1 = nn.Conv2d(channels, inner, 3, padding=1, bias=False)
        self.norm1 = nn.GroupNorm(groups, inner)
        self.conv2 = nn.Conv2d(inner, channels, 3, padding=1, bias=False)
        self.dropout = SolveDropout(dropout)
        self.norm2 = nn.GroupNorm(groups, channels)
        self.norm3 = nn.GroupNorm(groups, channels)

    def forward(self, z: Tensor, injection: Tensor | None = None) -> Tensor:
        """Map a stream ``(B, C, H, W)`` and an injection of its shape to the same shape."""
        y = self.dropout(self.conv2(F.relu(self.norm1(self.conv1(z)))))
        if self.injected:
            assert injection is not None
            y = y + injection
        return self.norm3(F.relu(self.norm2(y) + z))


def _down(source: int, target: int, levels: int, groups: int) -> nn.Sequential:
    """3x3 convolutions of stride 2, one for each halving; the last one changes the channels."""
    layers = nn.Sequential()
    for level in range(levels):
        last = level == levels - 1
        out = target if last else source
        layers.append(nn.Conv2d(source, out, 3, stride=2, padding=1, bias=False))
        layers.append(nn.GroupNorm(groups, out))
        if not last:
            layers.append(nn.ReLU())
    return layers


def _up(source: int, target: int, levels: int, groups: int) -> nn.Sequential:
    """1x1 convolution, normalisation, nearest pixels."""
    return nn.Sequential(
        nn.Conv2d(source, target, 1, bias=False),
        nn.GroupNorm(groups, target),
        nn.Upsample(scale_factor=2**levels, mode="nearest"),
    )


class MDEQCell(nn.Module):
    """Residual blocks within resolutions, then a sum of all resolutions in each.

    The state is a tuple of streams (B, channels[i], H / 2^i, W / 2^i); the injection
    (B, channels[0], H, W) enters the highest resolution alone. ``groups`` are those of all
    GroupNorms but the last, which has half of them. Weights are normalised (section 4.1).
    Raises ValueError where H or W cannot be halved often enough.
    """

    def __init__(
        self, channels: Sequence[int], *, expansion: int = 5, groups: int = 8, dropout: float = 0.0
    ) -> None:
        super().__init__()
        self.channels = tuple(channels)
        self.blocks = nn.ModuleList(
            ResidualBlock(
                width, expansion=expansion, groups=groups, dropout=dropout, injected=level == 0
            )
            for level, width in enumerate(channels)
        )
        self.fusions = nn.ModuleList(
            nn.ModuleList(
                self._fusion(source, target, groups) for source in range(len(self.channels))
            )
            for target in range(len(self.channels))
        )
        self.outputs = nn.ModuleList(
            nn.Sequential(
                nn.ReLU(), nn.Conv2d(width, width, 1, bias=False), nn.GroupNorm(groups // 2, width)
            )
            for width in channels
        )
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.normal_(module.weight, 0, 0.01)
        weight_normalise(self)

    def _fusion(self, source: int, target: int, groups: int) -> nn.Module:
        widths = self.channels[source], self.channels[target]
        if source < target:
            return _down(*widths, target - source, groups)
        if source > target:
            return _up(*widths, source - target, groups)
        return nn.Identity()

    def initial_state(self, injection: Tensor) -> Streams:
        """Zeros for an injection of shape (B, channels[0], H, W)."""
        batch, _, height, width = injection.shape
        halvings = len(self.channels) - 1
        if height % 2**halvings or width % 2**halvings:
            raise ValueError(
                f"the input of the cell is {height}x{width} pixels; "
                f"{len(self.channels)} streams need multiples of {2**halvings}"
            )
        return tuple(
            injection.new_zeros(batch, channels, height >> level, width >> level)
            for level, channels in enumerate(self.channels)
        )

    def forward(self, streams: Streams, injection: Tensor) -> Streams:
        """Map streams and an injection ``(B, channels[0], H, W)`` to streams of the same shapes."""
        within = [
            block(stream) if level else block(stream, injection)
            for level, (block, stream) in enumerate(zip(self.blocks, streams, strict=True))
        ]
        out = []
        for fusions, output in zip(self.fusions, self.outputs, strict=True):
            assert isinstance(fusions, nn.ModuleList)
            pieces = [fuse(stream) for fuse, stream in zip(fusions, within, strict=True)]
            total = pieces[0]
            for piece in pieces[1:]:
                total = total + piece
            out.append(output(total))
        return tuple(out)
