"""The book-keeping of a solve."""

import torch

from nascence.implicit.progress import Progress
from nascence.implicit.solution import Status


def test_the_best_iterate_is_kept_for_each_sample() -> None:
    zero = torch.zeros(2, 1)
    progress = Progress(zero, tol=1e-3, max_iter=3, norm="absolute")
    gaps = [[1.0, 1.0], [0.1, 2.0], [0.5, 0.7]]
    for step, gap in enumerate(gaps):
        z = torch.full((2, 1), float(step))
        over = progress.record(z, z + torch.tensor(gap)[:, None], torch.tensor(gap)[:, None])
        assert over == (step == 2)
    found = progress.solution()
    assert found.state.flatten().tolist() == [1.0, 2.0]
    assert torch.allclose(found.residuals, torch.tensor([0.1, 0.7]))
    assert found.status.tolist() == [Status.STALLED] * 2


def test_a_stall_ends_a_sample_before_the_budget() -> None:
    progress = Progress(torch.zeros(1, 1), tol=1e-9, max_iter=1000, norm="absolute")
    one = torch.ones(1, 1)
    while not progress.record(one, 2 * one, one):
        pass
    assert progress.evaluations < 40
    assert progress.solution().status.item() == Status.STALLED


def test_a_zero_state_of_a_zero_map_has_converged() -> None:
    progress = Progress(torch.zeros(1, 1), tol=1e-9, max_iter=5, norm="relative")
    assert progress.record(torch.zeros(1, 1), torch.zeros(1, 1), torch.zeros(1, 1))
    assert progress.solution().converged.all()
