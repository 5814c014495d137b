"""The supernet against the networks that it holds."""

import copy
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
import torch
from torch import nn
from torch.func import functional_call

from nascence.recalibration import recalibrate
from nascence.spaces import NB201, Architecture, NetworkSpace, SmallSpace
from nascence.supernets import SuperNet

SPACES: dict[str, NetworkSpace] = {
    "NB201": NB201(width=4, cells=1),
    "NB201 as published": NB201(width=4, cells=2, prune=False),
    "SmallSpace": SmallSpace(width=4),
}
IMAGES = torch.randn(6, 3, 8, 8, generator=torch.Generator().manual_seed(1))


@pytest.fixture(params=SPACES)
def space(request: pytest.FixtureRequest) -> NetworkSpace:
    return SPACES[request.param]


def supernet_of(space: NetworkSpace, **settings: object) -> SuperNet:
    torch.manual_seed(0)
    supernet = SuperNet(space, **settings)
    with torch.no_grad():
        for parameter in supernet.parameters():
            parameter.add_(0.1 * torch.randn(parameter.shape))
    return supernet


def samples(space: NetworkSpace, count: int) -> list[Architecture]:
    generator = torch.Generator().manual_seed(2)
    return [space.sample(generator=generator) for _ in range(count)]


def test_path_computes_what_the_built_network_computes(space: NetworkSpace) -> None:
    """Weights go over by name into a network that was built without the supernet."""
    supernet = supernet_of(space, affine=True)
    for architecture in samples(space, 8):
        extracted, built = supernet.extract(architecture), space.build(architecture)
        loaded = built.load_state_dict(extracted.state_dict(), strict=False)
        assert not loaded.unexpected_keys
        assert all("running" in name or "tracked" in name for name in loaded.missing_keys)
        expected = built.train()(IMAGES)
        torch.testing.assert_close(supernet(IMAGES, architecture), expected)
        torch.testing.assert_close(extracted(IMAGES), expected)


def test_scales_of_the_parts_that_every_path_has_alone(space: NetworkSpace) -> None:
    supernet = supernet_of(space, affine="fixed")
    mixed = {id(p) for place in supernet.operations() for p in place.parameters()}
    scales = [p for p in supernet.parameters() if p.ndim == 1 and id(p) in mixed]
    assert not scales
    whole = dict(supernet_of(space, affine=True).named_parameters())
    own = {name for name, p in supernet.named_parameters() if id(p) not in mixed}
    assert own == {name for name in whole if ".candidates." not in name}
    for architecture in samples(space, 3):
        extracted = supernet.extract(architecture)
        torch.testing.assert_close(extracted(IMAGES), supernet(IMAGES, architecture))
    with pytest.raises(ValueError, match="use True, False or 'fixed'"):
        SuperNet(space, affine="some")  # type: ignore[arg-type]


def test_extracted_network_shares_its_storage(space: NetworkSpace) -> None:
    supernet = supernet_of(space)
    own = {parameter.data_ptr() for parameter in supernet.parameters()}
    architecture = samples(space, 1)[0]
    network = supernet.extract(architecture)
    assert {parameter.data_ptr() for parameter in network.parameters()} <= own
    with torch.no_grad():
        network.get_parameter("classifier.bias").add_(1)
    torch.testing.assert_close(supernet(IMAGES, architecture), network(IMAGES))
    network.eval()
    assert all(module.training for module in supernet.modules())


def test_one_hot_weights_are_the_hard_path(space: NetworkSpace) -> None:
    supernet = supernet_of(space)
    for architecture in samples(space, 5):
        weights = [
            nn.functional.one_hot(torch.tensor(index), len(held)).float()
            for index, held in zip(architecture, supernet.choices, strict=True)
        ]
        torch.testing.assert_close(supernet(IMAGES, weights), supernet(IMAGES, architecture))


def test_mixture_is_the_weighted_sum_at_one_place() -> None:
    """With all weight on ``none`` but for the direct edge, the cell is that edge's mixture."""
    space = NB201(width=4, cells=1)
    supernet = supernet_of(space)
    mixed = next(each for each in supernet.operations() if each.decision == "edge_0_3")
    weights = [torch.eye(5)[0] for _ in range(6)]
    weights[3] = torch.tensor([0.1, 0.2, 0.3, 0.25, 0.15], requires_grad=True)
    seen = {}
    mixed.register_forward_hook(lambda _, inputs, output: seen.update(x=inputs[0], y=output))
    supernet(IMAGES, weights).sum().backward()
    x = seen["x"].detach()
    convolutions = [mixed.candidates[str(index)].block(x.relu()) for index in (2, 3)]
    pooled = nn.functional.avg_pool2d(x, 3, 1, 1, count_include_pad=False)
    expected = 0.2 * x + 0.3 * convolutions[0] + 0.25 * convolutions[1] + 0.15 * pooled
    torch.testing.assert_close(seen["y"], expected)
    assert weights[3].grad is not None


def test_only_the_chosen_candidates_are_computed(space: NetworkSpace) -> None:
    supernet = supernet_of(space)
    ran = []
    for mixed in supernet.operations():
        for index, candidate in mixed.candidates.items():
            candidate.register_forward_hook(
                lambda *_, name=mixed.decision, index=int(index): ran.append((name, index))
            )
    names = [decision.name for decision in space.decisions]
    for architecture in samples(space, 5):
        ran.clear()
        supernet(IMAGES, architecture)
        chosen = dict(zip(names, architecture, strict=True))
        built = dict(zip(names, space.built(architecture), strict=True))
        assert {name for name, _ in ran} == {name for name in names if built[name]}
        assert all(chosen[name] == index for name, index in ran)


def test_nothing_of_a_choice_stays(space: NetworkSpace) -> None:
    supernet = supernet_of(space)
    before = copy.deepcopy(supernet.state_dict())
    architectures = samples(space, 6)
    first = [supernet(IMAGES, architecture) for architecture in architectures]
    again = [supernet(IMAGES, architecture) for architecture in reversed(architectures)]
    for one, other in zip(first, reversed(again), strict=True):
        assert torch.equal(one, other)
    assert supernet.state_dict().keys() == before.keys()
    assert all(torch.equal(value, before[key]) for key, value in supernet.state_dict().items())
    with pytest.raises(LookupError):
        supernet.network(IMAGES)


def test_threads_run_different_paths_through_one_module(space: NetworkSpace) -> None:
    supernet = supernet_of(space)
    architectures = samples(space, 12)
    expected = [supernet(IMAGES, architecture) for architecture in architectures]
    barrier = threading.Barrier(4)

    def run(architecture: Architecture) -> torch.Tensor:
        barrier.wait()
        return supernet(IMAGES, architecture)

    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(run, architectures))
    assert all(torch.equal(one, other) for one, other in zip(found, expected, strict=True))


def test_functional_call_takes_the_choice(space: NetworkSpace) -> None:
    supernet, other = supernet_of(space), supernet_of(space)
    with torch.no_grad():
        for parameter in other.parameters():
            parameter.mul_(0.9)
    architecture = samples(space, 1)[0]
    found = functional_call(supernet, dict(other.named_parameters()), (IMAGES, architecture))
    assert torch.equal(found, other(IMAGES, architecture))


def test_normalisation_by_the_batch_has_neither_scale_nor_running_statistics() -> None:
    supernet = supernet_of(NB201(width=4, cells=1))
    norms = [module for module in supernet.modules() if isinstance(module, nn.BatchNorm2d)]
    assert norms
    assert not list(supernet.buffers())
    assert all(not list(norm.parameters()) for norm in norms)
    architecture = (3, 1, 2, 3, 0, 1)
    trained = supernet.train()(IMAGES, architecture)
    assert torch.equal(supernet.eval()(IMAGES, architecture), trained)


def test_tracked_statistics_are_recalibrated_for_a_path() -> None:
    """Over one batch a recalibrated path normalises as training does, but for N or N - 1."""
    supernet = supernet_of(NB201(width=4, cells=1), statistics="tracked")
    architecture = (3, 1, 2, 3, 0, 1)
    network = supernet.extract(architecture)
    images = torch.randn(64, 3, 16, 16, generator=torch.Generator().manual_seed(3))
    params = dict(network.named_parameters())
    buffers = recalibrate(network, params, [images])
    assert len(buffers) == 3 * sum(isinstance(m, nn.BatchNorm2d) for m in network.modules())
    found = functional_call(network.eval(), {**params, **buffers}, (images,))
    torch.testing.assert_close(found, network.train()(images), rtol=5e-3, atol=5e-3)


@pytest.mark.parametrize(
    ("choice", "message"),
    [
        ((0, 0), "has 2 indices; this space has 6 decisions"),
        ((9, 0, 0, 0, 0, 0), "'edge_0_1' has index 9"),
        ([torch.ones(5)] * 5 + [torch.ones(4)], "'edge_2_3' are \\(4,\\); give a tensor"),
        ([torch.ones(5)] * 4, "4 weight vectors for 6 decisions"),
        ([torch.ones(5)] * 5 + [1], "'edge_2_3' are 1; give a tensor"),
    ],
)
def test_wrong_choices_are_named(choice: object, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        SuperNet(NB201(width=4, cells=1))(IMAGES, choice)


def test_choices_that_are_not_held_are_named() -> None:
    part = SuperNet(NB201(width=4, cells=1)).restrict([(0, 2), *[range(5)] * 5])
    for use in (lambda a: part(IMAGES, a), part.extract):
        with pytest.raises(ValueError, match=r"'edge_0_1' is 'nor_conv_3x3', .* holds only none, "):
            use((3, 0, 0, 0, 0, 0))
    for choices in ([(0, 1), *[range(5)] * 5], [(), *[range(5)] * 5], [(0,)]):
        with pytest.raises(ValueError, match="choices"):
            part.restrict(choices)


def test_spaces_that_cannot_be_one_network_are_refused() -> None:
    with pytest.raises(ValueError, match="leaves width or cells open"):
        SuperNet(NB201(width=(4, 8)))
    with pytest.raises(ValueError, match="no method network"):
        SuperNet(object())
    with pytest.raises(ValueError, match="statistics is 'none'"):
        SuperNet(SmallSpace(), statistics="none")
