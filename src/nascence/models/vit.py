"""Vision transformers. Dosovitskiy et al. (ICLR 2021), arXiv 2010.11929.

Weights start by DeiT's rule (Touvron et al. 2021, arXiv 2012.12877): every matrix, the patch
convolution, the class token and the position embedding from a normal of deviation 0.02 cut at two
deviations; biases at zero; LayerNorm at one and zero. (The paper's own zero classifier would let no
gradient through on the first step.)
"""

import torch
import torch.fx
import torch.nn.functional as F
from torch import Tensor, nn

from nascence.models.layers import check_ends


@torch.fx.wrap  # a leaf, so that torch.fx can trace through the caller
def _check_size(images: Tensor, size: int) -> None:
    height, width = images.shape[-2:]
    if (height, width) != (size, size):
        raise ValueError(
            f"images are {height} by {width} pixels; this transformer has positions for {size} by "
            f"{size}: build it with image_size="
        )


class Attention(nn.Module):
    """Multi-head self-attention, ``softmax(q kᵀ / √d) v`` per head (equations 5 to 8).

    ``(B, N, width)`` to the same.
    """

    def __init__(self, width: int, heads: int, *, qkv_bias: bool = True) -> None:
        super().__init__()
        self.heads = heads
        self.qkv = nn.Linear(width, 3 * width, bias=qkv_bias)
        self.projection = nn.Linear(width, width)

    def forward(self, x: Tensor) -> Tensor:
        """Let the tokens ``x`` (B, N, width) attend to each other; the shape stays."""
        batch, tokens, width = x.shape
        qkv = self.qkv(x).view(batch, tokens, 3, self.heads, width // self.heads)
        query, key, value = qkv.permute(2, 0, 3, 1, 4).unbind(0)
        mixed = F.scaled_dot_product_attention(query, key, value)
        return self.projection(mixed.transpose(1, 2).reshape(batch, tokens, width))


class EncoderBlock(nn.Module):
    """Attention, then a two-layer perceptron, each after LayerNorm and added (equations 2 and 3).

    ``(B, N, width)`` to the same.
    """

    def __init__(self, width: int, heads: int, hidden: int, *, qkv_bias: bool = True) -> None:
        super().__init__()
        self.attention_norm = nn.LayerNorm(width, eps=1e-6)
        self.attention = Attention(width, heads, qkv_bias=qkv_bias)
        self.mlp_norm = nn.LayerNorm(width, eps=1e-6)
        self.mlp = nn.Sequential(nn.Linear(width, hidden), nn.GELU(), nn.Linear(hidden, width))

    def forward(self, x: Tensor) -> Tensor:
        """Map tokens ``x`` (B, N, width) to the same shape."""
        x = x + self.attention(self.attention_norm(x))
        return x + self.mlp(self.mlp_norm(x))


class VisionTransformer(nn.Module):
    """Patches to tokens, a class token, learned positions, encoder blocks, classifier.

    ``width`` channels in ``heads`` heads, ``depth`` blocks, ``mlp_ratio`` times ``width`` hidden
    units, ``image_size // patch_size`` squared patches.

    ``(B, in_channels, image_size, image_size)`` to ``(B, classes)``. Raises ValueError where heads
    do not divide the width or patches the image, and on an image of another size.
    """

    def __init__(
        self,
        *,
        width: int,
        depth: int,
        heads: int,
        classes: int,
        in_channels: int = 3,
        patch_size: int = 16,
        image_size: int = 224,
        mlp_ratio: float = 4.0,
        qkv_bias: bool = True,
    ) -> None:
        super().__init__()
        check_ends(classes, in_channels)
        if width % heads:
            raise ValueError(f"width is {width}; it must be a multiple of heads, {heads}")
        if image_size < patch_size or image_size % patch_size:
            raise ValueError(
                f"image_size is {image_size}; it must be a multiple of patch_size, {patch_size}"
            )
        self.image_size = image_size
        self.class_token = nn.Parameter(torch.empty(1, 1, width))
        self.position = nn.Parameter(torch.empty(1, (image_size // patch_size) ** 2 + 1, width))
        self.patches = nn.Conv2d(in_channels, width, patch_size, stride=patch_size)
        hidden = int(width * mlp_ratio)
        self.blocks = nn.Sequential(
            *(EncoderBlock(width, heads, hidden, qkv_bias=qkv_bias) for _ in range(depth))
        )
        self.norm = nn.LayerNorm(width, eps=1e-6)
        self.head = nn.Linear(width, classes)
        self._initialise_()

    def _initialise_(self) -> None:
        nn.init.trunc_normal_(self.class_token, std=0.02, a=-0.04, b=0.04)
        nn.init.trunc_normal_(self.position, std=0.02, a=-0.04, b=0.04)
        for module in self.modules():
            if isinstance(module, nn.Linear | nn.Conv2d):
                nn.init.trunc_normal_(module.weight, std=0.02, a=-0.04, b=0.04)
                if module.bias is not None:
                    nn.init.zeros_(module.bias)

    def forward(self, x: Tensor) -> Tensor:
        """Return logits (B, classes) for images (B, in_channels, image_size, image_size)."""
        _check_size(x, self.image_size)
        tokens = self.patches(x).flatten(2).transpose(1, 2)
        tokens = torch.cat((self.class_token.expand(x.shape[0], -1, -1), tokens), dim=1)
        return self.head(self.norm(self.blocks(tokens + self.position))[:, 0])


def vit_tiny(
    *, classes: int = 1000, in_channels: int = 3, patch_size: int = 16, image_size: int = 224
) -> VisionTransformer:
    """ViT-Ti (DeiT): 192 channels, 3 heads. 5.7 M parameters, 1.3 G MACs at 224 pixels."""
    return _twelve_blocks(3, classes, in_channels, patch_size, image_size)


def vit_small(
    *, classes: int = 1000, in_channels: int = 3, patch_size: int = 16, image_size: int = 224
) -> VisionTransformer:
    """ViT-S (DeiT): 384 channels, 6 heads. 22.1 M parameters, 4.6 G MACs at 224 pixels."""
    return _twelve_blocks(6, classes, in_channels, patch_size, image_size)


def vit_base(
    *, classes: int = 1000, in_channels: int = 3, patch_size: int = 16, image_size: int = 224
) -> VisionTransformer:
    """ViT-B: 768 channels, 12 heads. 86.6 M parameters, 17.6 G MACs at 224 pixels."""
    return _twelve_blocks(12, classes, in_channels, patch_size, image_size)


def _twelve_blocks(
    heads: int, classes: int, in_channels: int, patch_size: int, image_size: int
) -> VisionTransformer:
    """Build twelve blocks with 64 channels for each head."""
    return VisionTransformer(
        width=64 * heads,
        depth=12,
        heads=heads,
        classes=classes,
        in_channels=in_channels,
        patch_size=patch_size,
        image_size=image_size,
    )


def vit_cifar(
    *,
    depth: int = 7,
    classes: int = 10,
    in_channels: int = 3,
    patch_size: int = 4,
    image_size: int = 32,
) -> VisionTransformer:
    """ViT-Lite of Hassani et al. (2021), arXiv 2104.05704, for small images: 256 channels.

    Four heads, twice the channels in the perceptron, no bias on queries, keys and values. With
    the default ``depth`` and patches ViT-Lite-7/4: 3.72 M parameters and, at 32 pixels, 0.25 G
    MACs (the published 0.24 G leave out the two products of the attention).
    """
    return VisionTransformer(
        width=256,
        depth=depth,
        heads=4,
        classes=classes,
        in_channels=in_channels,
        patch_size=patch_size,
        image_size=image_size,
        mlp_ratio=2.0,
        qkv_bias=False,
    )
