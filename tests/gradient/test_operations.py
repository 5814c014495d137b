"""Mixed operations that compute less, against the sum of all candidates written out."""

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from nascence.gradient.operations import (
    PartialOperation,
    SinglePath,
    partial_channels,
    sampled_paths,
    single_path,
)
from nascence.spaces import NB201, Darts, Mobile, SmallSpace
from nascence.supernets import SuperNet, split

SPACES = {
    "SmallSpace": lambda: SmallSpace(width=8),
    "NB201": lambda: NB201(width=8, cells=1),
    "Darts": lambda: Darts(width=8, cells=3),
}


@pytest.fixture(params=SPACES, scope="module")
def supernet(request: pytest.FixtureRequest) -> SuperNet:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return SuperNet(SPACES[request.param]())


def images() -> Tensor:
    return torch.randn(3, 3, 8, 8, generator=torch.Generator().manual_seed(1))


def one_hot(supernet: SuperNet, architecture: tuple[int, ...]) -> list[Tensor]:
    return [
        torch.tensor([float(index == each) for each in held])
        for index, held in zip(architecture, supernet.choices, strict=True)
    ]


def test_a_mixture_at_zero_temperature_is_the_derived_network(supernet: SuperNet) -> None:
    """Of the softmax of logits that are far apart over a temperature near 0."""
    architecture = supernet.space.sample(generator=torch.Generator().manual_seed(2))
    weights = [(each / 1e-6).softmax(0) for each in one_hot(supernet, architecture)]
    for net in (supernet, single_path(supernet)):
        found = net(images(), weights)
        torch.testing.assert_close(found, net(images(), architecture), atol=1e-5, rtol=1e-4)


def test_sparse_weights_are_the_sum_of_what_they_state(supernet: SuperNet) -> None:
    """With the derivative by each of them; dense weights and paths are as they were."""
    net, values, dense, sparse = sampled_paths(supernet), [], [], []
    for held in supernet.choices:
        drawn = torch.tensor([1, len(held) - 1])
        values.append(torch.tensor([0.7, 0.4], requires_grad=True))
        dense.append(torch.zeros(len(held)).index_put((drawn,), values[-1]))
        sparse.append(
            torch.sparse_coo_tensor(
                drawn[None], values[-1], (len(held),), check_invariants=True, is_coalesced=True
            )
        )
    expected, found = supernet(images(), dense), net(images(), sparse)
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-4)
    torch.testing.assert_close(net(images(), dense), expected)
    slopes = torch.autograd.grad(found.square().sum(), values)
    for mine, theirs in zip(
        slopes, torch.autograd.grad(expected.square().sum(), values), strict=True
    ):
        torch.testing.assert_close(mine, theirs, atol=1e-3, rtol=1e-3)


def test_of_partial_channels_too_where_every_edge_is_alive() -> None:
    """Elsewhere a mixture passes on the other channels of an edge that a path leaves out."""
    supernet = partial_channels(SuperNet(NB201(width=8, cells=1)), parts=4)
    architecture = (3, 2, 4, 1, 3, 2)
    found = supernet(images(), one_hot(supernet, architecture))
    torch.testing.assert_close(found, supernet(images(), architecture), atol=1e-5, rtol=1e-4)


def test_the_derived_network_alone_computes_the_same(supernet: SuperNet) -> None:
    architecture = supernet.space.sample(generator=torch.Generator().manual_seed(3))
    alone = supernet.extract(architecture)
    mixture = supernet(images(), one_hot(supernet, architecture))
    torch.testing.assert_close(alone(images()), mixture, atol=1e-5, rtol=1e-4)


def test_a_single_path_computes_one_candidate_and_its_derivative(supernet: SuperNet) -> None:
    alone = single_path(supernet)
    assert all(isinstance(mixed, SinglePath) for mixed in alone.operations())
    computed: list[str] = []
    for mixed in alone.operations():
        for key, candidate in mixed.candidates.items():
            candidate.register_forward_hook(lambda *_, key=key, m=mixed: computed.append(key))
    architecture = supernet.space.sample(generator=torch.Generator().manual_seed(4))
    weights = [each.requires_grad_() for each in one_hot(supernet, architecture)]
    found = alone(images(), weights)
    assert len(computed) == len(alone.operations())
    full = [each.detach().requires_grad_() for each in weights]
    expected = supernet(images(), full)
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-4)
    ours = torch.autograd.grad(found.square().sum(), weights)
    theirs = torch.autograd.grad(expected.square().sum(), full)
    for index, mine, other in zip(architecture, ours, theirs, strict=True):
        torch.testing.assert_close(mine[index], other[index], atol=1e-3, rtol=1e-3)
        assert int((mine != 0).sum()) <= 1


def test_partial_channels_written_out() -> None:
    """One operation: eq. 2 of the paper, with the shuffle as a permutation of channels."""
    supernet = partial_channels(SuperNet(SmallSpace(width=8)), parts=4)
    mixed = supernet.operations()[0]
    assert isinstance(mixed, PartialOperation)
    x = torch.randn(2, 8, 4, 4, generator=torch.Generator().manual_seed(0))
    weights = torch.tensor([0.1, 0.3, 0.05, 0.25, 0.2, 0.1])
    share = 0.7  # of the edge: all is scaled by it, what goes by as well
    narrow = [candidate.narrow for candidate in mixed.candidates.values()]
    computed = sum(w * module(x[:, :2]) for w, module in zip(weights, narrow, strict=True))
    joined = torch.cat((computed, x[:, 2:]), 1)
    order = [part * 2 + place for place in range(2) for part in range(4)]
    torch.testing.assert_close(mixed.mixture(share * weights, x), share * joined[:, order])
    for index, candidate in enumerate(mixed.candidates.values()):
        alone = torch.eye(6)[index]
        torch.testing.assert_close(mixed.mixture(alone, x), candidate(x))


def test_a_partial_candidate_of_stride_two_pools_what_goes_by() -> None:
    supernet = partial_channels(SuperNet(Darts(width=8, cells=3)), parts=2)
    mixed = next(m for m in supernet.operations() if m.decision == "reduce_0_2")
    x = torch.randn(2, 16, 8, 8, generator=torch.Generator().manual_seed(0))
    out = mixed.candidates["1"](x)  # max pooling
    assert out.shape == (2, 16, 4, 4)
    torch.testing.assert_close(out[:, 1::2], functional.max_pool2d(x, 2)[:, 8:])


def test_partial_channels_of_a_part_hold_what_it_holds(supernet: SuperNet) -> None:
    name = supernet.space.decisions[-1].name
    whole = supernet.choices[-1]
    part = split(supernet, {name: [(2,), tuple(set(whole) - {2})]})[0]
    partial = partial_channels(part, parts=4)
    assert partial.choices == part.choices
    for mixed in partial.operations():
        if mixed.decision == name:
            assert list(mixed.candidates) == ["2"]
    own, kept = partial.state_dict(), part.state_dict()
    assert torch.equal(own["network.classifier.weight"], kept["network.classifier.weight"])
    counts = [
        sum(p.numel() for m in net.operations() for p in m.parameters()) for net in (partial, part)
    ]
    assert counts[0] < counts[1] / 3


def test_the_supernet_is_untouched(supernet: SuperNet) -> None:
    before = [type(mixed) for mixed in supernet.operations()]
    partial_channels(supernet, parts=2)
    assert [type(mixed) for mixed in supernet.operations()] == before
    assert getattr(supernet.space, "width") == 8  # noqa: B009


def test_what_cannot_be_narrowed() -> None:
    with pytest.raises(ValueError, match="divide the width"):
        partial_channels(SuperNet(SmallSpace(width=8)), parts=3)
    with pytest.raises(ValueError, match="leave 2 channels"):
        partial_channels(SuperNet(SmallSpace(width=4)), parts=4)
    with pytest.raises(ValueError, match="space of cells with one width"):
        partial_channels(SuperNet(Mobile(width=0.1, classes=10, last=16)), parts=2)
