"""Predicted starts: values, statistics and closed-form heads."""

import dataclasses
from collections.abc import Callable

import pytest
import torch
from torch import nn
from torch.nn import functional

from nascence.core.resumable import CheckpointError
from nascence.data import Dataset
from nascence.design import network, recipe, stages, start
from nascence.design.families import cell_space, cells
from nascence.design.results import SearchResult, TrainingPlan
from nascence.design.run import Run
from nascence.graph import trace
from nascence.hypernet import GHN

CELL = "|nor_conv_3x3~0|+|none~0|nor_conv_3x3~1|+|skip_connect~0|none~1|nor_conv_3x3~2|"


@pytest.fixture
def searched(run_of: Callable[..., Run]) -> Callable[..., Run]:
    """Makes a run whose search is done."""

    def make(**settings: object) -> Run:
        run = run_of(**{"family": "cells", "steps": 6, **settings})
        architecture = cells.space_in(run).parse(CELL + ";width=4;cells=1")
        run.folder.finish("search", SearchResult(1.0, architecture, CELL, {}, 1.0, ()))
        return run

    return make


def small() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(3, 8, 3, bias=False),
        nn.BatchNorm2d(8),
        nn.ReLU(),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(8, 3),
    )


def pictures() -> tuple[torch.Tensor, torch.Tensor]:
    """Three classes of noise that is stronger in one channel."""
    generator = torch.Generator().manual_seed(1)
    labels = torch.arange(120) % 3
    images = torch.randn(120, 3, 8, 8, generator=generator)
    images[torch.arange(120), labels] += 1.0
    return images, labels


def test_values_are_predicted_and_the_model_stays(generator: torch.Generator) -> None:
    model, (images, labels) = small(), pictures()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    ghn = GHN.ghn2(classes=3)
    values = start.starting_values(
        model, images, labels, ghn=ghn, generator=generator, noise=0.0, head=False
    )
    with torch.no_grad():
        predicted = ghn([trace(model, images[:1])])[0]
    assert all(torch.equal(values[name], value) for name, value in predicted.items())
    assert values.keys() == before.keys()
    assert all(torch.equal(before[name], value) for name, value in model.state_dict().items())


@pytest.mark.parametrize("predicted", [False, True])
def test_statistics_are_those_of_the_images(generator: torch.Generator, predicted: bool) -> None:
    model, (images, labels) = small(), pictures()
    values = start.starting_values(
        model, images, labels, ghn=GHN.ghn2() if predicted else None, generator=generator,
        noise=0.01, head=False, batch_size=len(images),
    )  # fmt: skip
    if not predicted:
        assert torch.equal(values["0.weight"], model[0].weight)
    seen = functional.conv2d(images, values["0.weight"]).transpose(0, 1).flatten(1)
    assert torch.allclose(values["1.running_mean"], seen.mean(1), atol=1e-5)
    assert torch.allclose(values["1.running_var"], seen.var(1), rtol=1e-4)


def test_a_head_in_closed_form_learns_the_classes(generator: torch.Generator) -> None:
    model, (images, labels) = small(), pictures()
    for head, lowest, highest in ((True, 0.6, 1.0), (False, 0.0, 0.6)):
        values = start.starting_values(
            model, images, labels, ghn=GHN.ghn2(classes=3), generator=generator, noise=0.0,
            head=head,
        )  # fmt: skip
        model.load_state_dict(values)
        model.eval()
        with torch.no_grad():
            logits = model(images)
        share_right = (logits.argmax(1) == labels).float().mean()
        assert lowest <= share_right <= highest
        if head:
            loss = functional.cross_entropy(logits, labels)
            # neither flatter nor more certain would be better by much
            for factor in (0.5, 2.0):
                assert loss < functional.cross_entropy(factor * logits, labels) + 0.02


def test_a_head_from_three_images(generator: torch.Generator) -> None:
    model, (images, labels) = small(), pictures()
    values = start.starting_values(
        model, images[:3], labels[:3], ghn=None, generator=generator, noise=0.0, head=True
    )
    assert all(torch.isfinite(value).all() for value in values.values())


@pytest.mark.parametrize("block", sorted(cell_space.BLOCKS))
def test_begin_fills_the_network_of_every_block(searched: Callable[..., Run], block: str) -> None:
    run = searched(start="predicted", block=block)
    model = cells.Cells().build(run, run.needed("search", SearchResult))
    before = {name: value.clone() for name, value in model.state_dict().items()}
    begun, facts = start.begin(run, model)
    assert facts.images == len(run.data.train)
    assert 0 <= facts.accuracy <= 1
    assert all(torch.equal(value, model.state_dict()[name]) for name, value in before.items())
    filled = begun.state_dict()
    changed = [n for n, value in before.items() if not torch.equal(value, filled[n])]
    assert {name for name, _ in model.named_parameters() if name.endswith("weight")} <= set(changed)


def test_a_resumed_run_starts_from_the_same_values(
    searched: Callable[..., Run], monkeypatch: pytest.MonkeyPatch
) -> None:
    run = searched(start="predicted")
    found, space = run.needed("search", SearchResult), cells.space_in(run)
    models = [cell_space.build(space, found.architecture, seed=seed) for seed in (0, 1)]
    first, facts = start.begin(run, models[0])
    monkeypatch.setattr(start, "load", None)  # nothing is predicted again
    second, again = start.begin(run, models[1])
    assert again == facts
    for name, value in first.state_dict().items():
        assert torch.equal(value, second.state_dict()[name])
    with pytest.raises(CheckpointError, match="of another network"):
        start.begin(run, small())


def stopped_at(step: int, run: Run) -> Run:
    """The run, which is interrupted after a step."""
    seen = 0

    def progress(stage: str, fraction: float, message: str) -> None:
        nonlocal seen
        seen += 1
        if seen == step:
            raise KeyboardInterrupt

    return dataclasses.replace(run, progress=progress)


@pytest.mark.parametrize("optimizer", ["sgd", "adamw", "learned"])
@pytest.mark.parametrize("begin", ["random", "predicted"])
def test_interrupted_and_resumed_is_the_same_to_the_bit(
    searched: Callable[..., Run], optimizer: str, begin: str
) -> None:
    settings = {"start": begin, "optimizer": optimizer}
    calm, stormy = (searched(name=name, **settings) for name in ("calm", "stormy"))
    expected = stages.train_stage(calm)
    with pytest.raises(KeyboardInterrupt):
        stages.train_stage(stopped_at(3, stormy))
    found = stages.train_stage(stormy)
    assert found.accuracy == expected.accuracy
    assert (found.predicted is None) == (begin == "random")
    for point, other in zip(found.curve, expected.curve, strict=True):
        assert point._replace(seconds=0) == other._replace(seconds=0)
    weights = [
        network.load_trained(run.path / "checkpoints" / "trained.safetensors").state_dict()
        for run in (calm, stormy)
    ]
    for name, value in weights[0].items():
        assert torch.equal(value, weights[1][name]), name


def test_the_time_of_the_prediction_counts(
    searched: Callable[..., Run], monkeypatch: pytest.MonkeyPatch
) -> None:
    run = searched(start="predicted", steps=None)
    given = []

    def training_plan(
        model: nn.Module, data: Dataset, seconds: float, **settings: object
    ) -> TrainingPlan:
        given.append(seconds)
        return TrainingPlan(2, None)

    monkeypatch.setattr(recipe, "training_plan", training_plan)
    result = stages.train_stage(run)
    assert result.predicted is not None
    left = run.shares.search + run.shares.train - 1.0
    assert given == [pytest.approx(left - result.predicted.seconds)]
    assert result.seconds > result.predicted.seconds
