"""The training loop against a plain one; resumed trainings are bit-equal."""

from pathlib import Path

import pytest
import torch
from torch import nn
from torch.nn import functional

from nascence.core.resumable import CheckpointError
from nascence.training import adamw, cosine, loop, sgd, train


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def test_equals_a_plain_loop_on_full_batches(bright_or_dark, network) -> None:
    data, model = bright_or_dark(), network()
    result = train(
        model,
        data,
        optimizer=sgd(0.1, weight_decay=0.01),
        generator=seeded(),
        steps=6,
        batch_size=len(data.train),
        label_smoothing=0.1,
        crop=0,
        flip=False,
    )
    reference = network().train()
    decayed = [p for p in reference.parameters() if p.ndim > 1]
    others = [p for p in reference.parameters() if p.ndim <= 1]
    optimizer = torch.optim.SGD(
        [{"params": decayed, "weight_decay": 0.01}, {"params": others}],
        lr=0.1,
        momentum=0.9,
        nesterov=True,
    )
    for step in range(6):
        for group in optimizer.param_groups:
            group["lr"] = 0.1 * cosine(step / 6)
        outputs = reference(data.normalise(data.train.images))
        loss = functional.cross_entropy(outputs, data.train.labels, label_smoothing=0.1)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    for ours, theirs in zip(result.model.parameters(), reference.parameters(), strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-6)


def test_learns_and_leaves_everything_else_alone(bright_or_dark, network) -> None:
    data, model = bright_or_dark(), network(dropout=0.1)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    random_state = torch.get_rng_state()
    result = train(model, data, optimizer=sgd(0.1), generator=seeded(), steps=40, batch_size=16)
    assert result.curve[-1].accuracy == 1.0
    assert (result.steps, result.stopped_by) == (40, "steps")
    assert len(result.curve) == 20
    assert torch.equal(random_state, torch.get_rng_state())
    assert all(torch.equal(before[name], value) for name, value in model.state_dict().items())


@pytest.mark.parametrize("optimizer", [sgd(0.1), adamw(1e-3)])
@pytest.mark.parametrize("interrupted_at", [1, 7, 19])
def test_resumed_training_is_bit_equal(
    tmp_path: Path, optimizer, interrupted_at: int, bright_or_dark, network
) -> None:
    data, model = bright_or_dark(), network(dropout=0.3)

    def run(checkpoint: Path | None, progress=None):
        return train(
            model,
            data,
            optimizer=optimizer,
            generator=seeded(3),
            steps=20,
            batch_size=24,
            average_decay=0.9,
            cutout=2,
            measurements=5,
            checkpoint=checkpoint,
            progress=progress,
        )

    calls = 0

    def interrupt(fraction: float, measured: object) -> None:
        nonlocal calls
        calls += 1
        if calls == interrupted_at:
            raise KeyboardInterrupt

    undisturbed = run(None)
    path = tmp_path / "train.pt"
    with pytest.raises(KeyboardInterrupt):
        run(path, interrupt)
    resumed = run(path)
    for name, value in undisturbed.model.state_dict().items():
        assert torch.equal(value, resumed.model.state_dict()[name]), name
    assert [(p.step, p.train_loss, p.accuracy) for p in undisturbed.curve] == [
        (p.step, p.train_loss, p.accuracy) for p in resumed.curve
    ]
    again = run(path, lambda *_: pytest.fail("a finished training took another step"))
    assert torch.equal(again.model[0].weight, resumed.model[0].weight)


def test_checkpoint_of_another_training_is_refused(tmp_path: Path, bright_or_dark, network) -> None:
    data, path = bright_or_dark(), tmp_path / "train.pt"
    settings = {"optimizer": sgd(0.1), "batch_size": 16, "checkpoint": path}
    train(network(), data, generator=seeded(), steps=2, **settings)
    with pytest.raises(CheckpointError, match="another training: its seed"):
        train(network(), data, generator=seeded(1), steps=2, **settings)
    with pytest.raises(CheckpointError, match="its steps is 2, not 3"):
        train(network(), data, generator=seeded(), steps=3, **settings)


def test_time_budget_brings_the_schedule_to_its_end(bright_or_dark, network) -> None:
    seen = []

    def schedule(fraction: float) -> float:
        seen.append(fraction)
        return cosine(fraction)

    result = train(
        network(),
        bright_or_dark(),
        optimizer=sgd(0.01),
        generator=seeded(),
        seconds=0.5,
        batch_size=16,
        schedule=schedule,
        measurements=2,
    )
    assert result.stopped_by == "seconds"
    assert 0.5 <= result.seconds < 5
    assert seen == sorted(seen)
    assert 0.8 < seen[-1] < 1


def test_images_are_scaled_as_asked(bright_or_dark) -> None:
    class Sides(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.seen: list[int] = []
            self.linear = nn.Linear(3, 2)

        def forward(self, images: torch.Tensor) -> torch.Tensor:
            if self.training:
                self.seen.append(images.shape[-1])
            return self.linear(images.mean((2, 3)))

    result = train(
        Sides(),
        bright_or_dark(),
        optimizer=sgd(0.1),
        generator=seeded(),
        steps=4,
        batch_size=16,
        resolution_schedule=lambda fraction: 4 if fraction < 0.5 else 8,
    )
    assert result.model.seen == [4, 4, 8, 8]


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({}, "neither steps nor seconds"),
        ({"steps": 0}, "steps=0"),
        ({"seconds": -1.0}, "seconds=-1.0"),
        ({"steps": 1, "batch_size": 1}, "batch_size=1"),
        ({"steps": 1, "measurements": -1}, "measurements=-1"),
    ],
)
def test_impossible_settings(settings, message: str, bright_or_dark, network) -> None:
    with pytest.raises(ValueError, match=message):
        train(network(), bright_or_dark(), optimizer=sgd(0.1), generator=seeded(), **settings)


def test_every_epoch_shows_each_image_once_in_an_order_of_its_own(bright_or_dark) -> None:
    data = bright_or_dark(64)

    def epoch(number: int, seed: int) -> list[int]:
        found = [loop._places_of(data, 4 * number + k, 16, seed, 0.0) for k in range(4)]
        return torch.cat(found).tolist()

    assert sorted(epoch(0, 7)) == list(range(64))
    assert epoch(0, 7) == epoch(0, 7)
    assert epoch(0, 7) != epoch(1, 7)
    assert epoch(0, 7) != epoch(0, 8)
    assert sorted(epoch(0, 7)) == sorted(epoch(1, 7))


def test_soft_labels_take_the_place_of_labels(bright_or_dark, network) -> None:
    """Those of certainty are the labels; those of the other class teach the opposite."""
    data = bright_or_dark(64)
    certain = torch.eye(2)[data.train.labels]
    ends = []
    for soft in (None, certain, 1 - certain):
        found = train(
            network(), data, optimizer=sgd(0.1), generator=seeded(), steps=30, soft_labels=soft
        )
        ends.append(found.curve[-1].accuracy)
    assert ends[0] == ends[1] > 0.9
    assert ends[2] < 0.1
