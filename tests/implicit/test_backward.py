"""Flat states, and the settings of backward passes."""

import pytest
import torch

from nascence.implicit import Implicit, Phantom, anderson
from nascence.implicit.backward import backward_of, pack, solver_of, transposed_product, unpack


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16])
def test_states_survive_packing(dtype: torch.dtype, generator: torch.Generator) -> None:
    states = tuple(
        torch.randn(2, *shape, generator=generator).to(dtype) for shape in ((3, 4), (5,), ())
    )
    flat = pack(states)
    assert flat.shape == (2, 18)
    assert flat.dtype == (torch.float32 if dtype == torch.bfloat16 else dtype)
    for before, after in zip(states, unpack(flat, states), strict=True):
        assert before.dtype == after.dtype
        assert torch.equal(before, after)


def test_products_with_a_jacobian(generator: torch.Generator) -> None:
    x, y = (torch.randn(3, 2, generator=generator, requires_grad=True) for _ in range(2))
    images = (x * y, torch.ones(3, 2))  # the second depends on nothing
    rows = (torch.full((3, 2), 2.0), torch.ones(3, 2))
    first, second = transposed_product(images, (x, y), rows, create_graph=False)
    assert torch.allclose(first, 2 * y)
    assert torch.allclose(second, 2 * x)
    nothing = transposed_product(images[1:], (x,), rows[1:], create_graph=False)
    assert not nothing[0].any()


def test_names_and_settings() -> None:
    assert backward_of("one_step") == Phantom(1, 1.0)
    assert backward_of(Implicit(order=3)).order == 3
    assert solver_of("anderson") is anderson
    for wrong in (Implicit(order=0), Phantom(damping=0.0), Phantom(damping=1.5)):
        with pytest.raises(ValueError, match="must be"):
            backward_of(wrong)
    with pytest.raises(ValueError, match="it must be one of anderson"):
        solver_of("secant")
