"""Fixed points with known values, their gradients, and maps that have none."""

import math
import warnings
from functools import partial

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from nascence.implicit import (
    ConvergenceError,
    ConvergenceWarning,
    Implicit,
    Phantom,
    Status,
    Unrolled,
    fixed_point,
)

SOLVERS = ("picard", "anderson", "broyden", "newton_krylov")
TIGHT = {"tol": 1e-11, "max_iter": 300}


def contraction(size: int, radius: float, seed: int) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    matrix = torch.randn(size, size, dtype=torch.float64, generator=generator)
    return matrix * radius / torch.linalg.eigvals(matrix).abs().max()


@pytest.mark.parametrize("solver", SOLVERS)
def test_known_answers(solver: str) -> None:
    zero, one = torch.zeros(1, dtype=torch.float64), torch.ones(2, 1, dtype=torch.float64)
    cosine = fixed_point(torch.cos, zero, solver=solver, **TIGHT)
    assert cosine.state.item() == pytest.approx(0.7390851332151607, abs=1e-10)
    root = fixed_point(lambda z: (z + 2 / z) / 2, one, solver=solver, **TIGHT)
    assert torch.allclose(root.state, torch.full_like(one, math.sqrt(2)), atol=1e-10)
    assert root.converged.all()


@settings(max_examples=15, deadline=None)
@given(
    seed=st.integers(0, 10**6),
    radius=st.floats(0.1, 0.9),
    solver=st.sampled_from((*SOLVERS, "gmres")),
    back=st.sampled_from((*SOLVERS, "gmres")),
)
def test_affine_maps_match_a_linear_solve(seed: int, radius: float, solver: str, back: str) -> None:
    matrix = contraction(5, radius, seed).requires_grad_()
    shift = contraction(5, 1.0, seed + 1)[:3].clone().requires_grad_()
    exact = torch.linalg.solve(torch.eye(5, dtype=torch.float64) - matrix, shift.T).T
    found = fixed_point(
        lambda z: z @ matrix.T + shift,
        torch.zeros(3, 5, dtype=torch.float64),
        solver=solver,
        backward=Implicit(back, **TIGHT),
        **TIGHT,
    )
    scale = exact.abs().max().item()
    assert torch.allclose(found.state, exact, atol=1e-8 * scale, rtol=0)
    got = torch.autograd.grad(found.state.square().sum(), (matrix, shift))
    want = torch.autograd.grad(exact.square().sum(), (matrix, shift))
    for a, b in zip(got, want, strict=True):
        assert torch.allclose(a, b, atol=1e-7 * b.abs().max().item(), rtol=0)


def tanh_state(weight: Tensor, x: Tensor, backward: Implicit) -> Tensor:
    zero = torch.zeros(2, 3, dtype=torch.float64)
    map_ = lambda z: torch.tanh(z @ weight + x)  # noqa: E731
    return fixed_point(map_, zero, backward=backward, tol=1e-13, max_iter=100).state


def tanh_inputs() -> tuple[Tensor, Tensor]:
    return contraction(3, 0.7, 0).requires_grad_(), contraction(3, 1.0, 1)[:2].requires_grad_()


def test_gradcheck_of_first_and_second_order() -> None:
    inputs = tanh_inputs()
    once = Implicit(tol=1e-13, max_iter=100)
    twice = Implicit(tol=1e-13, max_iter=100, order=2)
    assert torch.autograd.gradcheck(partial(tanh_state, backward=once), inputs)
    assert torch.autograd.gradgradcheck(partial(tanh_state, backward=twice), inputs)


def test_third_order_matches_unrolling() -> None:
    weight, x = tanh_inputs()

    def third(state: Tensor) -> Tensor:
        loss = state.sin().sum()
        (first,) = torch.autograd.grad(loss, weight, create_graph=True)
        (second,) = torch.autograd.grad(first.square().sum() + loss, weight, create_graph=True)
        return torch.autograd.grad(second.square().sum(), weight)[0]

    z = torch.zeros(2, 3, dtype=torch.float64)
    for _ in range(120):
        z = torch.tanh(z @ weight + x)
    implicit = tanh_state(weight, x, Implicit(tol=1e-13, max_iter=100, order=3))
    assert torch.allclose(third(implicit), third(z), rtol=1e-8)


@pytest.mark.parametrize("order", [1, 2])
def test_differentiating_too_often_is_an_error(order: int) -> None:
    weight, x = tanh_inputs()
    loss = tanh_state(weight, x, Implicit(tol=1e-13, max_iter=100, order=order)).sin().sum()
    for _ in range(order - 1):
        (gradient,) = torch.autograd.grad(loss, weight, create_graph=True)
        loss = gradient.square().sum() + loss
    with pytest.raises(RuntimeError, match="higher order"):
        torch.autograd.grad(loss, weight, create_graph=True)


class Cell(nn.Module):
    """A small convolutional residual cell."""

    def __init__(self, channels: int = 4) -> None:
        super().__init__()
        self.conv = nn.Conv2d(channels, channels, 3, padding=1)
        self.norm = nn.GroupNorm(2, channels)
        nn.init.normal_(self.conv.weight, 0, 0.15)

    def forward(self, z: Tensor, x: Tensor) -> Tensor:
        return self.norm(torch.relu(self.conv(z)) + x)


@pytest.fixture
def cell(generator: torch.Generator) -> tuple[Cell, Tensor]:
    torch.manual_seed(0)
    return Cell().double(), torch.randn(3, 4, 6, 6, dtype=torch.float64, generator=generator)


def loss_gradients(cell: Cell, state: Tensor) -> Tensor:
    weights = torch.linspace(-1, 1, state.numel(), dtype=state.dtype).reshape(state.shape)
    rows = torch.autograd.grad((state * weights).sum(), list(cell.parameters()))
    return torch.cat([row.flatten() for row in rows])


def test_gradient_of_a_closure_matches_a_long_unroll(cell: tuple[Cell, Tensor]) -> None:
    model, x = cell
    zero = torch.zeros_like(x)
    solve = partial(fixed_point, lambda z: model(z, x), zero)
    exact = loss_gradients(model, solve(backward=Unrolled(70)).state)
    for solver in SOLVERS:
        found = solve(solver=solver, backward=Implicit(solver, **TIGHT), **TIGHT)
        assert (loss_gradients(model, found.state) - exact).norm() < 1e-7 * exact.norm()


def test_phantom_gradients_tend_to_the_implicit_one(cell: tuple[Cell, Tensor]) -> None:
    model, x = cell
    solve = partial(fixed_point, lambda z: model(z, x), torch.zeros_like(x), **TIGHT)
    exact = loss_gradients(model, solve(backward=Implicit(**TIGHT)).state)
    errors = [
        (
            (loss_gradients(model, solve(backward=Phantom(k, 0.8)).state) - exact).norm()
            / exact.norm()
        )
        for k in (1, 3, 9, 27, 81)
    ]
    assert errors == sorted(errors, reverse=True)
    assert errors[0] > 0.05
    assert errors[-1] < 1e-5


def test_one_step_is_the_gradient_of_one_evaluation(cell: tuple[Cell, Tensor]) -> None:
    model, x = cell
    found = fixed_point(lambda z: model(z, x), torch.zeros_like(x), backward="one_step", **TIGHT)
    again = model(found.state.detach(), x)
    assert torch.allclose(loss_gradients(model, found.state), loss_gradients(model, again))


def test_states_of_the_solvers_agree_and_residuals_are_theirs(cell: tuple[Cell, Tensor]) -> None:
    model, x = cell
    states = []
    for solver in SOLVERS:
        with torch.no_grad():
            found = fixed_point(lambda z: model(z, x), torch.zeros_like(x), solver=solver, **TIGHT)
            image = model(found.state, x)
        gap = (image - found.state).flatten(1).norm(dim=1) / image.flatten(1).norm(dim=1)
        assert torch.allclose(gap, found.residuals, rtol=1e-3)
        assert (found.residuals <= TIGHT["tol"]).all()
        states.append(found.state)
    for state in states[1:]:
        assert torch.allclose(state, states[0], atol=1e-8)


@pytest.mark.parametrize("solver", SOLVERS)
def test_a_sample_alone_and_in_a_batch(solver: str, cell: tuple[Cell, Tensor]) -> None:
    model, x = cell
    x = x * torch.tensor([0.7, 1.0, 10.0], dtype=x.dtype)[:, None, None, None]
    settings_ = {"solver": solver, "tol": 1e-6, "max_iter": 60}
    with torch.no_grad():
        together = fixed_point(lambda z: model(z, x), torch.zeros_like(x), **settings_)
        for index in range(3):
            one = x[index : index + 1]
            alone = fixed_point(
                lambda z, one=one: model(z, one), torch.zeros_like(one), **settings_
            )
            # newton_krylov solves its inner systems until all samples are done
            tolerance = 1e-5 if solver == "newton_krylov" else 1e-12
            assert torch.allclose(alone.state[0], together.state[index], atol=tolerance)


def test_finished_samples_are_frozen() -> None:
    rates = torch.tensor([[0.1], [0.99]], dtype=torch.float64)
    seen = []

    def slow(z: Tensor) -> Tensor:
        seen.append(z.clone())
        return rates * z + 1

    zero = torch.zeros(2, 1, dtype=torch.float64)
    found = fixed_point(slow, zero, solver="picard", tol=1e-3, max_iter=2000, norm="absolute")
    assert found.converged.all()
    first = torch.cat(seen, dim=1)[0]
    assert (first[10:] == first[10]).all()
    assert found.state[0, 0] == first[10]


def test_tuples_of_streams() -> None:
    weight = contraction(3, 0.5, 3).requires_grad_()

    def both(z: tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor]:
        low, high = z
        return torch.tanh(low @ weight + 1), torch.tanh(0.3 * high + low.mean(1)[:, None, None])

    zeros = (torch.zeros(2, 3, dtype=torch.float64), torch.zeros(2, 4, 5, dtype=torch.float64))
    found = fixed_point(both, zeros, backward=Implicit(**TIGHT), **TIGHT)
    unrolled = fixed_point(both, zeros, backward=Unrolled(80))
    for a, b in zip(found.state, unrolled.state, strict=True):
        assert a.shape == b.shape
        assert torch.allclose(a, b, atol=1e-9)
    got, want = (
        torch.autograd.grad(sum(part.sum() for part in s.state), weight)[0]
        for s in (found, unrolled)
    )
    assert torch.allclose(got, want, atol=1e-8)


def test_a_warm_start_takes_fewer_evaluations(cell: tuple[Cell, Tensor]) -> None:
    model, x = cell
    cold = fixed_point(lambda z: model(z, x), torch.zeros_like(x), tol=1e-6)
    warm = fixed_point(lambda z: model(z, x + 1e-4), cold.state.detach(), tol=1e-6)
    assert warm.evaluations < cold.evaluations


def failing(kind: str) -> tuple[object, Tensor]:
    """A map of two samples, of which the second has no fixed point to be found."""
    second = torch.tensor([[0.0], [1.0]], dtype=torch.float64)
    maps = {
        "diverged": lambda z: torch.where(second > 0, 1.5 * z + 1, 0.5 * z + 1),
        "stalled": lambda z: torch.where(second > 0, 1 - z, 0.5 * z + 1),
        "non_finite": lambda z: torch.where(second > 0, torch.log(-1 - z**2), 0.5 * z + 1),
    }
    return maps[kind], torch.zeros(2, 1, dtype=torch.float64)


@pytest.mark.parametrize("kind", ["diverged", "stalled", "non_finite"])
def test_failures_are_told_by_sample_with_a_warning(kind: str) -> None:
    map_, zero = failing(kind)
    solve = partial(fixed_point, map_, zero, solver="picard", tol=1e-8, max_iter=60)
    with pytest.warns(ConvergenceWarning, match=kind.replace("_", "-")):
        found = solve()
    assert found.status.tolist() == [Status.CONVERGED, Status[kind.upper()]]
    assert found.state[0].item() == pytest.approx(2.0)
    assert torch.isfinite(found.state).all()
    with pytest.raises(ConvergenceError, match=r"1 of 2 samples \(1\)"):
        solve(strict=True)


@pytest.mark.parametrize("solver", ["picard", "anderson", "broyden", "newton_krylov"])
def test_nothing_returns_a_nan_or_a_runaway_in_silence(solver: str) -> None:
    zero = torch.zeros(2, 3)
    for map_ in (lambda z: z * torch.nan, lambda z: z.exp() + 1):
        with pytest.warns(ConvergenceWarning):
            found = fixed_point(map_, zero, solver=solver, max_iter=20)
        assert not found.converged.any()
        assert torch.isfinite(found.state).all()


def test_one_warning_for_many_solves() -> None:
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("default")
        for _ in range(3):
            fixed_point(lambda z: 1 - z, torch.zeros(2, 1), solver="picard", max_iter=5)
    assert len(caught) == 1


def test_broyden_and_newton_find_what_does_not_contract() -> None:
    for solver in ("anderson", "broyden", "newton_krylov"):
        zero = torch.zeros(2, 1, dtype=torch.float64)
        found = fixed_point(lambda z: 1 - 3 * z, zero, solver=solver, tol=1e-9)
        assert torch.allclose(found.state, torch.full_like(zero, 0.25))


def test_without_a_tolerance_the_count_is_fixed() -> None:
    found = fixed_point(torch.cos, torch.zeros(2, 1), solver="picard", tol=None, max_iter=7)
    z = torch.zeros(2, 1)
    for _ in range(7):
        z = torch.cos(z)
    assert torch.equal(found.state, z)
    assert (found.evaluations, found.status.tolist()) == (7, [Status.UNCHECKED] * 2)
    with pytest.warns(ConvergenceWarning, match="diverged"):
        fixed_point(lambda z: 2 * z + 1, torch.zeros(2, 1), solver="picard", tol=None, max_iter=9)


def test_saved_memory_does_not_grow_with_iterations(cell: tuple[Cell, Tensor]) -> None:
    model, x = cell

    def saved(iterations: int, backward: object) -> int:
        sizes: list[int] = []

        def pack(tensor: Tensor) -> Tensor:
            sizes.append(tensor.numel())
            return tensor

        with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
            fixed_point(
                lambda z: model(z, x),
                torch.zeros_like(x),
                backward=backward,
                tol=1e-30,
                max_iter=iterations,
                warn=False,
            )
        return sum(sizes)

    for backward in ("implicit", "phantom"):
        assert saved(5, backward) == saved(25, backward)
    assert saved(1, Unrolled(20)) > 3 * saved(1, Unrolled(5))


def test_mixed_precision_keeps_gradients_and_the_state_s_dtype() -> None:
    torch.manual_seed(0)
    model = Cell()
    x = torch.randn(2, 4, 6, 6)
    full = fixed_point(lambda z: model(z, x), torch.zeros_like(x), tol=1e-4).state
    exact = loss_gradients(model, full)
    for backward in ("implicit", "phantom"):
        with torch.autocast("cpu", dtype=torch.bfloat16):
            found = fixed_point(
                lambda z: model(z, x),
                torch.zeros_like(x),
                tol=2e-2,
                backward=Implicit(tol=2e-2) if backward == "implicit" else backward,
            )
        assert found.state.dtype == torch.float32
        assert (
            torch.nn.functional.cosine_similarity(loss_gradients(model, found.state), exact, dim=0)
            > 0.97
        )


def test_bad_input_is_named() -> None:
    zero = torch.zeros(2, 3)
    cases = [
        (lambda z: z[:, :2], {}, r"shape \(2, 2\)"),
        (lambda z: z.double(), {}, r"float64 for a state of torch\.float32"),
        (lambda z: torch.empty(2, 3, device="meta"), {}, "meta for a state on cpu"),
        (lambda z: (z, z), {}, "2 tensors for a state of 1"),
        (torch.cos, {"max_iter": 0}, "max_iter is 0"),
        (torch.cos, {"tol": 0.0}, "tol is 0"),
        (torch.cos, {"solver": "newton"}, "solver is 'newton'.*anderson"),
        (torch.cos, {"backward": "exact"}, "backward is 'exact'.*implicit"),
        (torch.cos, {"backward": Phantom(0)}, "steps=0"),
        (torch.cos, {"backward": Implicit(max_iter=0)}, "max_iter=0"),
        (torch.cos, {"norm": "inf"}, "norm is 'inf'"),
        (torch.cos, {"solver": "newton_krylov", "tol": None}, "fixed number of iterations"),
    ]
    for map_, keywords, message in cases:
        with pytest.raises(ValueError, match=message):
            fixed_point(map_, zero, **keywords)
    for start in (torch.zeros(()), torch.zeros(2, dtype=torch.int64)):
        with pytest.raises(ValueError, match="sample axis"):
            fixed_point(torch.cos, start)
    with pytest.raises(ValueError, match="differ in number of samples"):
        fixed_point(lambda z: z, (zero, torch.zeros(3, 3)))
    with pytest.raises(ValueError, match=r"z0\.detach\(\)"):
        fixed_point(torch.cos, zero.clone().requires_grad_())


def test_a_map_that_reads_nothing_learnable_needs_no_gradient() -> None:
    found = fixed_point(lambda z: 0.5 * z.detach() + 1, torch.zeros(2, 1))
    assert not found.state.requires_grad


@pytest.mark.parametrize("backward", ["implicit", "phantom", "unrolled"])
@pytest.mark.parametrize("solver", SOLVERS)
def test_no_samples_give_no_solutions_and_zero_gradients(solver: str, backward: str) -> None:
    weight = torch.tensor(0.3, requires_grad=True)
    starts = (torch.zeros(0, 2, 3), torch.zeros(0))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        solution = fixed_point(
            lambda z: (torch.tanh(weight * z[0]), weight * z[1]),
            starts,
            solver=solver,
            backward=backward,
        )
    assert [value.shape for value in solution.state] == [(0, 2, 3), (0,)]
    assert solution.converged.shape == solution.residuals.shape == (0,)
    sum(value.sum() for value in solution.state).backward()
    assert weight.grad == 0


def test_what_is_frozen_needs_no_gradients() -> None:
    linear = nn.Linear(3, 3).requires_grad_(False)
    x = torch.randn(2, 3)

    def solved() -> Tensor:
        return fixed_point(lambda z: torch.tanh(0.1 * linear(z) + x), torch.zeros(2, 3)).state

    assert not solved().requires_grad
    linear.bias.requires_grad_()
    assert solved().requires_grad
    linear.bias.requires_grad_(False)
    x = (torch.randn(2, 3, requires_grad=True) * 2).sin()
    assert solved().requires_grad
