"""The step in pieces against the perceptron with every input written out."""

import pytest
import torch
from torch import Tensor

from nascence.optim import perceptron
from nascence.optim.perceptron import (
    PerceptronWeights,
    Pieces,
    adam_step,
    averaged,
    random_perceptron,
    room_for,
)


class Own(Pieces):
    planes = 2
    decays = (0.5, 0.9)
    second_decays = (0.999,)

    def fill(self, piece: slice, room: Tensor) -> list[Tensor]:
        room[0].copy_(self.grad[piece]).clamp_(-self.limit, self.limit)
        room[1].copy_(self.value[piece])
        return [self.averages[0][0][:, piece]]


@pytest.mark.parametrize("piece", [7, 8192])
@torch.no_grad()
def test_pieces_agree_with_everything_written_out(
    piece: int, generator: torch.Generator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(perceptron, "PIECE", piece)
    grad, value = torch.randn(2, 6, 5, generator=generator)
    momenta = torch.randn(2, 6, 5, generator=generator)
    seconds = torch.rand(1, 6, 5, generator=generator)
    shared, step = torch.randn(4, generator=generator), torch.tensor(3.0)
    network = PerceptronWeights(
        **dict(random_perceptron(8, 6, 5, nominal=None, generator=generator).items())
    )
    clipped = grad.clamp(-1, 1)
    moved = averaged(momenta, clipped, Own.decays)
    second = averaged(seconds, clipped * clipped, Own.second_decays)
    inputs = torch.stack([x.flatten() for x in (clipped, value, *moved)], 1)
    out = perceptron.forward(
        network, torch.cat([perceptron.normalised(inputs), shared.expand(30, 4)], 1)
    )
    learned = perceptron.learned_step(out, 0.1).reshape(6, 5)
    expected = value + 0.5 * (learned + adam_step(moved[1], second[0], step, 0.2))

    room = room_for(2, network, [30])
    pieces = Own(grad, value, momenta, seconds, step=step, limit=1.0, room=room)
    sums, squares = pieces.sums()
    mean = pieces.step_(network, shared, squares, scale=0.1, rate=0.5, nominal=0.2)
    torch.testing.assert_close((momenta, seconds), (moved, second))
    torch.testing.assert_close(sums, inputs.sum(0))
    torch.testing.assert_close(squares, inputs.square().sum(0))
    torch.testing.assert_close(mean, out.mean(0))
    torch.testing.assert_close(value, expected)


def test_a_step_is_bounded() -> None:
    out = torch.tensor([[1e30, 1e30], [-1e30, -1e30]])
    assert torch.isfinite(perceptron.learned_step(out, 1e-3)).all()
