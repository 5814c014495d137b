"""Short trainings compare on images that they were not trained on, and go on from one another."""

from collections.abc import Callable

import pytest
import torch

from nascence.data import Dataset
from nascence.design.families import halving
from nascence.design.families.staged_cost import space_of
from nascence.design.families.staged_designs import hand_designs
from nascence.design.run import Run


def of(run: Run) -> halving.Halving:
    space = space_of(run.data.image_shape, classes=run.data.classes)
    names = tuple(map(space.format, hand_designs(space)[:3]))
    rounds = halving.Rounds(
        names, mutants=0, first=0.25, second=0.5, seconds=10.0, precision="float32"
    )
    return halving.Halving(run, space, rounds, steps_of=lambda _: 8)


def test_images_held_out_are_not_trained_on(noise: Dataset) -> None:
    found = halving.held_out(noise, generator=torch.Generator().manual_seed(0))
    held, kept = found.validation.images, found.train.images
    assert len(held) == int(halving.HELD_OUT * 30)
    assert len(torch.cat([held, kept]).unique(dim=0)) == len(held) + len(kept) == 30
    assert found.fingerprint != noise.fingerprint


def test_few_images_are_kept_in_memory(noise: Dataset, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(halving, "BYTES", 10 * 3 * 8 * 8)
    found = halving.held_out(noise, generator=torch.Generator().manual_seed(0))
    assert len(found.train) + len(found.validation) == 10


def test_the_best_two_of_the_first_round_go_on(run_of: Callable[..., Run]) -> None:
    trial = of(run_of())
    begun = trial.first(list(hand_designs(trial.space)[:3]))
    weights = {number: model.state_dict() for number, model in trial.models.items()}
    finalists = trial.second(begun)
    best = sorted(begun, key=lambda each: each.loss)[:2]
    assert {each.number for each in finalists} == {each.number for each in best}
    assert [each.done for each in begun] == [0.25] * 3
    assert [each.done for each in finalists] == [0.5] * 2
    assert finalists[0].loss <= finalists[1].loss
    for each in begun:
        name = "classifier.weight"
        moved = not torch.equal(
            trial.models[each.number].state_dict()[name], weights[each.number][name]
        )
        assert moved == (each in best)


def test_a_search_that_is_repeated_takes_no_further_step(
    run_of: Callable[..., Run], monkeypatch: pytest.MonkeyPatch
) -> None:
    run = run_of()
    first = of(run)
    begun = first.first(list(hand_designs(first.space)[:2]))
    monkeypatch.setattr("nascence.training.run.Run.advance", None)
    again = of(run)
    assert again.first(list(hand_designs(first.space)[:2])) == begun
