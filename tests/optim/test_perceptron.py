import pytest
import torch

from nascence.optim import perceptron
from nascence.optim.feed_forward import random_perceptron
from nascence.optim.perceptron import Perceptron, Pieces, room_for


@pytest.mark.parametrize("piece", [7, 8192])
def test_pieces_agree_with_everything_written_out(
    piece: int, generator: torch.Generator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(perceptron, "PIECE", piece)
    size, shared = 30, torch.randn(4, generator=generator)
    planes = torch.randn(2, size, generator=generator)
    elsewhere = torch.randn(3, size, generator=generator)
    network = Perceptron(**random_perceptron(9, 6, 5, None, generator))
    moved = []

    def fill(part: slice, room: torch.Tensor) -> list[torch.Tensor]:
        room.copy_(planes[:, part])
        return [elsewhere[:, part]]

    room = room_for(2, 6, [size], torch.device("cpu"))
    pieces = Pieces(fill, planes=2, hidden=6, size=size, room=room)
    sums, squares = pieces.sums(lambda part: moved.append(part))
    target = torch.zeros(size)
    mean = pieces.step_(
        *(network, shared, squares, target),
        scale=0.1,
        rate=0.5,
        nominal=lambda part, room: room[0].fill_(3.0),
    )
    inputs = torch.cat([planes, elsewhere]).t()
    torch.testing.assert_close(sums, inputs.sum(0))
    torch.testing.assert_close(squares, inputs.square().sum(0))
    assert sum(part.stop - part.start for part in moved) == size
    flat = torch.cat([perceptron.normalised(inputs), shared.expand(size, 4)], 1)
    out = perceptron.forward(network, flat)
    torch.testing.assert_close(mean, out.mean(0))
    expected = 0.5 * (perceptron.learned_step(out, 0.1) + 3)
    torch.testing.assert_close(target, expected)


def test_a_step_is_bounded() -> None:
    out = torch.tensor([[1e30, 1e30], [-1e30, -1e30]])
    assert torch.isfinite(perceptron.learned_step(out, 1e-3)).all()
