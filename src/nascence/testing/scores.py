"""What every score must do: checks that take one and raise ``AssertionError`` where it does not.

A test of a score of your own calls :func:`check_score`, which runs all of them::

    def test_my_score() -> None:
        check_score(my_score)
"""

import copy
import math
import pickle
from collections.abc import Iterator

import torch
from torch import Tensor, nn

from nascence.core.randomness import seeded
from nascence.metrics import Batch, Metric


class _Residual(nn.Module):
    """A branch beside its input."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.ReLU(), nn.Conv2d(channels, channels, 3, padding=1), nn.BatchNorm2d(channels)
        )

    def forward(self, x: Tensor) -> Tensor:
        """Images (B, C, H, W) to the same shape."""
        return x + self.body(x)


def small_network(*, classes: int = 4, seed: int = 0) -> nn.Module:
    """A residual network with dropout for images (B, 3, H, W) of any size."""
    with seeded(seed):
        return nn.Sequential(
            nn.Conv2d(3, 6, 3, padding=1),
            nn.BatchNorm2d(6),
            _Residual(6),
            _Residual(6),
            nn.ReLU(),
            nn.AdaptiveAvgPool2d(1),
            nn.Flatten(),
            nn.Dropout(),
            nn.Linear(6, classes),
        )


def small_batch(*, images: int = 8, side: int = 8, seed: int = 0) -> Batch:
    """Normal noise ``(images, 3, side, side)`` and labels ``(images,)`` from 0 to 3."""
    generator = torch.Generator().manual_seed(seed)
    shape = (images, 3, side, side)
    return torch.randn(shape, generator=generator), torch.arange(images) % 4


def unusual_batches() -> Iterator[tuple[str, Batch]]:
    """Batches ``(B, 3, H, W)``, ``(B,)`` that users give, each with what is unusual about it."""
    images, labels = small_batch()
    yield "an image twice", (images[[0, 1, 2, 3, 4, 5, 6, 0]], labels)
    yield "one image alone", (images[[0] * 8], labels)
    yield "all black", (torch.zeros_like(images), labels)
    yield "all white", (torch.full_like(images, 3.0), labels)
    yield "one black image", (torch.cat([images[:7], torch.zeros_like(images[:1])]), labels)
    yield "one colour each", (images[:, :, :1, :1].expand_as(images).clone(), labels)
    yield "one pixel", (images[:, :, :1, :1].clone(), labels)
    yield "one row", (images[:, :, :1].clone(), labels)
    yield "one column", (images[..., :1].clone(), labels)
    yield "long and thin", (torch.randn(8, 3, 2, 200, generator=_seeded()), labels)
    yield "one class", (images, torch.zeros_like(labels))
    yield "grey", (images[:, :1].expand_as(images).clone(), labels)
    yield "two images", (images[:2], labels[:2])
    yield "one image", (images[:1], labels[:1])
    yield "no image", (images[:0], labels[:0])
    yield "values of a million", (images * 1e6, labels)
    yield "values of a billionth", (images * 1e-9, labels)
    yield "not a number", (images.masked_fill(images > 2, math.nan), labels)
    yield "infinite", (images.masked_fill(images > 2, math.inf), labels)


def check_number(score: Metric) -> None:
    """The score is a finite ``float``, the same for the same network and batch."""
    model, batch = small_network(), small_batch()
    first = score(model, batch)
    assert isinstance(first, float), f"a score must be a float, not a {type(first).__name__}"
    assert math.isfinite(first), f"the score of a small residual network is {first}"
    again = score(model, batch)
    assert first == again, f"the same network and batch gave {first} and then {again}"


def check_leaves_all_as_found(score: Metric) -> None:
    """Modes, values, gradients, hooks, the batch and the random state are left as they were."""
    model, batch = small_network(), small_batch()
    model.get_submodule("2").eval()
    copies = [part.clone() for part in batch]
    state = copy.deepcopy(model.state_dict())
    modes, hooks = _modes(model), _hooks(model)
    random_state = torch.get_rng_state()
    score(model, batch)
    assert all(map(torch.equal, batch, copies)), "the batch was written to"
    assert _modes(model) == modes, "a module is in another mode than before"
    assert _hooks(model) == hooks, "a hook was left on a module"
    assert torch.equal(torch.get_rng_state(), random_state), "the global random state moved"
    for name, value in model.state_dict().items():
        assert torch.equal(value, state[name]), f"{name} was written to"
    for name, parameter in model.named_parameters():
        assert parameter.grad is None, f"a gradient was left on {name}"
        assert parameter.requires_grad, f"{name} no longer requires a gradient"


def check_depends_on_no_mode(score: Metric) -> None:
    """A network in training and in evaluation mode scores the same."""
    model, batch = small_network(), small_batch()
    trained, evaluated = score(model.train(), batch), score(model.eval(), batch)
    assert trained == evaluated, f"{trained} in training mode, {evaluated} in evaluation mode"


def check_frozen_network(score: Metric) -> None:
    """A network without gradients scores the same, and so it does where gradients are off."""
    model, batch = small_network(), small_batch()
    expected = score(model, batch)
    model.requires_grad_(False)
    with torch.no_grad():
        found = score(model, batch)
    assert found == expected, f"{found} for a frozen network without gradients, not {expected}"


def check_wrapped_network(score: Metric) -> None:
    """A network wrapped for several devices scores as it does itself."""
    model, batch = small_network(), small_batch()
    expected, found = score(model, batch), score(nn.DataParallel(model), batch)
    assert found == expected, f"{found} in DataParallel, not {expected}"


def check_any_batch(score: Metric) -> None:
    """The score of any batch is finite, or a ``ValueError`` of one line says why there is none."""
    for what, batch in unusual_batches():
        value, reason = 0.0, "given"
        try:
            value = score(small_network(), batch)
        except ValueError as error:
            reason = str(error)
        assert math.isfinite(value), f"{what}: the score is {value}"
        assert len(reason.splitlines()) == 1, f"{what}: an error must say why in one line"


def check_pickles(score: Metric) -> None:
    """The score can be sent to another process."""
    model, batch = small_network(), small_batch()
    found, expected = pickle.loads(pickle.dumps(score))(model, batch), score(model, batch)
    assert found == expected, f"{found} after pickling, not {expected}"


CHECKS = (
    check_number,
    check_leaves_all_as_found,
    check_depends_on_no_mode,
    check_frozen_network,
    check_wrapped_network,
    check_any_batch,
    check_pickles,
)
"""All checks, each of which takes a score."""


def check_score(score: Metric) -> None:
    """Run all of :data:`CHECKS`.

    Args:
        score: A function of a network and a batch, higher for better networks.

    Raises:
        AssertionError: A check failed; the message says what was found.
    """
    for check in CHECKS:
        check(score)


def _seeded() -> torch.Generator:
    return torch.Generator().manual_seed(0)


def _modes(model: nn.Module) -> list[bool]:
    return [module.training for module in model.modules()]


def _hooks(model: nn.Module) -> list[int]:
    return [len(m._forward_hooks) + len(m._forward_pre_hooks) for m in model.modules()]
