"""The implicit pyramid against its iteration, and its gradients."""

import copy
import pickle

import pytest
import torch
from torch import Tensor, nn

from nascence.graph import count_parameters
from nascence.implicit import (
    ConvergenceError,
    ExplicitPyramid,
    FusionCell,
    Implicit,
    ImplicitPyramid,
    Phantom,
    TopDownPyramid,
)

CHANNELS = (4, 6, 8)


def maps(*, batch: int = 2, odd: bool = False) -> list[Tensor]:
    generator = torch.Generator().manual_seed(1)
    sides = ((9, 7), (5, 4), (3, 2)) if odd else ((8, 8), (4, 4), (2, 2))
    return [
        torch.randn(batch, channels, *side, generator=generator, dtype=torch.float64)
        for channels, side in zip(CHANNELS, sides, strict=True)
    ]


def pyramid(**settings: object) -> ImplicitPyramid:
    torch.manual_seed(0)
    made = ImplicitPyramid(CHANNELS, 8, groups=2, **settings)  # type: ignore[arg-type]
    return made.double()


@pytest.mark.parametrize("odd", [False, True])
@pytest.mark.parametrize("solver", ["picard", "anderson", "broyden"])
def test_is_the_end_of_the_iteration(solver: str, odd: bool) -> None:
    """The state is that of 200 rounds of P <- G(P + B), and solves P = G(P + B)."""
    found = pyramid(solver=solver, tol=1e-10, max_iter=60)
    with torch.no_grad():
        injected = found.laterals(maps(odd=odd))
        state = [torch.zeros_like(each) for each in injected]
        for _ in range(200):
            state = list(found.cell([p + b for p, b in zip(state, injected, strict=True)]))
        for ours, wanted in zip(found(maps(odd=odd)), state, strict=True):
            torch.testing.assert_close(ours, wanted, rtol=1e-7, atol=1e-8)


def test_a_stack_of_equal_cells_tends_to_it() -> None:
    solved = pyramid(tol=1e-10, max_iter=60)
    with torch.no_grad():
        wanted = solved(maps())
        errors = []
        for blocks in (1, 3, 9):
            stack = ExplicitPyramid(CHANNELS, 8, groups=2, blocks=blocks).double()
            stack.laterals.load_state_dict(solved.laterals.state_dict())
            for cell in stack.cells:
                cell.load_state_dict(solved.cell.state_dict())
            got = stack(maps())
            errors.append(max((a - b).norm() / b.norm() for a, b in zip(got, wanted, strict=True)))
    assert errors[0] > 2 * errors[1] > 4 * errors[2]


def gradients(model: ImplicitPyramid) -> dict[str, Tensor]:
    model.zero_grad()
    sum(level.square().mean() for level in model(maps())).backward()  # type: ignore[union-attr]
    return {name: p.grad for name, p in model.named_parameters() if p.grad is not None}


def test_gradients_are_those_of_the_whole_iteration() -> None:
    unrolled = pyramid(solver="picard", backward=Phantom(80, 1.0), tol=1.0, max_iter=1)
    wanted = gradients(unrolled)
    implicit = gradients(pyramid(backward=Implicit(tol=1e-11), tol=1e-11, max_iter=60))
    assert implicit.keys() == wanted.keys() == dict(unrolled.named_parameters()).keys()
    for name, gradient in implicit.items():
        torch.testing.assert_close(gradient, wanted[name], rtol=1e-6, atol=1e-9)
    errors = []
    for steps in (1, 4, 16):
        phantom = gradients(pyramid(backward=Phantom(steps, 1.0), tol=1e-11, max_iter=60))
        errors.append(max((phantom[n] - g).norm() / g.norm() for n, g in wanted.items()).item())
    assert errors[0] > errors[1] > 100 * errors[2]


def test_cell_by_hand() -> None:
    """Two levels, one channel of 1x1 and 2x2, convolutions that pass the centre on."""
    cell = FusionCell(1, 2, groups=1, scale=1.0).double()
    with torch.no_grad():
        cell.top_down[0].weight.fill_(2.0)
        cell.bottom_up[0].weight.fill_(0.5)
        for transform in cell.transform:
            transform[0][0].weight.zero_()
            transform[0][0].weight[0, 0, 1, 1] = 1.0
            transform[0][1] = nn.Identity()
    fine = torch.tensor([[[[1.0, 2.0], [3.0, -9.0]]]], dtype=torch.float64)
    coarse = torch.tensor([[[[1.0]]]], dtype=torch.float64)
    first, second = cell([fine, coarse])
    assert first.tolist() == [[[[3.0, 4.0], [5.0, 0.0]]]]  # each + 2 * 1, then ReLU
    assert second.tolist() == [[[[1.0 + 0.5 * (1 + 2 + 3 - 9) / 4]]]]


def test_parameters_of_the_kinds() -> None:
    implicit = ImplicitPyramid((32, 48, 64), 32)
    one = ExplicitPyramid((32, 48, 64), 32)
    top_down = TopDownPyramid((32, 48, 64), 32, inner=37)
    count = count_parameters(implicit)
    assert count_parameters(one) == count
    assert abs(count_parameters(top_down) / count - 1) < 0.03
    stack = ExplicitPyramid((32, 48, 64), 32, blocks=4)
    assert count_parameters(stack) == count + 3 * count_parameters(one.cells[0])


@pytest.mark.parametrize("kind", [ImplicitPyramid, ExplicitPyramid, TopDownPyramid])
def test_levels_are_appended(kind: type[nn.Module]) -> None:
    made = kind(CHANNELS, 8, groups=2, extra=2).double()
    sizes = [tuple(level.shape) for level in made(maps(odd=True))]
    assert sizes == [(2, 8, 9, 7), (2, 8, 5, 4), (2, 8, 3, 2), (2, 8, 2, 1), (2, 8, 1, 1)]


def test_every_level_reads_every_other() -> None:
    implicit = pyramid(tol=1e-8, max_iter=60)
    top_down = TopDownPyramid(CHANNELS, 8, groups=2).double()
    for source in range(3):
        changed = [each + (index == source) * each.cos() for index, each in enumerate(maps())]
        with torch.no_grad():
            moved = [
                not torch.allclose(a, b, rtol=1e-5)
                for a, b in zip(implicit(maps()), implicit(changed), strict=True)
            ]
            fell = [
                not torch.equal(a, b)
                for a, b in zip(top_down(maps()), top_down(changed), strict=True)
            ]
        assert moved == [True, True, True]
        assert fell == [level <= source for level in range(3)]


def test_samples_are_solved_apart_and_a_start_saves_evaluations() -> None:
    made = pyramid(tol=1e-9, max_iter=60)
    with torch.no_grad():
        together = made(maps())
        alone = made([each[1:] for each in maps()])
        for one, many in zip(alone, together, strict=True):
            torch.testing.assert_close(one[0], many[1], rtol=1e-6, atol=1e-8)
        first = made.solve(maps())
        again = made.solve(maps(), start=[each.detach() for each in together])
    assert first.converged.all()
    assert again.evaluations < first.evaluations / 3


def test_what_does_not_converge_is_said() -> None:
    made = pyramid(tol=1e-12, max_iter=2, strict=True)
    with pytest.raises(ConvergenceError):
        made(maps())
    broken = maps()
    broken[0][0, 0, 0, 0] = float("nan")
    with pytest.raises(ConvergenceError, match="non-finite"):
        pyramid(strict=True)(broken)


def test_copies_and_pickles() -> None:
    made = pyramid().eval()
    with torch.no_grad():
        wanted = made(maps())
        for other in (copy.deepcopy(made), pickle.loads(pickle.dumps(made))):
            assert all(torch.equal(a, b) for a, b in zip(other(maps()), wanted, strict=True))


def test_a_fixed_number_of_evaluations_exports() -> None:
    made = pyramid(solver="picard", tol=None, max_iter=3).eval()
    with torch.no_grad():
        program = torch.export.export(made, (maps(),))
        for ours, wanted in zip(program.module()(maps()), made(maps()), strict=True):
            torch.testing.assert_close(ours, wanted)


def test_bad_settings_are_named() -> None:
    with pytest.raises(ValueError, match="groups is 3"):
        ImplicitPyramid(CHANNELS, 8, groups=3)
    with pytest.raises(ValueError, match="blocks is 0"):
        ExplicitPyramid(CHANNELS, 8, blocks=0)
    with pytest.raises(ValueError, match=r"maps have \(4, 6\) channels; this pyramid takes"):
        TopDownPyramid(CHANNELS, 8)([each.float() for each in maps()[:2]])
    with pytest.raises(ValueError, match="extra -1"):
        TopDownPyramid(CHANNELS, 8, extra=-1)
    with pytest.raises(ValueError, match="levels is 0"):
        FusionCell(8, 0, groups=2)
