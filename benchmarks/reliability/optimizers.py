"""Kind 6, learned optimizers with odd parameters, groups, values and states."""

import copy
import io
import math
import random
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from benchmarks.reliability.trying import Try, WrongError, allowing
from nascence.optim import FeedForward, Hierarchical, Learned, LearnedOptimizer, Small

ARCHITECTURES: tuple[Callable[[], LearnedOptimizer], ...] = (Small, FeedForward, Hierarchical)


def parameter(*shape: int, value: float = 1.0, dtype: torch.dtype = torch.float32) -> nn.Parameter:
    return nn.Parameter(torch.full(shape, value, dtype=dtype))


def parameters(kind: str) -> Any:
    """What an optimizer may be given."""
    made: dict[str, Callable[[], Any]] = {
        "a scalar": lambda: [parameter()],
        "an empty tensor": lambda: [parameter(0, 4), parameter(3)],
        "one value": lambda: [parameter(1)],
        "six axes": lambda: [parameter(2, 1, 3, 1, 2, 2)],
        "a large bias": lambda: [parameter(4, 4, value=1e25), parameter(2)],
        "tiny values": lambda: [parameter(4, 4, value=1e-40)],
        "zeros": lambda: [parameter(4, 4, value=0.0)],
        "transposed": lambda: [nn.Parameter(torch.arange(12.0).view(3, 4).t())],
        "float64": lambda: [parameter(4, 3, dtype=torch.float64)],
        "bfloat16": lambda: [parameter(4, 3, dtype=torch.bfloat16)],
        "float16": lambda: [parameter(4, 3, dtype=torch.float16)],
        "mixed dtypes": lambda: [parameter(4), parameter(3, dtype=torch.float64)],
        "frozen group": lambda: [{"params": [parameter(3)]}, {"params": [parameter(2)], "lr": 0.0}],
        "names": lambda: nn.Linear(3, 2).named_parameters(),
        "a generator": lambda: (each for each in nn.Linear(3, 2).parameters()),
        "a group that decays": lambda: [{"params": [parameter(3)], "weight_decay": 100.0}],
        "complex": lambda: [nn.Parameter(torch.ones(3, dtype=torch.complex64))],
        "integers": lambda: [torch.ones(3, dtype=torch.int64)],
        "none": lambda: [],
        "the same twice": lambda: [(one := parameter(3)), one],
    }
    return made[kind]()


PARAMETERS = ("a scalar", "an empty tensor", "one value", "six axes", "a large bias", "tiny values",
              "zeros", "transposed", "float64", "bfloat16", "float16", "mixed dtypes",
              "frozen group", "names", "a generator", "a group that decays", "complex", "integers",
              "none", "the same twice")  # fmt: skip
VALUES = (math.inf, -math.inf, math.nan, -1.0, 1e308, "0.1", None, torch.tensor(1.0), 10**400)


def all_parameters(optimizer: Learned) -> list[Tensor]:
    return [each for group in optimizer.param_groups for each in group["params"]]


def step(optimizer: Learned, times: int = 3, size: float = 1.0) -> None:
    """Take steps with gradients of a size; some parameters have none."""
    for number in range(times):
        for place, each in enumerate(all_parameters(optimizer)):
            each.grad = None if place == 1 and number == 0 else torch.full_like(each, size)
        optimizer.step(loss=1.0)


def check_finite(optimizer: Learned) -> None:
    for each in all_parameters(optimizer):
        if not torch.isfinite(each).all():
            raise WrongError("weights are not finite")


def takes(kind: str, architecture: Callable[[], LearnedOptimizer], decay: float) -> None:
    """Parameters are stepped to finite values, or refused when the optimizer is made."""
    refusals = (ValueError, TypeError) if kind == "integers" else (ValueError,)
    optimizer, _ = allowing(
        lambda: Learned(parameters(kind), weights=architecture(), weight_decay=decay), *refusals
    )
    if optimizer is not None:
        step(optimizer)
        check_finite(optimizer)


def setting(name: str, value: Any, where: str) -> None:
    """A setting that makes no sense is refused before a step is taken with it."""
    new = [parameter(3, 3)]
    if where == "argument":
        optimizer, _ = allowing(lambda: Learned(new, **{name: value}), ValueError, TypeError)
    elif where == "group":
        groups = [{"params": new, name: value}]
        optimizer, _ = allowing(lambda: Learned(groups), ValueError, TypeError)
    else:
        optimizer = Learned(new)
        optimizer.param_groups[0][name] = value
    if optimizer is None:
        return
    allowing(lambda: step(optimizer), ValueError, TypeError)
    check_finite(optimizer)


def gradient(value: float, architecture: Callable[[], LearnedOptimizer]) -> None:
    """Gradients of any size, or that are not finite, leave weights finite."""
    optimizer = Learned([parameter(4, 3), parameter(4)], weights=architecture())
    step(optimizer, 2)
    step(optimizer, 3, value)
    step(optimizer, 2)
    check_finite(optimizer)


def loss(value: Any) -> None:
    """Any loss is taken, or refused in a line; the weights stay finite."""
    optimizer = Learned([parameter(4, 3)], weights=Hierarchical())
    for _ in range(3):
        for each in all_parameters(optimizer):
            each.grad = torch.ones_like(each)
        allowing(lambda: optimizer.step(loss=value), ValueError, TypeError)
    check_finite(optimizer)


def state(damage: str, architecture: Callable[[], LearnedOptimizer]) -> None:
    """A state of something else is refused when it is loaded; one's own goes on exactly."""
    made = architecture()
    first, second = (Learned([parameter(4, 3), parameter(5)], weights=made) for _ in range(2))
    step(first)
    found = copy.deepcopy(first.state_dict())
    if damage == "its own, saved":
        buffer = io.BytesIO()
        torch.save(found, buffer)
        buffer.seek(0)
        found = torch.load(buffer, weights_only=True)
        for each, own in zip(all_parameters(second), all_parameters(first), strict=True):
            each.data.copy_(own.data)
        second.load_state_dict(found)
        step(first)
        step(second)
        for one, two in zip(all_parameters(first), all_parameters(second), strict=True):
            if not torch.equal(one, two):
                raise WrongError("goes on otherwise")
        return
    slots = found["state"]
    if damage == "another shape":
        key = next(name for name, slot in slots[0].items() if slot.ndim)
        slots[0][key] = torch.zeros(7, 7)
    elif damage == "a slot less":
        slots[0].popitem()
    elif damage == "no tensor":
        slots[0][next(iter(slots[0]))] = "words"
    elif damage == "not finite":
        for slot in slots[0].values():
            slot.fill_(math.nan)
    elif damage == "a parameter less":
        found["param_groups"][0]["params"].pop()
    elif damage == "two groups":
        found["param_groups"].append(copy.deepcopy(found["param_groups"][0]))
    elif damage == "of Adam":
        other = torch.optim.Adam([parameter(4, 3), parameter(5)])
        found = other.state_dict()
    elif damage == "a list":
        found = [found]  # type: ignore[assignment]
    elif damage == "an infinite rate":
        found["param_groups"][0]["lr"] = math.inf
    _, refusal = allowing(lambda: second.load_state_dict(found), ValueError, TypeError)
    if refusal is None:
        allowing(lambda: step(second), ValueError)
        check_finite(second)


STATES = ("its own, saved", "another shape", "a slot less", "no tensor", "not finite",
          "a parameter less", "two groups", "of Adam", "a list", "an infinite rate")  # fmt: skip


def tries(rng: random.Random, folder: Path) -> Iterator[Try]:
    for kind in PARAMETERS:
        for architecture in ARCHITECTURES:
            decay = rng.choice((0.0, 0.1))
            yield Try(
                f"{architecture.__name__}, {kind}",
                partial(takes, kind, architecture, decay),
            )
    for name in ("lr", "weight_decay"):
        for value in VALUES:
            where = rng.choice(("argument", "group", "later"))
            yield Try(
                f"{name} = {str(value)[:20]} as {where}",
                partial(setting, name, value, where),
            )
    for value in (1e38, 1e-45, math.inf, math.nan, 0.0):
        architecture = rng.choice(ARCHITECTURES)
        yield Try(
            f"{architecture.__name__}, gradients of {value}",
            partial(gradient, value, architecture),
        )
    for found in (math.inf, math.nan, -5.0, 1e38, torch.ones(2), torch.zeros(0), "0.1"):
        yield Try(f"loss = {str(found)[:20]}", partial(loss, found))
    for damage in STATES:
        architecture = rng.choice(ARCHITECTURES)
        yield Try(
            f"{architecture.__name__}, a state: {damage}",
            partial(state, damage, architecture),
        )
