"""The generators of AutoGAN: what is built against formulas, a hand count and the released cell."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.nn import functional

from nascence.graph import count_macs, count_parameters
from nascence.spaces import GeneratorSpace
from nascence.supernets import SuperNet, split

SPACE = GeneratorSpace(stages=3, width=4, latent=8)
RELEASED = "1 0 1 1 1 0 0 1 1 1 0 1 0 3"
"""Of the released settings that train the generator found by the paper for CIFAR-10."""


def supernet_of(space: GeneratorSpace = SPACE, **kinds) -> SuperNet:
    torch.manual_seed(0)
    return SuperNet(space, **kinds)


def vectors(count: int = 4, space: GeneratorSpace = SPACE) -> Tensor:
    return torch.randn(count, space.latent, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize(
    ("stages", "size"), [(1, 36), (2, 36**2 * 2), (3, 36**3 * 8), (4, 36**4 * 64)]
)
def test_size(stages: int, size: int) -> None:
    space = GeneratorSpace(stages=stages, width=4)
    assert space.size == size
    assert space.side == 4 * 2**stages
    if stages < 3:
        assert len(set(space)) == size


def test_costs_are_those_of_what_is_built(generator: torch.Generator) -> None:
    for _ in range(40):
        architecture = SPACE.sample(generator=generator)
        network = SPACE.build(architecture)
        assert count_parameters(network) == SPACE.parameters(architecture)
        assert count_macs(network, vectors(1)) == SPACE.macs(architecture)
        images = network(vectors())
        assert images.shape == (4, 3, 32, 32)
        assert images.abs().max() <= 1


def test_every_learnable_value_of_what_is_built_is_used(generator: torch.Generator) -> None:
    for _ in range(10):
        network = SPACE.build(SPACE.sample(generator=generator))
        network(vectors()).square().sum().backward()
        assert all(each.grad is not None for each in network.parameters())


def test_the_found_generator_by_hand() -> None:
    """Width 256: linear layer, six 3x3 and five 1x1 convolutions, BatchNorm, the last layer."""
    space = GeneratorSpace()
    architecture = space.parse(RELEASED)
    parameters = 129 * 4096 + 6 * (9 * 256**2 + 256) + 5 * (256**2 + 256) + 512 + (9 * 256 + 1) * 3
    assert space.parameters(architecture) == parameters == 4_405_251
    pixels = 64 * (18 + 1) + 256 * (18 + 2) + 1024 * (18 + 2)
    assert space.macs(architecture) == 128 * 4096 + 256**2 * pixels + 9 * 256 * 3 * 1024


def test_a_cell_step_by_step() -> None:
    """The last of two cells, written out: pre-activation, batch, nearest, shortcut and skip."""
    space = GeneratorSpace(stages=2, width=4, latent=8)
    torch.manual_seed(0)
    network = space.build(space.parse("0 0 0 0 1 1 1 1 1"))
    linear = network.get_submodule("latent")
    first, second = network.get_submodule("cells")
    x = linear(vectors())

    def up(images: Tensor, mode: str) -> Tensor:
        return functional.interpolate(images, scale_factor=2, mode=mode)

    def normalised(images: Tensor, norm: nn.BatchNorm2d) -> Tensor:
        mean, variance = images.mean((0, 2, 3)), images.var((0, 2, 3), unbiased=False)
        return (images - mean.view(-1, 1, 1)) / (variance.view(-1, 1, 1) + norm.eps).sqrt()

    inner = first.convolutions[0](up(x, "bilinear")).relu()
    x = first.convolutions[1](inner).relu()
    h = second.convolutions[0](up(normalised(x, second.norms[0]).relu(), "nearest"))
    h = h + second.skips.kernels[0](up(inner, "nearest"))
    h = second.convolutions[1](normalised(h, second.norms[1]).relu())
    h = h + second.shortcut.kernel(up(x, "nearest"))
    norm = network.get_submodule("norm")
    expected = network.get_submodule("image")(normalised(h, norm).relu()).tanh()
    torch.testing.assert_close(network(vectors()), expected, rtol=1e-4, atol=1e-5)


def test_paths_of_a_supernet_are_what_is_built(generator: torch.Generator) -> None:
    supernet = supernet_of(affine=True).double()
    names = [name for name, _ in SPACE.decisions]
    assert {mixed.decision for mixed in supernet.operations()} == set(names)
    for _ in range(8):
        architecture = SPACE.sample(generator=generator)
        extracted, built = supernet.extract(architecture), SPACE.build(architecture).double()
        loaded = built.load_state_dict(extracted.state_dict(), strict=False)
        assert not loaded.unexpected_keys
        assert all("running" in name or "tracked" in name for name in loaded.missing_keys)
        expected = built.train()(vectors().double())
        torch.testing.assert_close(supernet(vectors().double(), architecture), expected)
        torch.testing.assert_close(extracted(vectors().double()), expected)


def test_one_hot_weights_are_the_hard_path(generator: torch.Generator) -> None:
    supernet = supernet_of().double()
    for _ in range(4):
        architecture = SPACE.sample(generator=generator)
        weights = [
            functional.one_hot(torch.tensor(index), len(choices)).double()
            for index, (_, choices) in zip(architecture, SPACE.decisions, strict=True)
        ]
        expected = supernet(vectors().double(), architecture)
        torch.testing.assert_close(supernet(vectors().double(), weights), expected)


@pytest.mark.parametrize("name", ["stage_1_upsampling", "stage_2_normalisation", "stage_3_skips"])
def test_parts_compute_what_the_supernet_computes(name: str, generator: torch.Generator) -> None:
    supernet = supernet_of()
    place = [each for each, _ in SPACE.decisions].index(name)
    for index, part in enumerate(split(supernet, [name])):
        path = list(SPACE.sample(generator=generator))
        path[place] = index
        assert torch.equal(part(vectors(), tuple(path)), supernet(vectors(), tuple(path)))
        assert part.extract(tuple(path))(vectors()).shape == (4, 3, 32, 32)


@settings(max_examples=40, deadline=None)
@given(st.integers(0, SPACE.size - 1))
def test_lines_can_be_read(index: int) -> None:
    architecture = SPACE.architecture(index)
    assert SPACE.parse(SPACE.format(architecture)) == architecture
    assert SPACE.from_json(SPACE.to_json(architecture)) == architecture


def test_the_released_numbers_mean_what_they_mean_there() -> None:
    values = SPACE.values(SPACE.parse(RELEASED))
    assert values["stage_1_order"] == values["stage_3_order"] == "pre-activation"
    assert {values[f"stage_{k}_normalisation"] for k in (1, 2, 3)} == {"none"}
    assert [values[f"stage_{k}_upsampling"] for k in (1, 2, 3)] == [
        "nearest",
        "bilinear",
        "nearest",
    ]
    assert [values[f"stage_{k}_shortcut"] for k in (1, 2, 3)] == ["yes", "yes", "no"]
    assert (values["stage_2_skips"], values["stage_3_skips"]) == ("1", "1+2")
    assert SPACE.decisions[-1].choices == ("none", "2", "1", "1+2")  # bit 0 is the cell before


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("1 0 1", "it has 3 numbers, and 3 stages have 14"),
        (RELEASED[:-1] + "4", "stage_3_skips is '4'; it must be from 0 to 3"),
        ("x" + RELEASED[1:], "stage_1_order is 'x'"),
        ("-1" + RELEASED[1:], "stage_1_order is '-1'"),
        ("", "it has 1 numbers"),
    ],
)
def test_lines_that_cannot_be_read(text: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        SPACE.parse(text)


@pytest.mark.parametrize(
    "wrong", [{"stages": 0}, {"stages": 7}, {"width": 0}, {"latent": True}, {"in_channels": 1.5}]
)
def test_impossible_settings(wrong) -> None:
    with pytest.raises(ValueError, match=f"{next(iter(wrong))} is"):
        GeneratorSpace(**wrong)
