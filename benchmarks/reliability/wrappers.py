"""Kind 14, learned optimizers inside of what wraps optimizers."""

import copy
import os
import random
import warnings
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import nn

from benchmarks.reliability.trying import Try, WrongError
from nascence.optim import FeedForward, Hierarchical, Learned, LearnedOptimizer, Small

ARCHITECTURES: tuple[Callable[[], LearnedOptimizer], ...] = (Small, FeedForward, Hierarchical)


def train(model: nn.Module, optimizer: Any, steps: range, after: Callable[[], Any] = int) -> None:
    for number in steps:
        inputs = torch.randn(8, 4, generator=torch.Generator().manual_seed(number))
        loss = model(inputs).square().mean()
        optimizer.zero_grad()
        loss.backward()
        getattr(optimizer, "optim", optimizer).loss = loss.detach()
        optimizer.step()
        after()


def networks() -> tuple[nn.Sequential, nn.Sequential]:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(4, 5), nn.ReLU(), nn.Linear(5, 2))
    return model, copy.deepcopy(model)


def equal(one: nn.Module, other: nn.Module) -> None:
    for a, b in zip(one.parameters(), other.parameters(), strict=True):
        if not torch.equal(a, b):
            raise WrongError(f"differ by {float((a - b).abs().max()):.2g}")


def scheduler(kind: str, made: LearnedOptimizer) -> None:
    """A schedule is followed and goes on from its state."""
    model, other = networks()
    optimizers = [Learned(each.parameters(), weights=made) for each in (model, other)]
    kinds: dict[str, Callable[[Any], Any]] = {
        "cosine": lambda o: torch.optim.lr_scheduler.CosineAnnealingLR(o, 10),
        "one cycle": lambda o: torch.optim.lr_scheduler.OneCycleLR(
            o, 1.0, total_steps=10, cycle_momentum=False
        ),
        "warm-up": lambda o: torch.optim.lr_scheduler.LinearLR(o, 0.1, total_iters=5),
    }
    schedules = [kinds[kind](each) for each in optimizers]
    train(model, optimizers[0], range(8), schedules[0].step)
    train(other, optimizers[1], range(4), schedules[1].step)
    again = Learned(other.parameters(), weights=made)
    second = kinds[kind](again)
    again.load_state_dict(copy.deepcopy(optimizers[1].state_dict()))
    second.load_state_dict(schedules[1].state_dict())
    train(other, again, range(4, 8), second.step)
    equal(model, other)


def copied(made: LearnedOptimizer) -> None:
    """A deep copy of network and optimizer together goes on alike."""
    model, _ = networks()
    optimizer = Learned(model.parameters(), weights=made)
    train(model, optimizer, range(3))
    other, second = copy.deepcopy((model, optimizer))
    train(model, optimizer, range(3, 6))
    train(other, second, range(3, 6))
    equal(model, other)


def scaler(made: LearnedOptimizer) -> None:
    """A step whose scaled gradients overflow is skipped, and weights stay finite."""
    model, _ = networks()
    optimizer = Learned(model.parameters(), weights=made)
    scaling = torch.amp.GradScaler("cpu", init_scale=2.0**127, growth_interval=1)
    for number in range(6):
        optimizer.zero_grad()
        loss = model(torch.full((2, 4), 1.0 + number)).square().mean()
        scaling.scale(loss).backward()
        optimizer.loss = loss.detach()
        scaling.step(optimizer)
        scaling.update()
    if not all(torch.isfinite(each).all() for each in model.parameters()):
        raise WrongError("weights are not finite")


def zero(made: LearnedOptimizer) -> None:
    """ZeroRedundancyOptimizer of one process steps as the optimizer alone and resumes."""
    from torch.distributed.optim import ZeroRedundancyOptimizer

    model, other = networks()
    plain = Learned(model.parameters(), weights=made)
    wrapped = ZeroRedundancyOptimizer(other.parameters(), optimizer_class=Learned, weights=made)
    train(model, plain, range(3))
    train(other, wrapped, range(3))
    equal(model, other)
    wrapped.consolidate_state_dict(0)
    again = ZeroRedundancyOptimizer(other.parameters(), optimizer_class=Learned, weights=made)
    again.load_state_dict(wrapped.state_dict())
    train(model, plain, range(3, 6))
    train(other, again, range(3, 6))
    equal(model, other)


def averaged(made: LearnedOptimizer) -> None:
    """A moving average of the weights is of what the optimizer wrote."""
    model, _ = networks()
    mean = torch.optim.swa_utils.AveragedModel(model)
    optimizer = Learned(model.parameters(), weights=made)
    train(model, optimizer, range(4), lambda: mean.update_parameters(model))
    for a, b in zip(mean.module.parameters(), model.parameters(), strict=True):
        if torch.equal(a, b) or not torch.isfinite(a).all():
            raise WrongError("the average is no average")


def added(made: LearnedOptimizer) -> None:
    """A group that is added later is stepped, and what was there goes on."""
    model, _ = networks()
    optimizer = Learned(model[0].parameters(), weights=made)
    train(model, optimizer, range(2))
    last = model.get_parameter("2.weight")
    before = last.detach().clone()
    optimizer.add_param_group({"params": model[2].parameters(), "lr": 0.5})
    train(model, optimizer, range(2, 4))
    if torch.equal(before, last):
        raise WrongError("a group that was added is not stepped")


def tries(rng: random.Random, folder: Path) -> Iterator[Try]:
    warnings.simplefilter("ignore")
    for architecture in ARCHITECTURES:
        name = architecture.__name__
        made = architecture()
        for kind in ("cosine", "one cycle", "warm-up"):
            yield Try(f"{name}, {kind}", partial(scheduler, kind, made))
        for check in (copied, scaler, averaged, added):
            yield Try(f"{name}, {check.__name__}", partial(check, made))
    os.environ.update(MASTER_ADDR="127.0.0.1", MASTER_PORT=str(rng.randint(20_000, 60_000)))
    place = folder / "rendezvous"
    torch.distributed.init_process_group("gloo", f"file://{place}", rank=0, world_size=1)
    try:
        for architecture in ARCHITECTURES:
            made = architecture()
            yield Try(f"{architecture.__name__}, ZeroRedundancyOptimizer", partial(zero, made))
    finally:
        torch.distributed.destroy_process_group()
