"""One search step by step: against the algorithm written out, and resumed."""

import copy
import itertools
import math
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest
import torch
from torch.nn import functional

from nascence import registry
from nascence.core.resumable import CheckpointError
from nascence.data import Dataset
from nascence.gradient import GradientSearchError, Trajectory, darts, proxyless
from nascence.gradient import enas as enas_search
from nascence.gradient.batches import Halves
from nascence.gradient.gates import softmax_gate
from nascence.gradient.relaxation import Relaxation
from nascence.gradient.supernet_search import SupernetSearch
from nascence.latency.table import LatencyTable, LatencyTerm
from nascence.spaces import SmallSpace
from nascence.supernets import SuperNet

GRADIENT_STRATEGIES = {
    name: registry.find(name, "gradient strategy").load()
    for name in registry.names("gradient strategy")
}

SETTINGS = {"batch_size": 8, "crop": 1, "epochs": 3}


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def wide() -> SuperNet:
    """Wide enough for four parts of the channels."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return SuperNet(SmallSpace(width=8, classes=2))


def same(first: Trajectory, second: Trajectory) -> bool:
    """Whether two histories are equal in all but their times."""
    return [
        (e.architecture, e.accuracy, e.probabilities, e.loss, e.steps) for e in first.epochs
    ] == [(e.architecture, e.accuracy, e.probabilities, e.loss, e.steps) for e in second.epochs]


def test_two_steps_written_out(supernet: SuperNet, brightness: Dataset) -> None:
    """SGD with Nesterov momentum on one half, Adam by its first moments on the other."""

    def prepare(net: SuperNet, stream: torch.Generator) -> tuple[SuperNet, Relaxation]:
        made = Relaxation(net, gate=softmax_gate, generator=stream, rate=0.05, decay=0.0)
        return net, made

    leaf = SupernetSearch(
        supernet, brightness, prepare, number=0, seed=5, settings={}, batch_size=16,
        rates=(0.1, 0.02, 0.0), crop=0, flip=False, device=torch.device("cpu"), path=None,
    )  # fmt: skip
    net = copy.deepcopy(supernet)
    logits = [each.detach().clone() for each in leaf.method.policy.logits]  # type: ignore[union-attr]
    halves = Halves(brightness, seed=5, batch_size=16, crop=0, flip=False)
    velocity = {name: torch.zeros_like(value) for name, value in net.named_parameters()}
    adam = [[torch.zeros_like(each), torch.zeros_like(each)] for each in logits]
    for step in range(2):
        images, labels = halves.architecture(step)
        own = [each.requires_grad_() for each in logits]
        loss = functional.cross_entropy(net(images, [each.softmax(0) for each in own]), labels)
        gradients = torch.autograd.grad(loss, own)
        for place, gradient in enumerate(gradients):
            adam[place][0] = 0.5 * adam[place][0] + 0.5 * gradient
            adam[place][1] = 0.999 * adam[place][1] + 0.001 * gradient**2
            first = adam[place][0] / (1 - 0.5 ** (step + 1))
            second = adam[place][1] / (1 - 0.999 ** (step + 1))
            logits[place] = (own[place] - 0.05 * first / (second.sqrt() + 1e-8)).detach()
        images, labels = halves.weights(step)
        loss = functional.cross_entropy(net(images, [each.softmax(0) for each in logits]), labels)
        net.zero_grad()
        loss.backward()
        rate = 0.02 + 0.08 * 0.5 * (1 + math.cos(math.pi * step / 2))
        with torch.no_grad():
            for name, value in net.named_parameters():
                velocity[name] = 0.9 * velocity[name] + value.grad
                value -= rate * (value.grad + 0.9 * velocity[name])
    leaf.search(
        steps=2, seconds=None, epochs=1, warmup=0.0, clip=1e9, stop_at_skips=None,
        validation_images=10, checkpoint_seconds=60, progress=lambda *_: None,
    )  # fmt: skip
    for mine, theirs in zip(leaf.supernet.parameters(), net.parameters(), strict=True):
        torch.testing.assert_close(mine, theirs, atol=1e-4, rtol=1e-3)
    for mine, theirs in zip(leaf.method.policy.logits, logits, strict=True):  # type: ignore[union-attr,arg-type]
        torch.testing.assert_close(mine.detach(), theirs, atol=1e-5, rtol=1e-4)
    assert len(leaf.epochs) == 1
    for found, each in zip(leaf.epochs[0].probabilities, logits, strict=True):
        assert found == pytest.approx(each.softmax(0).tolist(), abs=1e-5)


@pytest.mark.parametrize("name", GRADIENT_STRATEGIES)
def test_a_search_resumed_is_that_which_was_not_disturbed(
    name: str, brightness: Dataset, tmp_path: Path
) -> None:
    search = partial(GRADIENT_STRATEGIES[name], wide(), brightness, steps=6, **SETTINGS)
    undisturbed = search(generator=seeded())
    calls = 0

    def interrupt(fraction: float, epoch: object) -> None:
        nonlocal calls
        calls += 1
        if calls == 3:  # between two epochs
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        search(generator=seeded(), out=tmp_path, progress=interrupt)
    rest: list[float] = []
    resumed = search(
        generator=seeded(), out=tmp_path, progress=lambda fraction, _: rest.append(fraction)
    )
    assert same(resumed, undisturbed)
    assert rest == pytest.approx([4 / 6, 5 / 6, 1])
    finished = search(generator=seeded(), out=tmp_path, progress=lambda *_: rest.append(9.0))
    assert same(finished, undisturbed)
    assert 9.0 not in rest


def test_with_latency_too_and_not_with_another_table(
    supernet: SuperNet, brightness: Dataset, tmp_path: Path
) -> None:
    """Both logits that a step shifts, and the moments of Adam, are what they would have been."""
    rows = tuple((0.1, 0.2, 0.3, 0.4, 0.5, value) for value in (0.6, 0.7, 0.8, 0.9))
    decisions = supernet.space.decisions
    table = LatencyTable(supernet.space.description, 8, 1, decisions, 1.0, rows)
    search = partial(
        proxyless, supernet, brightness, steps=6, warmup=0.2, architecture_every=1,
        architecture_rate=0.1, **SETTINGS,
    )  # fmt: skip
    undisturbed = search(generator=seeded(), latency=LatencyTerm(table, 0.5))
    assert undisturbed.derived.entropy < 0.999
    calls = iter([False, False, True])

    def interrupt(fraction: float, epoch: object) -> None:
        if next(calls, False):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        search(generator=seeded(), latency=LatencyTerm(table, 0.5), out=tmp_path,
               progress=interrupt)  # fmt: skip
    for other in (LatencyTerm(table, 0.4), LatencyTerm(replace(table, fixed=2.0), 0.5), None):
        with pytest.raises(CheckpointError, match="its method is"):
            search(generator=seeded(), latency=other, out=tmp_path)
    resumed = search(generator=seeded(), latency=LatencyTerm(table, 0.5), out=tmp_path)
    assert same(resumed, undisturbed)
    assert [e.objective for e in resumed.epochs] == [e.objective for e in undisturbed.epochs]


def test_the_architecture_takes_every_other_step(supernet: SuperNet, brightness: Dataset) -> None:
    history = proxyless(
        supernet, brightness, generator=seeded(), steps=6, epochs=6, batch_size=8, warmup=0.0,
        architecture_every=2, architecture_rate=0.1,
    )  # fmt: skip
    seen = [epoch.probabilities for epoch in history.epochs]
    assert [a == b for a, b in itertools.pairwise(seen)] == [False, True, False, True, False]
    with pytest.raises(ValueError, match="architecture_every is 0"):
        proxyless(supernet, brightness, generator=seeded(), steps=6, architecture_every=0)


def test_the_checkpoint_of_another_search_stays(
    supernet: SuperNet, brightness: Dataset, tmp_path: Path
) -> None:
    search = partial(darts, supernet, brightness, out=tmp_path, steps=3, **SETTINGS)
    search(generator=seeded())
    content = (tmp_path / "leaf-0.pt").read_bytes()
    for other in ({"generator": seeded(1)}, {"generator": seeded(), "order": 2}):
        with pytest.raises(CheckpointError, match="is of another search"):
            search(**other)
    assert (tmp_path / "leaf-0.pt").read_bytes() == content
    (tmp_path / "leaf-0.pt").write_bytes(b"nothing")
    with pytest.raises(CheckpointError, match="not a checkpoint"):
        search(generator=seeded())


def test_values_that_are_not_finite_end_the_search_with_its_history(
    supernet: SuperNet, brightness: Dataset, tmp_path: Path
) -> None:
    with pytest.raises(GradientSearchError, match=r"parameters \S+ are not finite") as raised:
        darts(supernet, brightness, generator=seeded(), steps=9, architecture_rate=1e38, **SETTINGS)
    assert "\n" not in str(raised.value)
    with pytest.raises(GradientSearchError, match="the loss became nan at step") as raised:
        darts(supernet, brightness, generator=seeded(), steps=9, learning_rate=1e30,
              clip=1e30, warmup=0.9, **SETTINGS)  # fmt: skip
    with pytest.raises(GradientSearchError, match=r"parameters \S+ are not finite") as raised:
        proxyless(supernet, brightness, generator=seeded(), steps=9, architecture_rate=3e38,
                  architecture_every=1, warmup=0.5, **SETTINGS)  # fmt: skip
    assert len(raised.value.history.epochs) == 1
    epochs: list[object] = []
    with pytest.raises(GradientSearchError, match="controller's logits of") as raised:
        enas_search(
            supernet, brightness, generator=seeded(), steps=9, controller_rate=1e36, warmup=0.5,
            progress=lambda _, epoch: epochs.append(epoch), **SETTINGS,
        )  # fmt: skip
    found = raised.value.history
    assert len(found.epochs) == 1
    assert [each for each in epochs if each] == list(found.epochs)
    assert found.derived.steps == 3


def test_the_architecture_rests_while_it_warms_up(supernet: SuperNet, brightness: Dataset) -> None:
    history = darts(
        supernet, brightness, generator=seeded(), steps=8, epochs=4, batch_size=8, warmup=0.5,
        architecture_rate=0.1,
    )  # fmt: skip
    first, second, third, last = (epoch.probabilities for epoch in history.epochs)
    assert first == second
    assert second != third != last


def test_identities_stop_the_search(supernet: SuperNet, brightness: Dataset) -> None:
    def prepare(net: SuperNet, stream: torch.Generator) -> tuple[SuperNet, Relaxation]:
        made = Relaxation(net, gate=softmax_gate, generator=stream, rate=0.05, decay=0.0)
        with torch.no_grad():
            for logits in made.learned.logits:
                logits[1] = 5.0  # skip_connect
        return net, made

    from nascence.gradient import gradient_search

    history = gradient_search(
        supernet, brightness, prepare, generator=seeded(), steps=8, epochs=4, batch_size=8,
        stop_at_skips=2,
    )  # fmt: skip
    assert history.stops == ("skips",)
    assert [epoch.steps for epoch in history.epochs] == [2]
    assert history.derived.architecture == (1, 1, 1, 1)
