"""The supernet of slices against the plain networks of its space."""

import copy
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
import torch
from torch.func import functional_call

from nascence.recalibration import recalibrate
from nascence.spaces import Architecture, ElasticMobile, Stage
from nascence.supernets import ElasticSuperNet, split

SPACE = ElasticMobile(
    classes=4,
    stages=(Stage(8, 1), Stage(16, 2, squeeze=True, hard_swish=True)),
    depths=(1, 2),
    expansions=(2, 3),
    resolutions=(6, 8),
    stem_stride=1,
    final=16,
    last=8,
    dropout=0.0,
)
IMAGES = torch.randn(8, 3, 8, 8, generator=torch.Generator().manual_seed(1))


def samples(count: int) -> list[Architecture]:
    generator = torch.Generator().manual_seed(2)
    return [SPACE.sample(generator=generator) for _ in range(count)]


@pytest.fixture
def supernet() -> ElasticSuperNet:
    """With transforms and statistics away from where they start."""
    torch.manual_seed(0)
    made = ElasticSuperNet(SPACE)
    with torch.no_grad():
        for parameter in made.parameters():
            parameter.add_(0.1 * torch.randn(parameter.shape))
        for architecture in samples(40):
            made(IMAGES, architecture)
    assert made.eval()(IMAGES, SPACE.largest).std(0).mean() > 0.01  # images are told apart
    return made


def test_extracted_networks_compute_the_same_bit_for_bit(supernet: ElasticSuperNet) -> None:
    for architecture in [*samples(6), SPACE.largest]:
        network = supernet.extract(architecture)
        assert not network.training
        assert torch.equal(network(IMAGES), supernet(IMAGES, architecture))
        built = SPACE.build(architecture)
        built.load_state_dict(network.state_dict())
        torch.testing.assert_close(built.eval()(IMAGES), network(IMAGES))


def test_extracted_networks_are_copies(supernet: ElasticSuperNet) -> None:
    before = copy.deepcopy(supernet.state_dict())
    network = supernet.extract(SPACE.largest).train()
    network(IMAGES).sum().backward()
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.add_(1)
    assert all(torch.equal(value, before[name]) for name, value in supernet.state_dict().items())
    assert all(parameter.grad is None for parameter in supernet.parameters())


def test_statistics_are_recalibrated_for_each_network(supernet: ElasticSuperNet) -> None:
    """With one batch they are that batch's, so evaluation computes what training does."""
    architecture = samples(1)[0]
    network = supernet.extract(architecture)
    params = dict(network.named_parameters())
    statistics = recalibrate(network, params, [IMAGES])
    means = functional_call(network, {**params, **statistics}, (IMAGES,))
    trained = supernet.extract(architecture).train()
    # running variances are unbiased, the batch's are not: close, not equal
    torch.testing.assert_close(means, trained(IMAGES), rtol=0.2, atol=0.2)
    assert not torch.equal(means, network(IMAGES))


def test_gradients_reach_only_the_blocks_of_a_path(supernet: ElasticSuperNet) -> None:
    architecture = SPACE.parse("r8 k3e2 (k7e3) | k5e2 k7e2")
    supernet(IMAGES, architecture).square().sum().backward()
    for name, parameter in supernet.named_parameters():
        beyond = name.startswith("network.stages.0.1.")
        transform = name.endswith(("to_3", "to_5")) and not beyond
        if beyond:
            assert parameter.grad is None
        elif not transform:
            assert parameter.grad is not None
    whole = supernet.network.stages[1][1]
    assert all(matrix.grad is None for matrix in whole.transforms.values())


def test_resolution_scales_the_images(supernet: ElasticSuperNet) -> None:
    small, large = (SPACE.parse(f"r{side} k3e2 (k7e3) | k5e2 k7e2") for side in (6, 8))
    scaled = torch.nn.functional.interpolate(IMAGES, (6, 6), mode="bilinear", antialias=True)
    assert torch.equal(supernet(IMAGES, small), supernet(scaled, small))
    assert not torch.allclose(supernet(IMAGES, small), supernet(IMAGES, large))


def test_the_path_leaves_out_what_has_no_effect(supernet: ElasticSuperNet) -> None:
    first, second = (
        SPACE.parse("r8 k3e2 (k7e3) | k5e2 k7e2"),
        SPACE.parse("r8 k3e2 (k5e2) | k5e2 k7e2"),
    )
    assert supernet.path(first) == supernet.path(second)
    assert supernet.path(first).count(None) == 2
    assert torch.equal(supernet(IMAGES, first), supernet(IMAGES, second))


def test_parts_hold_what_they_were_given(supernet: ElasticSuperNet) -> None:
    parts = split(
        supernet, {"stage_1_block_1_kernel": [(0,), (1, 2)], "stage_2_depth": [(0,), (1,)]}
    )
    assert len(parts) == 4
    names = [decision.name for decision in SPACE.decisions]
    held = [part.choices[names.index("stage_1_block_1_kernel")] for part in parts]
    assert held == [(0,), (0,), (1, 2), (1, 2)]
    assert sum(torch.tensor([len(c) for c in part.choices]).prod().item() for part in parts) == (
        SPACE.size
    )
    with torch.no_grad():
        next(parts[0].parameters()).add_(1)
    assert not torch.equal(next(parts[0].parameters()), next(parts[1].parameters()))


def test_sorted_channels_leave_the_largest_network(supernet: ElasticSuperNet) -> None:
    before = copy.deepcopy(supernet.state_dict())
    found = supernet.sorted_channels()
    torch.testing.assert_close(found(IMAGES, SPACE.largest), supernet(IMAGES, SPACE.largest))
    small = SPACE.parse("r8 k7e2 k7e2 | k7e2 k7e2")
    assert not torch.allclose(found(IMAGES, small), supernet(IMAGES, small))
    assert all(torch.equal(value, before[name]) for name, value in supernet.state_dict().items())


def test_sorted_channels_leave_every_trained_network(supernet: ElasticSuperNet) -> None:
    found = supernet.sorted_channels(supernet.choices)
    for architecture in samples(6):
        torch.testing.assert_close(found(IMAGES, architecture), supernet(IMAGES, architecture))
    part = split(supernet, ["stage_1_block_1_expansion"])[0]  # holds only expansion 2 there
    largest = tuple(held[-1] for held in part.choices)
    torch.testing.assert_close(part.sorted_channels()(IMAGES, largest), supernet(IMAGES, largest))


def test_choices_are_arguments(supernet: ElasticSuperNet) -> None:
    """Threads run different networks through one module."""
    architectures = samples(4)
    expected = [supernet(IMAGES, architecture) for architecture in architectures]
    barrier = threading.Barrier(4)

    def compute(architecture: Architecture) -> torch.Tensor:
        barrier.wait()
        return supernet(IMAGES, architecture)

    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(compute, architectures))
    assert all(torch.equal(a, b) for a, b in zip(found, expected, strict=True))


def test_functional_call_takes_other_weights(supernet: ElasticSuperNet) -> None:
    architecture = samples(1)[0]
    state = {name: value.clone() for name, value in supernet.state_dict().items()}
    expected = supernet(IMAGES, architecture)
    with torch.no_grad():
        for parameter in supernet.parameters():
            parameter.zero_()
    assert torch.equal(functional_call(supernet, state, (IMAGES, architecture)), expected)
