"""Training of supernets against a plain loop, and its resumption."""

import copy
import math
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from nascence import training
from nascence.core.resumable import CheckpointError
from nascence.data import Dataset
from nascence.spaces import Architecture, ElasticMobile, Stage
from nascence.supernets import (
    ElasticSuperNet,
    SuperNet,
    WeightSharing,
    fair_paths,
    split,
    train_sub_supernets,
    train_supernet,
)
from nascence.supernets.training import fingerprint, path_cross_entropy

PATHS: list[Architecture] = [(2, 1, 3, 5), (4, 0, 1, 3)]
train = partial(train_supernet, batch_size=16, crop=0, flip=False)


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def same(first: SuperNet, second: SuperNet) -> bool:
    one, other = first.state_dict(), second.state_dict()
    return one.keys() == other.keys() and all(torch.equal(one[key], other[key]) for key in one)


def test_a_step_adds_up_the_gradients_of_its_paths(supernet: SuperNet, brightness: Dataset) -> None:
    """Against SGD with Nesterov momentum written out, on full batches of known paths."""

    def sampler(*_: object, generator: torch.Generator) -> list[Architecture]:
        return PATHS

    found = train_supernet(
        supernet,
        brightness,
        generator=seeded(),
        steps=3,
        sampler=sampler,
        batch_size=64,
        crop=0,
        flip=False,
        clip=None,
        learning_rate=0.1,
        final_learning_rate=0.02,
        weight_decay=0.0,
    )
    own = copy.deepcopy(supernet)
    images, labels = brightness.normalise(brightness.train.images), brightness.train.labels
    velocity = {name: torch.zeros_like(value) for name, value in own.named_parameters()}
    for step in range(3):
        loss = sum(functional.cross_entropy(own(images, path), labels) for path in PATHS)
        own.zero_grad()
        loss.backward()
        rate = 0.02 + 0.08 * 0.5 * (1 + math.cos(math.pi * step / 3))
        with torch.no_grad():
            for name, parameter in own.named_parameters():
                if parameter.grad is not None:
                    velocity[name] = 0.9 * velocity[name] + parameter.grad
                    parameter -= rate * (parameter.grad + 0.9 * velocity[name])
    expected = own.state_dict()
    for name, value in found.supernet.state_dict().items():
        torch.testing.assert_close(value, expected[name], rtol=1e-3, atol=1e-5)
    assert found.steps == 3
    assert found.seconds > 0


def test_weights_off_the_paths_stay_and_the_supernet_is_untouched(
    supernet: SuperNet, brightness: Dataset
) -> None:
    before = copy.deepcopy(supernet)

    def sampler(*_: object, generator: torch.Generator) -> list[Architecture]:
        return [(2, 1, 3, 5)]

    trained = train(supernet, brightness, generator=seeded(), steps=2, sampler=sampler).supernet
    assert same(supernet, before)
    for mixed, old in zip(trained.operations(), before.operations(), strict=True):
        chosen = str((2, 1, 3, 5)[mixed.place % 4])
        for key, candidate in mixed.candidates.items():
            pairs = zip(candidate.parameters(), old.candidates[key].parameters(), strict=True)
            assert all(torch.equal(one, other) == (key != chosen) for one, other in pairs)


@pytest.mark.parametrize("sampler", [None, fair_paths])
def test_a_trained_supernet_ranks_what_can_see_above_what_cannot(
    supernet: SuperNet, brightness: Dataset, sampler: object
) -> None:
    settings = {} if sampler is None else {"sampler": sampler}
    trained = train(
        supernet, brightness, generator=seeded(), steps=40, learning_rate=0.05, **settings
    ).supernet
    images, labels = brightness.normalise(brightness.train.images), brightness.train.labels
    with torch.no_grad():
        seeing = (trained(images, (3, 3, 1, 1)).argmax(1) == labels).float().mean()
        blind = (trained(images, (0, 0, 0, 0)).argmax(1) == labels).float().mean()
    assert blind == 0.5
    assert seeing > 0.9


def interrupt(step: int):
    calls = []

    def progress(*_: object) -> None:
        calls.append(1)
        if len(calls) == step:
            raise KeyboardInterrupt

    return progress


def test_resumed_training_is_bit_equal(
    supernet: SuperNet, brightness: Dataset, tmp_path: Path
) -> None:
    path = tmp_path / "supernet.pt"
    settings = {"steps": 7, "sampler": fair_paths}
    whole = train(supernet, brightness, generator=seeded(), **settings)
    with pytest.raises(KeyboardInterrupt):
        train(
            supernet,
            brightness,
            generator=seeded(),
            checkpoint=path,
            progress=interrupt(3),
            **settings,
        )
    resumed = train(supernet, brightness, generator=seeded(), checkpoint=path, **settings)
    assert same(whole.supernet, resumed.supernet)
    assert resumed.steps == 7
    again = train(supernet, brightness, generator=seeded(), checkpoint=path, **settings)
    assert again.seconds == resumed.seconds


def test_checkpoints_of_another_supernet_are_refused(
    supernet: SuperNet, brightness: Dataset, tmp_path: Path
) -> None:
    path = tmp_path / "supernet.pt"
    train(supernet, brightness, generator=seeded(), steps=1, checkpoint=path)
    part = split(supernet, ["edge_0_1"])[0]
    other = copy.deepcopy(supernet)
    with torch.no_grad():
        next(other.parameters()).add_(1)
    before = path.read_bytes()
    for model, message in ((part, "its choices is"), (other, "its initial weights is")):
        with pytest.raises(CheckpointError, match=message):
            train(model, brightness, generator=seeded(), steps=1, checkpoint=path)
    assert path.read_bytes() == before


def test_time_ends_a_training(supernet: SuperNet, brightness: Dataset) -> None:
    found = train(supernet, brightness, generator=seeded(), seconds=0.2)
    assert 0.2 <= found.seconds < 10
    assert found.steps > 0


def test_leaves_are_the_same_for_any_number_of_processes(
    supernet: SuperNet, brightness: Dataset, tmp_path: Path
) -> None:
    """In two processes one is read, one goes on from its checkpoint, and one is new."""
    sub_supernets = split(supernet, {"edge_0_1": [(0, 1), (2, 3), (4, 5)]})
    settings = {"seed": 5, "steps": 4, "batch_size": 16, "crop": 1}
    alone = train_sub_supernets(sub_supernets, brightness, **settings)
    assert [sub_supernet.supernet.choices for sub_supernet in alone] == [
        sub_supernet.choices for sub_supernet in sub_supernets
    ]
    train_sub_supernets(sub_supernets[:1], brightness, out=tmp_path, **settings)
    with pytest.raises(KeyboardInterrupt):
        train_sub_supernets(
            sub_supernets[1:2], brightness, out=tmp_path, progress=interrupt(2), **settings
        )
    assert len(list(tmp_path.iterdir())) == 2
    found = train_sub_supernets(sub_supernets, brightness, out=tmp_path, workers=2, **settings)
    assert len(list(tmp_path.iterdir())) == 3
    for one, other in zip(alone, found, strict=True):
        assert same(one.supernet, other.supernet)
        assert one.steps == other.steps == 4


def test_fingerprint_tells_weights_apart(supernet: SuperNet) -> None:
    other = copy.deepcopy(supernet)
    assert fingerprint(supernet) == fingerprint(other)
    with torch.no_grad():
        next(other.parameters())[0] += 1e-6
    assert fingerprint(supernet) != fingerprint(other)
    assert fingerprint(supernet) != fingerprint(split(supernet, ["edge_0_1"])[0])


def test_impossible_settings_are_named(supernet: SuperNet, brightness: Dataset) -> None:
    with pytest.raises(ValueError, match="learning rates go from"):
        train(supernet, brightness, generator=seeded(), steps=1, final_learning_rate=1.0)
    for sub_supernets in ([], [supernet, supernet]):
        with pytest.raises(ValueError, match="one or more with different choices"):
            train_sub_supernets(sub_supernets, brightness, seed=0, steps=1)
    with pytest.raises(ValueError, match="workers is 0"):
        train_sub_supernets([supernet], brightness, seed=0, steps=1, workers=0)


def test_objective_and_facts_of_the_one_loop(brightness: Dataset, tmp_path: Path) -> None:
    """What ``nascence.training.train`` gained for supernets."""
    model = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(192, 2))
    calls = []

    def objective(
        model: torch.nn.Module, images: torch.Tensor, labels: torch.Tensor
    ) -> torch.Tensor:
        calls.append(float(torch.rand(())))
        return model(images).square().mean()

    settings = {"optimizer": training.sgd(0.1), "steps": 3, "batch_size": 8, "measurements": 0}
    path = tmp_path / "state.pt"
    for _ in range(2):
        result = training.train(
            model, brightness, generator=seeded(), objective=objective, **settings
        )
        assert result.curve == ()
    assert calls[:3] == calls[3:]
    assert len(set(calls)) == 3
    training.train(
        model, brightness, generator=seeded(), checkpoint=path, facts={"kind": "a"}, **settings
    )
    with pytest.raises(CheckpointError, match="its kind is 'a', not 'b'"):
        training.train(
            model, brightness, generator=seeded(), checkpoint=path, facts={"kind": "b"}, **settings
        )


def test_another_loss_takes_the_paths_of_a_step(supernet: SuperNet, brightness: Dataset) -> None:
    seen: list[list[Architecture]] = []

    def loss(
        model: WeightSharing, images: Tensor, labels: Tensor, paths: Sequence[Architecture]
    ) -> Tensor:
        seen.append(list(paths))
        return 2 * path_cross_entropy(model, images, labels, paths)

    settings = {"steps": 2, "sampler": fair_paths, "weight_decay": 0.0, "clip": None}
    doubled = train(
        supernet, brightness, generator=seeded(), loss=loss, learning_rate=0.01,
        final_learning_rate=0.01, **settings,
    )  # fmt: skip
    plain = train(
        supernet, brightness, generator=seeded(), learning_rate=0.02, final_learning_rate=0.02,
        **settings,
    )  # fmt: skip
    assert [len(paths) for paths in seen] == [6, 6]
    for name, value in doubled.supernet.state_dict().items():
        torch.testing.assert_close(value, plain.supernet.state_dict()[name])


def test_checkpoints_of_large_spaces_have_names_that_file_systems_allow(
    brightness: Dataset, tmp_path: Path
) -> None:
    space = ElasticMobile(
        classes=2, stages=(Stage(8, 2),) * 5, resolutions=tuple(range(6, 31)), final=8, last=8
    )
    parts = split(ElasticSuperNet(space), {"stage_1_depth": [(0, 1), (2,)]})
    train_sub_supernets(parts, brightness, seed=0, out=tmp_path, steps=1, batch_size=4)
    names = [path.name for path in tmp_path.iterdir()]
    assert len(set(names)) == 2
    assert max(map(len, names)) < 60
