"""Fixed points in the transforms of torch.func: right values, or one line that says what to do."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from nascence.implicit import Phantom, Unrolled, fixed_point
from nascence.implicit.transforms import is_mapped, transforms

X = torch.tensor([[0.3], [-1.0]], dtype=torch.float64)


def root(x: Tensor, **settings: str) -> Tensor:
    """z = z / 2 + sin(x) / 2 has the solution sin(x)."""
    start = torch.zeros_like(x)
    tight = {"tol": 1e-10, "max_iter": 200}
    return fixed_point(lambda z: z / 2 + x.sin() / 2, start, **tight, **settings).state


def test_transforms_are_named_from_the_outermost() -> None:
    seen = []

    def look(x: Tensor) -> Tensor:
        seen.append((transforms(), is_mapped(x)))
        return x.sum()

    look(X)
    torch.func.vmap(torch.func.grad(look))(X)
    torch.func.vmap(look)(X)
    assert [names for names, _ in seen] == [[], ["vmap", "grad"], ["vmap"]]
    assert [mapped for _, mapped in seen[::2]] == [False, True]


@pytest.mark.filterwarnings("ignore:.torch.jit.script:DeprecationWarning")  # of jacfwd
@pytest.mark.parametrize("derivative", [torch.func.jacrev, torch.func.jacfwd])
def test_phantom_and_unrolled_gradients_work_in_transforms(
    derivative: Callable[..., Callable[[Tensor], Tensor]],
) -> None:
    wanted = torch.diag_embed(X.flatten().cos())

    def unrolled(x: Tensor) -> Tensor:

        return root(x, backward=Unrolled(60)).flatten()

    def phantom(x: Tensor) -> Tensor:

        return root(x, backward=Phantom(60, 1.0)).flatten()

    for function in (unrolled, phantom):
        assert torch.allclose(derivative(function)(X).flatten(1), wanted, atol=1e-9)


@pytest.mark.parametrize(
    "transform",
    [
        torch.func.jacrev,
        lambda f: torch.func.grad(lambda x: f(x).sum()),
        lambda f: lambda x: torch.func.jvp(f, (x,), (x,)),
    ],
)
def test_an_implicit_gradient_is_refused_in_transforms(
    transform: Callable[..., Callable[[Tensor], Tensor]],
) -> None:
    with pytest.raises(ValueError, match=r"torch\.func's .* use torch\.autograd"):
        transform(root)(X)
    wanted = torch.diag_embed(X.flatten().cos())
    with pytest.raises(ValueError, match="leave out vectorize=True"):
        torch.autograd.functional.jacobian(root, X, vectorize=True)
    found = torch.autograd.functional.jacobian(root, X)
    assert torch.allclose(found.flatten(2).flatten(0, 1), wanted, atol=1e-6)


@pytest.mark.parametrize("solver", ["picard", "anderson", "broyden", "newton_krylov"])
def test_a_mapped_solve_is_refused(solver: str) -> None:
    with torch.no_grad(), pytest.raises(ValueError, match="give the batch as the first axis"):
        torch.func.vmap(lambda x: root(x[None], solver=solver))(X)
    mapped = torch.func.vmap(lambda x: root(x[None], backward="unrolled"))(X)
    assert torch.allclose(mapped[:, 0], root(X, backward="unrolled"))
