"""Tasks are many, distinct, cheap, and found by name."""

import hashlib

import pytest
import torch

from nascence.task import Task
from nascence.tasks import (
    FAMILIES,
    HELD_OUT,
    TRAINING,
    chosen,
    family,
    task,
    task_names,
)


def fingerprint(one: Task) -> str:
    digest = hashlib.blake2b(repr(one.problem).encode())
    for name in sorted(one.constants):
        digest.update(name.encode())
        digest.update(one.constants[name].numpy().tobytes())
    return digest.hexdigest()


def test_there_are_thousands_of_distinct_tasks() -> None:
    names = [name for name in task_names() if "-wide" not in name]
    assert len(names) == len(set(names)) >= 6000
    made = {name: family(name) for name in FAMILIES}
    tasks = (made[kind].task(int(k)) for kind, k in (name.split("/") for name in names))
    assert len({fingerprint(one) for one in tasks}) == len(names)


def test_families_are_divided() -> None:
    assert set(TRAINING) | set(HELD_OUT) == set(FAMILIES)
    assert not set(TRAINING) & set(HELD_OUT)
    assert len(HELD_OUT) >= 4
    assert all(FAMILIES[name]().name == name for name in FAMILIES)


def test_training_is_cheap() -> None:
    limit = 4 * family("yardstick").cost
    assert max(family(name).cost for name in TRAINING) <= limit
    assert min(family(name).cost for name in FAMILIES if name.endswith("-wide")) > 20_000
    assert family("mlp-wide").cost > 100 * limit / 4


def test_a_task_by_its_name() -> None:
    found = task("text/31")
    assert found.name == "text/31"
    assert fingerprint(found) == fingerprint(family("text").task(31))
    assert task("mlp:units/2").name == "mlp:units/2"
    for wrong in ("mlp", "mlp/", "/3", "mlp/-1", "mlp/x", "mlp/1200", "words/1", "mlp/1/2"):
        with pytest.raises(ValueError, match="task"):
            task(wrong)


def test_unseen_tasks_are_those_that_meta_training_leaves() -> None:
    unseen = task_names(unseen=True)
    assert "mlp/959" not in unseen
    assert {"mlp/960", "mlp/1199", "variational/0", "mlp-wide/0"} <= set(unseen)
    assert task_names("mlp:units", unseen=True)[0] == "mlp:units/960"


def test_families_are_chosen_by_names_groups_and_cost() -> None:
    assert [one.name for one in chosen("mlp, quadratic,mlp")] == ["mlp", "quadratic", "mlp"]
    assert tuple(one.name for one in chosen("training")) == TRAINING
    assert tuple(one.name for one in chosen("held-out")) == HELD_OUT
    cheap = chosen("all:units", max_cost=20_000)
    assert [one.name for one in cheap] == [
        "quadratic:units",
        "least-squares:units",
        "function:units",
    ]
    with pytest.raises(ValueError, match="no task family is left"):
        chosen("mlp", max_cost=10)
    with pytest.raises(ValueError, match="task family is 'words'"):
        chosen("mlp,words")
    with pytest.raises(ValueError, match="after the colon give units or units-of-tensors"):
        chosen("mlp:metres")
    with pytest.raises(ValueError, match="after the colon"):
        family("mlp:")
    assert torch.equal(*(chosen("mlp")[0].task(1).constants["classes"] for _ in range(2)))
