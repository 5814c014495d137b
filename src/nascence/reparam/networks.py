"""RepVGG and MobileOne, of any block."""

from collections.abc import Callable

from torch import Tensor, nn

from nascence.reparam.blocks import MobileOneBlock, RepVGGBlock

Block = Callable[..., nn.Module]

REPVGG_WIDTHS = {
    "A0": (0.75, 2.5),
    "A1": (1.0, 2.5),
    "A2": (1.5, 2.75),
    "B0": (1.0, 2.5),
    "B1": (2.0, 4.0),
    "B2": (2.5, 5.0),
    "B3": (3.0, 5.0),
}
REPVGG_DEPTHS = {"A": (2, 4, 14, 1), "B": (4, 6, 16, 1)}
MOBILEONE_WIDTHS = {
    "S0": (0.75, 1.0, 1.0, 2.0),
    "S1": (1.5, 1.5, 2.0, 2.5),
    "S2": (1.5, 2.0, 2.5, 4.0),
    "S3": (2.0, 2.5, 3.0, 4.0),
    "S4": (3.0, 3.5, 3.5, 4.0),
}
MOBILEONE_DEPTHS = (2, 8, 10, 1)


class RepVGG(nn.Sequential):
    """RepVGG-A0 to B3, table 2 of Ding et al., CVPR 2021: plain 3 x 3 blocks and ReLU.

    ``name`` is one of A0, A1, A2, B0, B1, B2, B3, the B ones also as B1g2 or B1g4, where every
    second layer has 2 or 4 groups. ``conv`` builds each block from ``(in_channels, out_channels,
    kernel_size, stride=, padding=, groups=)``. Maps ``(B, 3, H, W)`` to ``(B, classes)``.

    Raises:
        ValueError: There is none of this name.
    """

    def __init__(self, name: str = "A0", *, classes: int = 1000, conv: Block = RepVGGBlock) -> None:
        base, _, groups = name.partition("g")
        if base not in REPVGG_WIDTHS or groups not in ("", "2", "4") or (groups and base[0] == "A"):
            raise ValueError(
                f"no RepVGG {name!r}; there are {', '.join(REPVGG_WIDTHS)}, and B1 to B3 with g2 "
                "or g4"
            )
        wide, last = REPVGG_WIDTHS[base]
        widths = [int(64 * wide), int(128 * wide), int(256 * wide), int(512 * last)]
        stem = min(64, widths[0])
        layers: list[nn.Module] = [
            conv(3, stem, 3, stride=2, padding=1, groups=1),
            nn.ReLU(inplace=True),
        ]
        channels, index = stem, 1
        for width, depth in zip(widths, REPVGG_DEPTHS[base[0]], strict=True):
            for position in range(depth):
                split = int(groups) if groups and index % 2 == 0 and index <= 26 else 1
                stride = 2 if position == 0 else 1
                layers += [
                    conv(channels, width, 3, stride=stride, padding=1, groups=split),
                    nn.ReLU(inplace=True),
                ]
                channels, index = width, index + 1
        super().__init__(
            *layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(channels, classes)
        )


class SqueezeExcitation(nn.Module):
    """Channel gates from the average (Hu et al., CVPR 2018), reduced to 1/16 of the channels."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.reduce = nn.Conv2d(channels, channels // 16, 1)
        self.expand = nn.Conv2d(channels // 16, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Gate ``(B, channels, H, W)``."""
        gates = self.expand(self.reduce(x.mean((2, 3), keepdim=True)).relu()).sigmoid()
        return x * gates


class MobileOne(nn.Sequential):
    """MobileOne-S0 to S4, table 2 of Vasu et al., CVPR 2023: depthwise 3 x 3, then 1 x 1.

    S0 has four copies of each convolution, the others one; S4 has squeeze-and-excitation in half
    of the third stage and all of the fourth. ``conv`` takes what ``MobileOneBlock`` takes. Maps
    ``(B, 3, H, W)`` to ``(B, classes)``.

    Raises:
        ValueError: There is none of this name.
    """

    def __init__(
        self, name: str = "S0", *, classes: int = 1000, conv: Block = MobileOneBlock
    ) -> None:
        if name not in MOBILEONE_WIDTHS:
            raise ValueError(f"no MobileOne {name!r}; there are {', '.join(MOBILEONE_WIDTHS)}")
        copies = 4 if name == "S0" else 1
        factors = MOBILEONE_WIDTHS[name]
        widths = [int(w * f) for w, f in zip((64, 128, 256, 512), factors, strict=True)]
        channels = min(64, widths[0])
        layers: list[nn.Module] = [conv(3, channels, 3, stride=2, padding=1), nn.ReLU(inplace=True)]
        for stage, (width, depth) in enumerate(zip(widths, MOBILEONE_DEPTHS, strict=True)):
            gated = (0, 0, depth // 2, depth)[stage] if name == "S4" else 0
            for position in range(depth):
                gates = position >= depth - gated
                stride = 2 if position == 0 else 1
                layers.append(
                    conv(
                        channels,
                        channels,
                        3,
                        stride=stride,
                        padding=1,
                        groups=channels,
                        copies=copies,
                    )
                )
                layers += [SqueezeExcitation(channels)] * gates + [nn.ReLU(inplace=True)]
                layers.append(conv(channels, width, 1, padding=0, copies=copies))
                layers += [SqueezeExcitation(width)] * gates + [nn.ReLU(inplace=True)]
                channels = width
        super().__init__(
            *layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(channels, classes)
        )
