"""The shared weights: what moves in which stage, and when they are drawn anew."""

import copy
from collections import deque

import torch
from torch import Tensor

from nascence.data import Dataset
from nascence.gan.settings import GanSettings
from nascence.gan.shared import SharedGan
from nascence.supernets import SuperNet

FIRST, BOTH = (1, 1, 1, 1), (1, 1, 1, 1, 0, 0, 2, 1, 1)


def shared_of(supernet: SuperNet, data: Dataset, **settings) -> SharedGan:
    made = GanSettings(
        round_steps=3,
        controller_steps=0,
        samples=1,
        controller_rate=1e-2,
        entropy=0.0,
        baseline_decay=0.9,
        hidden=6,
        candidates=2,
        kept=1,
        images=12,
        batch_size=6,
        generated=4,
        critic_steps=2,
        rates=(1e-3, 1e-3),
        discriminator_width=4,
        grow=(0.5,),
        **({"reset_window": 500, "reset_variance": 1e-3} | settings),
    )
    return SharedGan(supernet, data, made, seed=5, device=torch.device("cpu"))


def state_of(gan: SharedGan) -> dict[str, Tensor]:
    return {name: value.clone() for name, value in gan.supernet.state_dict().items()}


def moved(gan: SharedGan, before: dict[str, Tensor]) -> set[str]:
    return {name for name, value in state_of(gan).items() if not torch.equal(value, before[name])}


def test_the_weights_of_the_path_move_and_later_cells_rest(
    shades: Dataset, generators: SuperNet
) -> None:
    gan = shared_of(generators, shades)
    assert gan.real.batch(0).shape[-1] == 8
    before = state_of(gan)
    for _ in range(4):
        gan.advance(lambda: FIRST)
    names = moved(gan, before)
    assert {"network.image.weight", "network.latent.linear.weight"} <= names
    assert "network.cells.0.convolutions.0.candidates.1.weight" in names
    assert not any("convolutions.0.candidates.0." in name for name in names)
    assert not any(".cells.1." in name for name in names)
    gan.enter(2)
    assert gan.real.batch(0).shape[-1] == 16
    before = state_of(gan)
    for _ in range(4):
        gan.advance(lambda: BOTH)
    names = moved(gan, before)
    assert "network.cells.1.convolutions.1.candidates.0.weight" in names
    assert "network.cells.1.skips.candidates.1.kernels.0.weight" in names


def test_the_generator_moves_at_every_second_step(shades: Dataset, generators: SuperNet) -> None:
    gan = shared_of(generators, shades)
    for step in range(1, 5):
        before = state_of(gan)
        judge = [each.detach().clone() for each in gan.pair.discriminator.parameters()]
        gan.advance(lambda: FIRST)
        assert bool(moved(gan, before)) == (step % 2 == 0)
        after = list(gan.pair.discriminator.parameters())
        assert any(not torch.equal(a, b) for a, b in zip(judge, after, strict=True))
    discriminator, generator = gan.means()
    assert generator is not None
    assert discriminator == sum(gan.windows[0]) / 4
    assert generator == sum(gan.windows[1]) / 2


def test_weights_are_drawn_anew_when_losses_stand_still(
    shades: Dataset, generators: SuperNet
) -> None:
    gan = shared_of(generators, shades, reset_window=4, reset_variance=1e9)
    before, bias = state_of(gan), gan.view.get_parameter("network.image.bias")
    for step in range(8):
        gan.advance(lambda: FIRST)
        assert gan.resets == (step + 1) // 4
    assert len(gan.windows[0]) == 0
    fresh = state_of(gan)
    name = "network.cells.1.convolutions.0.candidates.0.weight"  # was never trained
    assert not torch.equal(fresh[name], before[name])
    assert not gan.pair.optimizers[0].state
    assert gan.supernet.get_parameter("network.image.bias") is bias
    again = shared_of(generators, shades, reset_window=4, reset_variance=1e9)
    for _ in range(8):
        again.advance(lambda: FIRST)
    assert not moved(again, fresh)


def test_the_variance_of_a_window_decides(shades: Dataset, generators: SuperNet) -> None:
    gan = shared_of(generators, shades, reset_window=4, reset_variance=0.02)
    assert not gan._still(deque([1.0, 1.0, 1.0], maxlen=4))
    assert gan._still(deque([1.0, 1.2, 1.0, 1.2], maxlen=4))  # variance 0.01
    assert not gan._still(deque([1.0, 1.4, 1.0, 1.4], maxlen=4))  # 0.04


def test_state_goes_over(shades: Dataset, generators: SuperNet) -> None:
    gan = shared_of(generators, shades)
    gan.advance(lambda: FIRST)
    gan.enter(2)
    gan.advance(lambda: BOTH)
    other = shared_of(generators, shades)
    other.load(copy.deepcopy(gan.state()))  # which refers to what moves on
    assert (other.stage, other.step) == (2, 2)
    for each in (gan, other):
        for _ in range(2):
            each.advance(lambda: BOTH)
    assert not moved(other, state_of(gan))
    assert other.means() == gan.means()
