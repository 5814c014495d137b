"""The perceptrons: what they learn, and that the generator decides all."""

import pytest
import torch
from torch import Tensor

from nascence.search.mlp_ensemble import MLPEnsemble


def products() -> tuple[Tensor, Tensor]:
    """All codes of three decisions of four, and a value that is no sum over decisions."""
    indices = torch.cartesian_prod(*3 * [torch.arange(4)])
    points = torch.nn.functional.one_hot(indices, 4).flatten(1)
    signed = indices.float() - 1.5
    return points, signed[:, 0] * signed[:, 1]


def fitted(seed: int, *, members: int = 2, steps: int = 600) -> MLPEnsemble:
    points, values = products()
    generator = torch.Generator().manual_seed(seed)
    return MLPEnsemble(
        points, values, generator=generator, members=members, width=64, steps=steps, batch_size=64
    )


def test_an_interaction_is_learned() -> None:
    points, values = products()
    assert (fitted(0)(points) - values).abs().mean() < 0.1


def test_the_generator_decides_and_the_global_one_is_left_alone() -> None:
    points, _ = products()
    state = torch.get_rng_state()
    first, again, other = (fitted(seed, steps=5)(points) for seed in (0, 0, 1))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)
    assert torch.equal(state, torch.get_rng_state())


def test_members_start_and_train_apart() -> None:
    ensemble = fitted(0, steps=5)
    first, second = ensemble._layers[0][0].detach()
    assert (first != second).all()


def test_impossible_settings_are_refused() -> None:
    with pytest.raises(ValueError, match="members is 0; it must be at least 1"):
        fitted(0, members=0)
