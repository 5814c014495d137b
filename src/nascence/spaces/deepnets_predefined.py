"""The two hand-designed networks of DeepNets-1M."""

from nascence.spaces.deepnets_program import Builder, Layer, live, patches


def resnet50(*, classes: int = 10, image_size: int = 32) -> list[Layer]:
    """ResNet-50: He et al. (2016), with its ImageNet stem."""
    b = Builder(image_size, "bn")
    x = b.normalise(b.conv(0, "stem.conv", 64, (7, 7), stride=2), "stem.norm")
    x = b.pool("max_pool", b.plain("relu", x), 2)
    for stage, depth in enumerate((3, 4, 6, 3)):
        width = 64 * 2**stage
        for block in range(depth):
            stride = 2 if stage and not block else 1
            x = _bottleneck(b, x, f"stages.{stage}.{block}", width, stride)
    c = b.sizes[x][0]
    x = b.plain("flatten", b.plain("glob_avg", x, (c, 1, 1)), (c,))
    return live(b.layers, (b.linear(x, "classifier", classes),))[0]


def _bottleneck(b: Builder, x: int, name: str, width: int, stride: int) -> int:
    y = b.plain("relu", b.normalise(b.conv(x, f"{name}.conv_0", width, (1, 1)), f"{name}.norm_0"))
    y = b.conv(y, f"{name}.conv_1", width, (3, 3), stride=stride)
    y = b.plain("relu", b.normalise(y, f"{name}.norm_1"))
    y = b.normalise(b.conv(y, f"{name}.conv_2", 4 * width, (1, 1)), f"{name}.norm_2")
    if b.sizes[x] != b.sizes[y]:
        x = b.conv(x, f"{name}.shortcut", 4 * width, (1, 1), stride=stride)
        x = b.normalise(x, f"{name}.shortcut_norm")
    return b.plain("relu", b.join("sum", [y, x]))


def vit(
    *, classes: int = 10, image_size: int = 32, layers: int = 12, channels: int = 128
) -> list[Layer]:
    """A vision transformer of 12 layers and width 128: Dosovitskiy et al. (2021)."""
    b = Builder(image_size, "none")
    x = patches(b, channels)
    for layer in range(layers):
        x = b.attention(x, f"layers.{layer}")
    x = b.plain("glob_avg", x, (channels, 1, 1))
    x = b.plain("flatten", x, (channels,))
    return live(b.layers, (b.linear(x, "classifier", classes),))[0]
