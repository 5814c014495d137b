"""What may be sent to another process survives: names, jobs, outcomes, strategies, exceptions."""

import dataclasses
import importlib
import inspect
import json
import pickle
import pkgutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import nascence
from nascence import registry
from nascence.data import Dataset, Split, nb201
from nascence.jobs import Job, Outcome, make_job
from nascence.jobs.evaluators import Sources, evaluator_named
from nascence.jobs.latency import LatencyJob
from nascence.jobs.meta_training_ghn import GhnTrainingJob
from nascence.jobs.meta_training_optimizer import OptimizerTrainingJob
from nascence.jobs.optimizer_comparison import OptimizerComparisonJob
from nascence.jobs.optimizer_probe import OptimizerProbeJob
from nascence.search import Limit, Limits, Strategy
from nascence.spaces import NB201

SPACE = NB201(width=2, cells=1, classes=2)


def sent(thing: Any) -> Any:
    return pickle.loads(pickle.dumps(thing))


def exceptions() -> list[type[BaseException]]:
    """Every exception that the package defines."""
    found: dict[str, type[BaseException]] = {}
    for module in pkgutil.walk_packages(nascence.__path__, "nascence."):
        if module.name.endswith("__main__"):
            continue
        for each in vars(importlib.import_module(module.name)).values():
            if inspect.isclass(each) and issubclass(each, BaseException):
                found[f"{each.__module__}.{each.__qualname__}"] = each
    return [found[name] for name in sorted(found) if name.startswith("nascence.")]


@pytest.mark.parametrize("kind", exceptions(), ids=lambda kind: kind.__name__)
def test_exceptions(kind: type[BaseException]) -> None:
    own = kind.__init__ if "__init__" in vars(kind) else None
    others = [] if own is None else list(inspect.signature(own).parameters)[2:]
    first = kind("it failed at step 3", *range(len(others)))
    first.add_note("a note")
    again = sent(first)
    assert type(again) is kind
    assert str(again) == str(first)
    assert vars(again) == vars(first)


@pytest.mark.parametrize("entry", registry.OWN, ids=lambda entry: f"{entry.kind} {entry.name}")
def test_entries_and_what_they_name(entry: registry.Entry) -> None:
    assert sent(entry) == entry
    made = entry.load()
    again = sent(made)
    assert getattr(again, "func", again) == getattr(made, "func", made)


def strategy_of(make: Callable[..., Strategy]) -> Strategy:
    limits = Limits(Limit("macs", SPACE.macs, 1e9))
    strategy = make(SPACE, generator=torch.Generator().manual_seed(0), allowed=limits)
    for _ in range(45):  # trees and predictors are fitted by then
        architecture = strategy.ask()
        strategy.tell(architecture, float(sum(architecture)))
    return strategy


@pytest.mark.parametrize("name", registry.names("strategy"))
def test_strategies_go_on_where_they_were(name: str) -> None:
    strategy = strategy_of(registry.find(name, "strategy").load())
    again = sent(strategy)
    for _ in range(5):
        architecture = strategy.ask()
        assert again.ask() == architecture
        for each in (strategy, again):
            each.tell(architecture, float(sum(architecture)))


@pytest.mark.parametrize("name", registry.names("strategy"))
def test_strategies_go_on_with_arrays_that_are_read_only(name: str) -> None:
    """As engines of many machines hand them out, from memory that processes share."""
    strategy = strategy_of(registry.find(name, "strategy").load())
    buffers: list[pickle.PickleBuffer] = []
    content = pickle.dumps(strategy, protocol=5, buffer_callback=buffers.append)
    frozen = [bytes(buffer.raw()) for buffer in buffers]
    again = pickle.loads(content, buffers=frozen)
    for _ in range(5):
        architecture = again.ask()
        assert strategy.ask() == architecture
        for each in (strategy, again):
            each.tell(architecture, float(sum(architecture)))


def images() -> Dataset:
    pixels = np.random.default_rng(0).integers(0, 256, (40, 3, 8, 8), dtype=np.uint8)
    split = Split(torch.from_numpy(pixels), torch.arange(40) % 2)
    return Dataset("noise", split, split, ("a", "b"), (0.5,) * 3, (0.3,) * 3, (), "noise")


@pytest.mark.parametrize("name", [*registry.names("evaluator"), "naswot", "macs+synflow"])
def test_evaluators_score_the_same(name: str) -> None:
    evaluate = evaluator_named(name, SPACE, Sources(nb201(), "", images(), 8, 2, None, 0))
    architecture = (3, 2, 3, 2, 4, 1)
    assert sent(evaluate)(architecture) == evaluate(architecture)


@pytest.mark.parametrize("kind", registry.STRATEGIES)
def test_jobs_and_their_outcomes(kind: str, tmp_path: Path) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (40, 8, 8, 3), dtype=np.uint8)
    np.savez(tmp_path / "noise.npz", images=pixels, labels=np.arange(40) % 2)
    strategy = {"strategy": "evolution", "gradient strategy": "gdas"}.get(kind)
    strategy = strategy or registry.names(kind)[0]
    space = {"gan strategy": "gan", "once-for-all strategy": "elastic-mobile"}.get(kind, "small")
    options: dict[str, Any] = {"trials": 4} if kind in ("strategy", "once-for-all strategy") else {}
    job = make_job(
        out=tmp_path / "run", space=space, strategy=strategy, data=str(tmp_path / "noise.npz"),
        sizes={"width": 4}, steps=6, **options,
    )  # fmt: skip
    assert sent(job) == job
    outcome = job.run()
    assert sent(outcome).facts() == outcome.facts()
    assert outcome.summary()


def other_jobs(folder: Path) -> dict[str, Job]:
    return {
        "hypernetwork": GhnTrainingJob(
            out=folder, kind="mlp", steps=1, batch_size=4, size=8, cells=(4, 4), channels=(8,),
            max_macs=500_000, validation_networks=1,
        ),
        "optimizer": OptimizerTrainingJob(
            out=folder, families="quadratic", cohorts=1, pairs=2, window=2, lengths=(2, 4), steps=1
        ),
        "comparison": OptimizerComparisonJob(
            out=folder, optimizers=("adam",), families="quadratic", steps=2
        ),
        "probe": OptimizerProbeJob(out=folder, optimizers=("adam",), steps=2),
        "latency": LatencyJob(
            out=folder / "latency.json", space="shufflenet", sizes={"width": 0.1}, networks=1,
            passes=1, check=1,
        ),
    }  # fmt: skip


@pytest.mark.parametrize("kind", ["hypernetwork", "optimizer", "comparison", "probe", "latency"])
def test_other_jobs_and_their_outcomes(kind: str, tmp_path: Path) -> None:
    job = other_jobs(tmp_path / "run")[kind]
    assert isinstance(job, Job)
    assert sent(job) == job
    outcome = job.run()
    assert isinstance(outcome, Outcome)
    assert json.loads(json.dumps(sent(outcome).facts())) == json.loads(json.dumps(outcome.facts()))
    assert outcome.summary() == sent(outcome).summary()


@pytest.mark.parametrize("kind", ["hypernetwork", "optimizer", "comparison", "probe", "latency"])
def test_no_job_takes_the_address_of_a_database(kind: str, tmp_path: Path) -> None:
    job = other_jobs(tmp_path)[kind]
    with pytest.raises(ValueError, match="out is the address of a sqlite database"):
        dataclasses.replace(job, out=Path("sqlite:///a.db")).run()  # type: ignore[type-var]
    wrong = tmp_path / "wrong"
    wrong.mkdir() if kind == "latency" else wrong.write_text("mine")
    with pytest.raises(ValueError, match="is a folder; give a" if kind == "latency" else "is a f"):
        dataclasses.replace(job, out=wrong).run()  # type: ignore[type-var]
