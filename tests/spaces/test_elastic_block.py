"""The elastic block against plain blocks with slices put in by hand."""

import copy

import pytest
import torch

from nascence.spaces import ElasticBlock, Stage
from nascence.spaces.elastic_network import Place, plain_block

KERNELS, EXPANSIONS = (3, 5, 7), (2, 3, 4)
X = torch.randn(6, 16, 9, 9, generator=torch.Generator().manual_seed(1))


@pytest.fixture(params=["plain", "squeeze"])
def block(request: pytest.FixtureRequest) -> ElasticBlock:
    """With weights, scales and statistics that are all different."""
    stage = Stage(16, 1, squeeze=request.param == "squeeze", hard_swish=True)
    torch.manual_seed(0)
    made = ElasticBlock(Place(stage, 16, 16, 1), kernels=KERNELS, expansions=EXPANSIONS)
    with torch.no_grad():
        for value in [*made.parameters(), *made.buffers()]:
            if value.is_floating_point():
                value.add_(0.3 * torch.rand(value.shape))
    return made.eval()


def small(block: ElasticBlock, kernel: int, expansion: int) -> torch.nn.Module:
    """Return a plain block with what section 3.3 of the paper says, written out."""
    hidden = 16 * expansion
    state = block.residual.state_dict()
    weight = state["depthwise.0.weight"][:hidden, 0]
    for size in (5, 3):
        if size >= kernel and kernel < 7:
            matrix = block.transforms[f"to_{size}"]
            rows = [matrix @ channel[1:-1, 1:-1].reshape(-1) for channel in weight]
            weight = torch.stack(rows).view(hidden, size, size)
    own = {"depthwise.0.weight": weight[:, None]}
    made = plain_block(block.place, kernel, expansion)
    for name, value in made.residual.state_dict().items():
        if name not in own:
            own[name] = state[name][tuple(slice(0, size) for size in value.shape)]
    made.residual.load_state_dict(own)
    return made.eval()


@pytest.mark.parametrize("kernel", KERNELS)
@pytest.mark.parametrize("expansion", EXPANSIONS)
def test_slices_against_a_plain_block(block: ElasticBlock, kernel: int, expansion: int) -> None:
    expected = small(block, kernel, expansion)
    torch.testing.assert_close(block(X, kernel, expansion), expected(X))
    expected.train()
    torch.testing.assert_close(block.train()(X, kernel, expansion), expected(X))
    sliced = block.sliced(kernel, expansion)
    for name, value in expected.residual.state_dict().items():  # moved by the same batch
        torch.testing.assert_close(sliced[name], value)


def test_transforms_start_as_centre_crops() -> None:
    block = ElasticBlock(
        Place(Stage(8, 1), 8, 8, 1), kernels=KERNELS, expansions=EXPANSIONS
    )  # fmt: skip
    whole = block.residual.depthwise[0].weight
    for kernel, edge in ((7, 0), (5, 1), (3, 2)):
        centre = whole[:, :, edge : 7 - edge, edge : 7 - edge]
        assert torch.equal(block.sliced(kernel, 4)["depthwise.0.weight"], centre)


def test_gradients_reach_what_a_choice_uses_and_nothing_else(block: ElasticBlock) -> None:
    block(X, 5, 3).square().sum().backward()
    used = {
        "expand.0.weight": (48,), "depthwise.0.weight": (48,), "project.0.weight": (16, 48),
    }  # fmt: skip
    for name, sizes in used.items():
        gradient = block.residual.get_parameter(name).grad
        assert gradient is not None
        inside = torch.zeros_like(gradient, dtype=torch.bool)
        inside[tuple(slice(0, size) for size in sizes)] = True
        assert (gradient[~inside] == 0).all()
        assert (gradient[inside] != 0).any()
    depthwise = block.residual.depthwise[0].weight.grad
    assert (depthwise[:, :, 0] == 0).all()  # the rim of the kernel
    assert (depthwise[:48, :, 1:-1, 1:-1] != 0).any()
    assert block.transforms["to_5"].grad is not None
    assert block.transforms["to_3"].grad is None


def test_the_largest_is_unchanged_by_sorting(block: ElasticBlock) -> None:
    before = copy.deepcopy(block)
    block.sort_channels_((4,))
    torch.testing.assert_close(block(X, 7, 4), before(X, 7, 4))
    norms = block.residual.project[0].weight.abs().sum((0, 2, 3))
    assert (norms.diff() <= 0).all()
    order = before.residual.project[0].weight.abs().sum((0, 2, 3)).argsort(descending=True)
    assert order.tolist() != list(range(64))
    for name in ("expand.0.weight", "depthwise.1.running_var"):
        own, old = block.sliced(7, 4)[name], before.sliced(7, 4)[name]
        assert torch.equal(own, old[order])
    # a smaller one now keeps the channels with the greatest norms
    kept = before.residual.project[0].weight[:, order[:32]]
    assert torch.equal(block.sliced(7, 2)["project.0.weight"], kept)


def test_trained_expansions_are_unchanged_by_sorting(block: ElasticBlock) -> None:
    before = copy.deepcopy(block)
    block.sort_channels_((3, 4))
    for kernel, expansion in ((3, 4), (7, 3), (5, 3)):
        torch.testing.assert_close(block(X, kernel, expansion), before(X, kernel, expansion))
    assert not torch.allclose(block(X, 7, 2), before(X, 7, 2))
    norms = block.residual.project[0].weight.abs().sum((0, 2, 3))
    assert (norms[:48].diff() <= 0).all()
    assert (norms[48:].diff() <= 0).all()
    assert norms[47] < norms[48]  # not sorted across the edge


def test_channels_beyond_the_largest_trained_are_sorted_among_themselves(
    block: ElasticBlock,
) -> None:
    """As in a part of a split supernet that holds small expansions alone."""
    before = copy.deepcopy(block)
    block.sort_channels_((2,))
    torch.testing.assert_close(block(X, 5, 2), before(X, 5, 2))
