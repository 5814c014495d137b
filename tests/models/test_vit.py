"""Vision transformers against torchvision's and timm's."""

from collections.abc import Iterable

import pytest
import torch
from torch import nn

from nascence import models
from nascence.graph import count_macs, count_parameters
from nascence.models.vit import Attention, VisionTransformer


def test_parameters_equal_torchvisions_and_timms(torchvision_models) -> None:
    import timm

    with torch.device("meta"):
        base = count_parameters(models.vit_base())
        assert base == count_parameters(torchvision_models.vit_b_16())
        for size in ("tiny", "small", "base"):
            ours = getattr(models, f"vit_{size}")()
            theirs = timm.create_model(f"vit_{size}_patch16_224")
            assert count_parameters(ours) == count_parameters(theirs)


def test_function_equals_timms(
    torchvision_operators, transplant, generator: torch.Generator
) -> None:
    import timm

    ours, theirs = models.vit_tiny(), timm.create_model("vit_tiny_patch16_224")
    transplant(theirs, ours)
    images = torch.randn(1, 3, 224, 224, generator=generator)
    with torch.no_grad():
        torch.testing.assert_close(ours(images), theirs(images), rtol=1e-4, atol=1e-4)


def test_function_equals_torchvisions(
    torchvision_models, transplant, generator: torch.Generator
) -> None:
    def positions_second(names: Iterable[str]) -> list[str]:
        return sorted(names, key=lambda name: (name != "class_token", "pos_embedding" not in name))

    theirs = torchvision_models.VisionTransformer(32, 8, 3, 4, 64, 128, num_classes=7)
    ours = VisionTransformer(
        width=64, depth=3, heads=4, classes=7, patch_size=8, image_size=32, mlp_ratio=2
    )
    transplant(theirs, ours, positions_second)
    images = torch.randn(2, 3, 32, 32, generator=generator)
    with torch.no_grad():
        torch.testing.assert_close(ours(images), theirs(images), rtol=1e-4, atol=1e-4)


def test_attention_head_by_head(generator: torch.Generator) -> None:
    layer = Attention(12, 3)
    x = torch.randn(2, 5, 12, generator=generator)
    query, key, value = layer.qkv(x).split(12, dim=-1)
    heads = []
    for head in range(3):
        part = slice(4 * head, 4 * head + 4)
        scores = query[..., part] @ key[..., part].transpose(1, 2) / 2  # √4
        heads.append(scores.softmax(-1) @ value[..., part])
    torch.testing.assert_close(layer(x), layer.projection(torch.cat(heads, -1)))


def test_small_transformer_has_the_published_size() -> None:
    with torch.device("meta"):
        network = models.vit_cifar()
        macs = count_macs(network, torch.zeros(1, 3, 32, 32))
    # Hassani et al. (2021), table 2: 3.717 M; 0.239 G without the two products of attention.
    assert f"{count_parameters(network) / 1e6:.3f}" == "3.717"
    assert f"{(macs - 7 * 2 * 65 * 65 * 256) / 1e9:.3f}" == "0.239"


def test_without_positions_patches_have_no_order(generator: torch.Generator) -> None:
    network = models.vit_cifar(depth=2, patch_size=16).eval()
    x = torch.randn(1, 3, 32, 32, generator=generator)
    swapped = x.roll(16, dims=-1)
    assert not torch.allclose(network(x), network(swapped), atol=1e-6)
    nn.init.zeros_(network.position)
    torch.testing.assert_close(network(x), network(swapped))


def test_first_weights_are_deits() -> None:
    network = models.vit_tiny()
    for module in network.modules():
        if isinstance(module, nn.Linear | nn.Conv2d):
            # a normal cut at two deviations has 0.88 of its deviation
            assert module.weight.std().item() == pytest.approx(0.02 * 0.8796, rel=0.02)
            assert module.weight.abs().max() <= 0.04
            assert not module.bias.any()


def test_errors_name_the_remedy() -> None:
    with pytest.raises(ValueError, match="image_size is 30; it must be a multiple of patch_size"):
        models.vit_cifar(image_size=30)
    with pytest.raises(ValueError, match="width is 10; it must be a multiple of heads, 4"):
        VisionTransformer(width=10, depth=1, heads=4, classes=2)
    with pytest.raises(ValueError, match="32 by 28 pixels"):
        models.vit_cifar()(torch.zeros(1, 3, 32, 28))
