"""The cell of a generator, and what stands at the places of its decisions.

Gong et al., "AutoGAN", ICCV 2019, figure 2.
"""

from collections.abc import Callable, Iterable, Sequence

from torch import Tensor, nn
from torch.nn import functional

BOTTOM = 4
"""Pixels of a side before the first cell."""
Step = Callable[[Tensor], Tensor]


def convolution(in_channels: int, out_channels: int, kernel: int = 3) -> nn.Conv2d:
    """Make a convolution with bias that keeps the size, uniform by Glorot and Bengio (2010)."""
    made = nn.Conv2d(in_channels, out_channels, kernel, padding=kernel // 2)
    nn.init.xavier_uniform_(made.weight)
    return made


def normalisation(name: str, channels: int) -> nn.Module:
    """Make one of ``none``, ``batch`` and ``instance``; the last without scale and shift."""
    if name == "none":
        return nn.Identity()
    return nn.BatchNorm2d(channels) if name == "batch" else nn.InstanceNorm2d(channels)


def resized(name: str, channels: int, factor: int) -> nn.Module:
    """Make an upsampling by a power of two; deconvolutions of stride 2 follow each other."""
    if name != "deconvolution":
        return nn.Upsample(scale_factor=factor, mode=name)
    count = factor.bit_length() - 1
    made = [nn.ConvTranspose2d(channels, channels, 2, stride=2) for _ in range(count)]
    return made[0] if count == 1 else nn.Sequential(*made)


class PostActivation(nn.Module):
    """Upsampling, convolution, normalisation, ReLU; the modules are given with the input."""

    def forward(self, x: Tensor, norm: Step, upsampling: Step, kernel: Step) -> Tensor:
        """Compute ``(B, C, H, W)`` to ``(B, C, H, W)``, sides scaled by ``upsampling``."""
        return functional.relu(norm(kernel(upsampling(x))))


class PreActivation(nn.Module):
    """Normalisation, ReLU, upsampling, convolution; the modules are given with the input."""

    def forward(self, x: Tensor, norm: Step, upsampling: Step, kernel: Step) -> Tensor:
        """Compute ``(B, C, H, W)`` to ``(B, C, H, W)``, sides scaled by ``upsampling``."""
        return kernel(upsampling(functional.relu(norm(x))))


class Shortcut(nn.Module):
    """Adds the upsampled input through a 1x1 convolution; without channels it adds nothing."""

    def __init__(self, channels: int | None) -> None:
        super().__init__()
        self.kernel = None if channels is None else convolution(channels, channels, 1)

    def forward(self, x: Tensor, source: Tensor, upsampling: Step) -> Tensor:
        """Add to ``x``, (B, C, 2H, 2W), what comes from ``source``, (B, C, H, W)."""
        return x if self.kernel is None else x + self.kernel(upsampling(source))


class Skips(nn.Module):
    """Adds the outputs of these earlier cells, each upsampled and through a 1x1 convolution."""

    def __init__(self, sources: Sequence[int], channels: int) -> None:
        super().__init__()
        self.sources = tuple(sources)
        self.kernels = nn.ModuleList(convolution(channels, channels, 1) for _ in sources)

    def forward(self, x: Tensor, earlier: Sequence[Tensor], upsamplings: Sequence[Step]) -> Tensor:
        """Add to ``x``, (B, C, H, W), what comes from ``earlier``, each (B, C, h, w)."""
        for source, kernel in zip(self.sources, self.kernels, strict=True):
            x = x + kernel(upsamplings[source](earlier[source]))
        return x


class GeneratorCell(nn.Module):
    """Two convolutions, the first on the upsampled input, a shortcut and skip connections.

    ``(B, C, H, W)`` to ``(B, C, 2H, 2W)``, twice: what later cells may take, which is the output
    of the first convolution, and the cell's own. Upsamplings for which nothing asks are left out.

    Args:
        orders: of the two convolutions, :class:`PostActivation` or :class:`PreActivation`.
        norms, convolutions: two each.
        upsampling: of the first convolution.
        shortcut, shortcut_upsampling: see :class:`Shortcut`.
        skips, skip_upsamplings: see :class:`Skips`; None and none for the first cell.
    """

    def __init__(
        self,
        *,
        orders: Sequence[nn.Module],
        norms: Sequence[nn.Module],
        convolutions: Sequence[nn.Module],
        upsampling: nn.Module,
        shortcut: nn.Module,
        shortcut_upsampling: nn.Module,
        skips: nn.Module | None = None,
        skip_upsamplings: Sequence[nn.Module] = (),
    ) -> None:
        super().__init__()
        self.orders, self.norms = nn.ModuleList(orders), nn.ModuleList(norms)
        self.convolutions, self.upsampling = nn.ModuleList(convolutions), upsampling
        self.shortcut, self.skips = shortcut, skips
        unused = isinstance(shortcut, Shortcut) and shortcut.kernel is None
        self.shortcut_upsampling = nn.Identity() if unused else shortcut_upsampling
        self.skip_upsamplings = nn.ModuleList(
            nn.Identity() if isinstance(skips, Skips) and source not in skips.sources else module
            for source, module in enumerate(skip_upsamplings)
        )

    def forward(self, x: Tensor, earlier: Sequence[Tensor]) -> tuple[Tensor, Tensor]:
        """Return the inner output and the output, both (B, C, 2H, 2W), for (B, C, H, W)."""
        first, second = self.orders
        inner = first(x, self.norms[0], self.upsampling, self.convolutions[0])
        after = inner
        if self.skips is not None:
            after = self.skips(inner, earlier, self.skip_upsamplings)
        after = second(after, self.norms[1], _unchanged, self.convolutions[1])
        return inner, self.shortcut(after, x, self.shortcut_upsampling)


class Stages(nn.ModuleList):
    """Cells one after the other, each with the inner outputs of all before it."""

    def __init__(self, cells: Iterable[nn.Module]) -> None:
        super().__init__(cells)

    def forward(self, x: Tensor) -> Tensor:
        """Compute ``(B, C, 4, 4)`` to ``(B, C, 4 * 2^stages, 4 * 2^stages)``."""
        earlier: list[Tensor] = []
        for cell in self:
            inner, x = cell(x, earlier)
            earlier.append(inner)
        return x


class Latent(nn.Module):
    """A linear layer from ``(B, latent)`` to ``(B, channels, 4, 4)``."""

    def __init__(self, latent: int, channels: int) -> None:
        super().__init__()
        self.linear = nn.Linear(latent, channels * BOTTOM**2)

    def forward(self, x: Tensor) -> Tensor:
        """Compute ``(B, latent)`` to ``(B, channels, 4, 4)``."""
        return self.linear(x).unflatten(1, (-1, BOTTOM, BOTTOM))


def _unchanged(x: Tensor) -> Tensor:
    return x
