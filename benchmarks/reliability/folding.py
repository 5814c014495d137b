"""Kind 5, folding of random networks that are written in unusual but valid ways."""

import copy
import io
import pickle
import random
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from benchmarks.reliability.trying import Try, WrongError, allowing
from nascence.reparam import count_norms, fold, fold_with_report

CHANNELS = 6


def pair(rng: random.Random) -> list[nn.Module]:
    """A convolution and its BatchNorm with statistics of its own."""
    kernel = rng.choice((1, 3))
    groups = rng.choice((1, 1, 2))
    convolution = nn.Conv2d(
        CHANNELS, CHANNELS, kernel, padding=kernel // 2, groups=groups, bias=rng.random() < 0.5
    )
    norm = nn.BatchNorm2d(CHANNELS)
    for tensor in (norm.running_mean, norm.weight, norm.bias):
        assert tensor is not None
        nn.init.normal_(tensor, 0.3, 0.4)
    assert norm.running_var is not None
    nn.init.uniform_(norm.running_var, 0.5, 2)
    return [convolution, norm]


class TwoReaders(nn.Module):
    """An activation in place that two paths read."""

    def __init__(self, rng: random.Random) -> None:
        super().__init__()
        self.first, self.second, self.third = (nn.Sequential(*pair(rng)) for _ in range(3))
        self.activation = rng.choice((nn.ReLU, nn.SiLU, nn.Hardswish, nn.LeakyReLU))(inplace=True)

    def forward(self, x: Tensor) -> Tensor:
        x = self.activation(self.first(x))
        y = self.activation(self.second(x))
        return y.add_(self.third(x)).mul_(0.5)


class ByKeyword(nn.Module):
    """A forward of keywords alone."""

    def __init__(self, rng: random.Random) -> None:
        super().__init__()
        self.layers = nn.Sequential(*pair(rng), nn.ReLU(), *pair(rng))
        self.scale = rng.uniform(0.5, 2)

    def forward(self, x: Tensor, *, scale: float | None = None, **rest: Any) -> Tensor:
        return self.layers(x) * (self.scale if scale is None else scale)


class CallsByKeyword(nn.Module):
    """A child that is called with a keyword."""

    def __init__(self, rng: random.Random) -> None:
        super().__init__()
        self.child = ByKeyword(rng)
        self.after = nn.Sequential(*pair(rng))

    def forward(self, x: Tensor) -> Tensor:
        return self.after(self.child(x=x, scale=0.25, unused=None))


class InAList(nn.Module):
    """Children that a plain list and a dictionary hold, too."""

    def __init__(self, rng: random.Random) -> None:
        super().__init__()
        self.layers = nn.ModuleList(nn.Sequential(*pair(rng)) for _ in range(2))
        self.order = [self.layers[1], self.layers[0]]
        self.named = {"first": self.layers[0]}

    def forward(self, x: Tensor) -> Tensor:
        for layer in self.order:
            x = F.relu(layer(x), inplace=True)
        return x + self.named["first"](x)


class BoundMethod(nn.Module):
    """A method that is kept as an attribute, and a function over children."""

    def __init__(self, rng: random.Random) -> None:
        super().__init__()
        self.block = nn.Sequential(*pair(rng))
        self.other = nn.Sequential(*pair(rng))
        self.call = self.block.forward

    def forward(self, x: Tensor) -> Tensor:
        return self.call(x) + self.other(x)


class Shared(nn.Module):
    """A layer that is used twice, with different norms behind it."""

    def __init__(self, rng: random.Random) -> None:
        super().__init__()
        self.convolution, self.one = pair(rng)
        _, self.two = pair(rng)

    def forward(self, x: Tensor) -> Tensor:
        return F.relu_(self.one(self.convolution(x))) + self.two(self.convolution(x))


class Returning(nn.Module):
    """Outputs in a dictionary and a tuple, and a tensor that is changed after it is returned."""

    def __init__(self, rng: random.Random) -> None:
        super().__init__()
        self.first, self.second = (nn.Sequential(*pair(rng)) for _ in range(2))

    def forward(self, x: Tensor) -> dict[str, Any]:
        kept = self.first(x)
        after = self.second(kept)
        kept.clamp_(min=0)
        return {"kept": kept, "pair": (after, kept.sum((2, 3)))}


class Branching(nn.Module):
    """A choice that depends on values."""

    def __init__(self, rng: random.Random) -> None:
        super().__init__()
        self.first, self.second = (nn.Sequential(*pair(rng)) for _ in range(2))

    def forward(self, x: Tensor) -> Tensor:
        return self.first(x) if x.mean() > 0 else self.second(x)


class Sliced(nn.Module):
    """Writing into a part of what a norm gave."""

    def __init__(self, rng: random.Random) -> None:
        super().__init__()
        self.first = nn.Sequential(*pair(rng))
        self.second = nn.Sequential(*pair(rng))

    def forward(self, x: Tensor) -> Tensor:
        y = self.first(x)
        y[:, ::2] = F.relu(y[:, ::2])
        y[..., 0] += 1.0
        return self.second(y) - y


KINDS: tuple[Callable[[random.Random], nn.Module], ...] = (
    TwoReaders, ByKeyword, CallsByKeyword, InAList, BoundMethod, Shared, Returning, Branching,
    Sliced,
)  # fmt: skip


def leaves(output: Any) -> list[Tensor]:
    return torch.utils._pytree.tree_leaves(output)


def same(one: nn.Module, other: nn.Module, x: Tensor, least: float = 1e-4) -> None:
    """Check outputs of two networks on an input."""
    with torch.no_grad():
        first, second = leaves(one(x.clone())), leaves(other(x.clone()))
    for a, b in zip(first, second, strict=True):
        error = (a.float() - b.float()).abs().max() / a.float().abs().max().clamp_min(1e-6)
        if not error <= least:
            raise WrongError(f"outputs differ by {error:.2g}")


def made(kind: Callable[[random.Random], nn.Module], seed: int) -> tuple[nn.Module, Tensor]:
    torch.manual_seed(seed)
    model = kind(random.Random(seed)).eval()
    return model, torch.randn(2, CHANNELS, 7, 9)


def folds(kind: Callable[[random.Random], nn.Module], seed: int) -> None:
    """The folded network is the same on another input of another size, with the check off."""
    model, x = made(kind, seed)
    before = copy.deepcopy(model.state_dict())
    for verify in (False, True):
        folded, _ = allowing(partial(fold, model, x, verify=verify))
        if folded is None:
            continue
        # With a choice that depends on values, what was not taken must stay as well.
        for other in (x, torch.randn(3, CHANNELS, 8, 8), -x.abs(), x.abs()):
            same(model, folded, other)
    after = model.state_dict()
    if any(not torch.equal(before[name], after[name]) for name in before):
        raise WrongError("the model was changed")


def keeps(what: str, kind: Callable[[random.Random], nn.Module], seed: int) -> None:
    """What a module has and can do beside its output stays."""
    model, x = made(kind, seed)
    if what == "frozen":
        model.requires_grad_(False)
    elif what == "channels last":
        model = model.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        x = x.contiguous(memory_format=torch.channels_last)
    elif what == "compiled":
        model = torch.compile(model, backend="eager")  # type: ignore[assignment]
    elif what == "float64":
        model, x = model.double(), x.double()
    elif what == "bfloat16":
        model, x = model.bfloat16(), x.bfloat16()
    folded, refusal = allowing(lambda: fold(model, x))
    if refusal is not None:
        raise WrongError(f"refused: {refusal}")
    if what == "frozen" and any(each.requires_grad for each in folded.parameters()):
        raise WrongError("a parameter of a frozen model requires gradients")
    if what == "channels last":
        for module in folded.modules():
            if isinstance(module, nn.Conv2d) and not module.weight.is_contiguous(
                memory_format=torch.channels_last
            ):
                raise WrongError("the layout of a weight is lost")
    if what == "pickled":
        folded = pickle.loads(pickle.dumps(folded))
    elif what == "saved whole":
        buffer = io.BytesIO()
        torch.save(folded, buffer)
        buffer.seek(0)
        folded = torch.load(buffer, weights_only=False)
    elif what == "copied":
        folded = copy.deepcopy(folded)
    elif what == "twice":
        folded = fold(folded, x)
    elif what == "its weights loaded":
        other, _ = made(kind, seed)
        with torch.no_grad():
            for each in other.parameters():
                each.mul_(1.5)
        other = fold(other, x)
        other.load_state_dict(folded.state_dict())
        folded = other
    if {each.dtype for each in folded.parameters()} != {x.dtype}:
        raise WrongError("the dtype is lost")
    same(model, folded, x, 0.1 if what == "bfloat16" else 1e-4)


def all_folded(kind: Callable[[random.Random], nn.Module], seed: int) -> None:
    """Every pair that no other reader needs is folded, or the report says why."""
    model, x = made(kind, seed)
    folded, report = fold_with_report(model, x, repeats=0)
    left = count_norms(folded, x)
    if left and not report.left and not report.notes:
        raise WrongError(f"{left} BatchNorms stay without a reason")


def in_time(pairs: int) -> None:
    """Time grows with the number of pairs and stays under 10 CPU-ms each."""
    layers: list[nn.Module] = []
    for _ in range(pairs):
        layers += [*pair(random.Random(0)), nn.ReLU(inplace=True)]
    model = nn.Sequential(*layers).eval()
    began = time.process_time()
    folded = fold(model, x := torch.randn(1, CHANNELS, 4, 4))
    each = (time.process_time() - began) / pairs
    if left := count_norms(folded, x):
        raise WrongError(f"{left} BatchNorms stay")
    if each > 0.010:
        raise WrongError(f"{1000 * each:.1f} CPU-ms for a pair")


def tries(rng: random.Random, folder: Path) -> Iterator[Try]:
    for kind in KINDS:
        for _ in range(3):
            seed = rng.randrange(10**6)
            yield Try(f"{kind.__name__} {seed}", partial(folds, kind, seed))
    for what in ("frozen", "channels last", "compiled", "float64", "bfloat16", "pickled",
                 "saved whole", "copied", "twice", "its weights loaded"):  # fmt: skip
        for kind in rng.sample((TwoReaders, CallsByKeyword, InAList, BoundMethod, Sliced), 2):
            seed = rng.randrange(10**6)
            yield Try(f"{kind.__name__}, {what}", partial(keeps, what, kind, seed))
    for kind in (TwoReaders, CallsByKeyword, InAList, BoundMethod, Shared, Sliced):
        yield Try(f"{kind.__name__}, reasons", partial(all_folded, kind, rng.randrange(999)))
    yield Try("300 pairs in time", lambda: in_time(300))
