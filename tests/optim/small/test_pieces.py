"""The averages and sums of a pass against those of the whole tensor, in every cut."""

import pytest
import torch

from nascence.optim.small import pieces as small_pieces
from nascence.optim.small.compiled import Loops
from nascence.optim.small.network import Decays
from nascence.optim.small.pieces import Passes, Pieces, Work


@pytest.mark.parametrize("piece", [24_576, 50, 7, None])
@pytest.mark.parametrize("shape", [(6, 9), (1, 300), (40, 11)])
def test_moments_move_and_sums_add_up(
    shape: tuple[int, int],
    piece: int | None,
    generator: torch.Generator,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    count, (rows, columns) = 3, shape
    grad, value = (torch.randn(count, rows, columns, generator=generator) for _ in range(2))
    momenta = torch.randn(count, 3, rows, columns, generator=generator)
    second = 0.1 + torch.rand(count, rows, columns, generator=generator)
    decays = Decays(*(torch.rand(count, *s, generator=generator) for s in ((3,), (), (3,))))
    new, new_second = momenta.clone(), second.clone()
    work = Work(grad, value, new, new_second)
    if piece is not None:
        monkeypatch.setattr(small_pieces, "PIECE", piece)
    passes: Passes = Loops(work, hidden=4) if piece is None else Pieces(work, hidden=4)
    sums = passes.moments(decays)
    torch.testing.assert_close(
        new, torch.lerp(momenta, grad[:, None].expand_as(new), decays.momenta[..., None, None])
    )
    torch.testing.assert_close(
        new_second, second + decays.second[:, None, None] * (grad.square() - second)
    )
    inverse = new_second.rsqrt()
    inputs = [grad, value, new_second.sqrt(), inverse, *new.unbind(1)]
    inputs += [x * inverse for x in new.unbind(1)]
    expected = torch.stack([x.square().sum((1, 2)) for x in inputs], 1)
    torch.testing.assert_close(sums.squares, expected, rtol=1e-5, atol=1e-5)
    if rows > 1:
        assert sums.by_row is not None
        assert sums.by_column is not None
        torch.testing.assert_close(sums.by_row, grad.square().sum(2))
        torch.testing.assert_close(sums.by_column, grad.square().sum(1))
    else:
        assert sums.by_row is None
