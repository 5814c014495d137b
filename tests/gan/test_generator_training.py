"""Training one generator: where it goes, and that it goes on as if nothing had been."""

from pathlib import Path

import pytest
import torch

from nascence.core.resumable import CheckpointError
from nascence.data import Dataset, Split
from nascence.gan import generate, latents, train_generator
from nascence.gan.generator_training import TrainedGenerator
from nascence.spaces import GeneratorSpace
from nascence.training import DivergenceError

SPACE = GeneratorSpace(stages=2, width=4, latent=6)
PATH = (1, 1, 1, 1, 0, 0, 2, 0, 1)


def trained(data: Dataset, seed: int = 0, **settings) -> TrainedGenerator:
    tiny = {"batch_size": 8, "generated": 8, "critic_steps": 2, "discriminator_width": 4}
    return train_generator(
        SPACE, PATH, data, generator=torch.Generator().manual_seed(seed), **(tiny | settings)
    )


def weights(result: TrainedGenerator) -> torch.Tensor:
    states = (result.generator.state_dict(), result.discriminator.state_dict())
    return torch.cat([each.flatten().double() for state in states for each in state.values()])


def test_a_generator_learns_the_shade_of_constant_images(brightness: Dataset) -> None:
    grey = Split(torch.full((32, 3, 8, 8), 204, dtype=torch.uint8), torch.arange(32) % 2)
    data = Dataset(**{**vars(brightness), "train": grey})
    space = GeneratorSpace(stages=1, width=8, latent=4)
    path = space.parse("1 0 1 1")
    result = train_generator(
        space,
        path,
        data,
        generator=torch.Generator().manual_seed(0),
        steps=40,
        batch_size=8,
        generated=8,
        critic_steps=1,
        rates=(1e-2, 1e-2),
        average_decay=0.9,
        discriminator_width=4,
    )
    vectors = latents(space, 64, generator=torch.Generator().manual_seed(1))
    with torch.random.fork_rng():
        torch.manual_seed(0)
        before = generate(space.build(path), vectors)
    after = generate(result.generator, vectors)
    assert abs(float(before.mean()) - 0.6) > 0.4
    assert abs(float(after.mean()) - 0.6) < 0.1
    assert len(result.losses) == 40
    assert all(each.generator is not None for each in result.losses)


def test_the_generator_moves_at_every_nth_step(shades: Dataset) -> None:
    result = trained(shades, steps=7, critic_steps=3)
    moved = [each.generator is not None for each in result.losses]
    assert moved == [False, False, True, False, False, True, False]


def test_an_interrupted_training_goes_on_exactly(shades: Dataset, tmp_path: Path) -> None:
    whole = trained(shades, steps=8)
    done = []

    def interrupt(fraction: float) -> None:
        done.append(fraction)
        if len(done) == 5:
            raise KeyboardInterrupt

    path = tmp_path / "generator.pt"
    with pytest.raises(KeyboardInterrupt):
        trained(shades, steps=8, checkpoint=path, progress=interrupt)
    resumed = trained(shades, steps=8, checkpoint=path)
    assert torch.equal(weights(resumed), weights(whole))
    assert resumed.losses == whole.losses
    finished = trained(shades, steps=8, checkpoint=path, progress=interrupt)
    assert torch.equal(weights(finished), weights(whole))
    assert done == [1 / 8, 2 / 8, 3 / 8, 4 / 8, 5 / 8]
    assert not torch.equal(weights(trained(shades, seed=1, steps=8)), weights(whole))
    with pytest.raises(CheckpointError, match="of another training: its steps is 8, not 9"):
        trained(shades, steps=9, checkpoint=path)


def test_a_time_limit_ends_it(shades: Dataset) -> None:
    result = trained(shades, seconds=0.2)
    assert result.seconds >= 0.2
    assert result.losses


def test_without_an_average_the_weights_are_the_last(shades: Dataset) -> None:
    """A decay of 0 leaves nothing of the weights before; the rate of the last step is not 0."""
    plain, averaged = trained(shades, steps=4, average_decay=0.0), trained(shades, steps=4)
    first, second = (each.generator.state_dict() for each in (plain, averaged))
    assert plain.losses == averaged.losses
    assert any(not torch.equal(first[name], second[name]) for name in first)


def test_images_in_pieces_are_those_of_each_piece() -> None:
    vectors = torch.randn(600, 6)
    seen = []

    def network(part: torch.Tensor) -> torch.Tensor:
        seen.append(len(part))
        return part.view(-1, 6, 1, 1)

    assert torch.equal(generate(network, vectors).flatten(1), vectors)
    assert seen == [250, 250, 100]


@pytest.mark.parametrize(
    "settings",
    [{}, {"steps": 0}, {"seconds": 0.0}, {"steps": 1, "batch_size": 1},
     {"steps": 1, "rates": (0, 1)}, {"steps": 1, "critic_steps": 0}],
)  # fmt: skip
def test_impossible_settings(shades: Dataset, settings) -> None:
    with pytest.raises(ValueError, match=r"give|must be positive"):
        trained(shades, **settings)


def test_images_of_another_side_and_losses_that_overflow(
    shades: Dataset, brightness: Dataset
) -> None:
    with pytest.raises(ValueError, match="those of the generators 16x16"):
        trained(brightness, steps=1)
    with pytest.raises(DivergenceError, match="became"):
        trained(shades, steps=20, rates=(1e30, 1e30), critic_steps=1)
