"""The finite difference against autograd through the step of the weights."""

import torch
from torch import Tensor
from torch.func import functional_call
from torch.nn import functional

from nascence.data import Batch
from nascence.gradient.second_order import unrolled_gradients
from nascence.params import Params
from nascence.spaces import SmallSpace
from nascence.supernets import SuperNet


def autograd_gradients(loss, weights: Params, own, train, validation, rate) -> list[Tensor]:
    """The derivative of L_val(w - rate * dL_train/dw) by the architecture, with a double graph."""
    inner = {name: value.detach().requires_grad_() for name, value in weights.items()}
    step = torch.autograd.grad(
        loss(inner, train), list(inner.values()), create_graph=True, allow_unused=True,
        materialize_grads=True,
    )  # fmt: skip
    moved = {k: v - rate * g for (k, v), g in zip(inner.items(), step, strict=True)}
    return list(torch.autograd.grad(loss(moved, validation), own))


def batch(seed: int, *shape: int) -> Batch:
    generator = torch.Generator().manual_seed(seed)
    images = torch.randn(*shape, generator=generator, dtype=torch.float64)
    return images, torch.arange(shape[0]) % 2


def mixed_layers(weights: Params, given: Batch, own: list[Tensor]) -> Tensor:
    """Two layers of three mixed activations, smooth: the loss of a small net."""
    hidden = given[0]
    for layer, logits in zip(("first", "second"), own, strict=True):
        mixture = logits.softmax(0)
        linear = hidden @ weights[layer]
        hidden = mixture[0] * linear + mixture[1] * linear.tanh() + mixture[2] * linear.sin()
    return functional.cross_entropy(hidden, given[1])


def test_a_smooth_net_within_a_ten_thousandth() -> None:
    generator = torch.Generator().manual_seed(0)
    weights: Params = {
        "first": torch.randn(5, 6, generator=generator, dtype=torch.float64),
        "second": torch.randn(6, 2, generator=generator, dtype=torch.float64),
    }
    own = [torch.randn(3, dtype=torch.float64, generator=generator).requires_grad_() for _ in "ab"]

    def loss(values: Params, given: Batch) -> Tensor:
        return mixed_layers(values, given, own)

    train, validation = batch(1, 16, 5), batch(2, 16, 5)
    for rate in (0.0, 0.1, 0.5):
        found = unrolled_gradients(loss, weights, own, train, validation, rate=rate)
        exact = autograd_gradients(loss, weights, own, train, validation, rate)
        first = torch.autograd.grad(loss(weights, validation), own)
        near = unrolled_gradients(loss, weights, own, train, validation, rate=rate, radius=1e-3)
        for ours, nearer, theirs, plain in zip(found, near, exact, first, strict=True):
            assert (ours - theirs).abs().max() < 1e-4  # with the published radius
            assert (nearer - theirs).norm() < 1e-4 * theirs.norm()
            if rate:  # which the first order is not
                assert (plain - theirs).norm() > 0.01 * theirs.norm()


def test_a_supernet() -> None:
    """With ReLU and BatchNorm, whose corners a smaller radius seldom crosses."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        supernet = SuperNet(SmallSpace(width=4, classes=2)).double()
    generator = torch.Generator().manual_seed(0)
    own = [
        torch.randn(6, dtype=torch.float64, generator=generator).requires_grad_() for _ in range(4)
    ]

    def loss(values: Params, given: Batch) -> Tensor:
        choice = [logits.softmax(0) for logits in own]
        return functional.cross_entropy(
            functional_call(supernet, values, (given[0], choice)), given[1]
        )

    weights: Params = dict(supernet.named_parameters())
    before = {name: value.detach().clone() for name, value in weights.items()}
    train, validation = batch(1, 8, 3, 8, 8), batch(2, 8, 3, 8, 8)
    found = unrolled_gradients(loss, weights, own, train, validation, rate=0.1, radius=1e-6)
    exact = autograd_gradients(loss, weights, own, train, validation, 0.1)
    for ours, theirs in zip(found, exact, strict=True):
        assert (ours - theirs).norm() < 1e-4 * theirs.norm()
    assert all(torch.equal(value, before[name]) for name, value in weights.items())
    assert all(value.grad is None for value in weights.values())


def test_weights_without_effect_leave_the_first_order() -> None:
    own = [torch.tensor([1.0, 2.0]).requires_grad_()]
    weights: Params = {"unused": torch.ones(3)}

    def loss(values: Params, given: Batch) -> Tensor:
        return own[0].square().sum() + 0 * values["unused"].sum()

    (found,) = unrolled_gradients(loss, weights, own, batch(0, 2, 2), batch(1, 2, 2), rate=1.0)
    torch.testing.assert_close(found, torch.tensor([2.0, 4.0]))
