"""Kind 11, float64, bfloat16 and empty batches."""

import math
import random
import warnings
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import torch
from torch import Tensor, nn

from benchmarks.reliability.trying import Try, WrongError, allowing
from nascence import models
from nascence.graph import count_macs, trace
from nascence.hypernet import predict
from nascence.implicit import DEQ
from nascence.metrics import metric, metric_names

DTYPES = (torch.float64, torch.bfloat16, torch.float16)


class Cell(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(4, 4)
        with torch.no_grad():
            self.layer.weight.mul_(0.3)

    def forward(self, z: Tensor, x: Tensor) -> Tensor:
        return torch.tanh(self.layer(z) + x)


def scored(name: str, dtype: torch.dtype) -> None:
    torch.manual_seed(0)
    model = models.build("resnet20", classes=3).to(dtype)
    batch = torch.randn(4, 3, 8, 8, dtype=dtype), torch.arange(4) % 3
    found, _ = allowing(lambda: metric(name)(model, batch))
    if found is not None and not math.isfinite(found):
        raise WrongError(f"{name} is {found}")


def predicted(name: str, dtype: torch.dtype, count: int) -> None:
    torch.manual_seed(0)
    model = models.build(name, classes=3).to(dtype)
    inputs = torch.randn(count, 3, 16, 16, dtype=dtype)
    found, _ = allowing(lambda: predict(model, inputs))
    if found is None:
        return
    model.load_state_dict(found)
    kinds = {value.dtype for value in model.parameters()}
    if kinds != {dtype}:
        raise WrongError(f"parameters are {kinds}")
    with torch.no_grad():
        if not torch.isfinite(model.eval()(torch.randn(2, 3, 16, 16, dtype=dtype))).all():
            raise WrongError("outputs are not finite")


def solved(solver: str, kind: str) -> None:
    torch.manual_seed(0)
    layer = DEQ(Cell(), solver=solver, tol=1e-4, max_iter=40, warn=False)
    if kind == "frozen":
        layer.requires_grad_(False)
        out = layer(torch.randn(3, 4))
        if out.requires_grad:
            raise WrongError("the output of a frozen layer requires gradients")
        return
    if kind == "empty":
        out, _ = allowing(lambda: layer(torch.zeros(0, 4)), ValueError)
        if out is not None and out.shape != (0, 4):
            raise WrongError(f"output of shape {tuple(out.shape)}")
        if out is not None:
            out.sum().backward()
        return
    if kind == "inference mode":
        with torch.inference_mode():
            layer(torch.randn(2, 4))
        layer(torch.randn(2, 4)).sum().backward()
        return
    dtype = {"float64": torch.float64, "bfloat16": torch.bfloat16}[kind]
    layer = layer.to(dtype)
    x = torch.randn(3, 4, dtype=dtype)
    out = layer(x)
    least = 1e-3 if dtype == torch.float64 else 0.1
    if out.dtype != dtype or (layer.cell(out, x) - out).abs().max() > least:
        raise WrongError("no fixed point in its dtype")
    out.sum().backward()
    gradients = {name: value.grad for name, value in layer.named_parameters()}
    gradient = gradients["cell.layer.weight"]
    if gradient is None or not torch.isfinite(gradient).all():
        raise WrongError("no finite gradient")


def bilinear(first: int, second: int, out: int) -> None:
    """Multiply-adds of a bilinear layer: each output is a form of a pair of inputs."""

    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer = nn.Bilinear(first, second, out, bias=False)

        def forward(self, x: Tensor) -> Tensor:
            return self.layer(x[:, :first], x[:, first:])

    found = count_macs(Net(), torch.zeros(1, first + second))
    least = out * (first * second + min(first, second))
    if not out * first * second <= found <= least + out * max(first, second):
        raise WrongError(f"{found} multiply-adds for {first} x {second} x {out}")


def traced(name: str, dtype: torch.dtype, count: int) -> None:
    model = models.build(name, classes=3).to(dtype)
    wide, narrow = (model.to(kind) for kind in (dtype, torch.float32))
    del wide
    graph, _ = allowing(lambda: trace(narrow, torch.zeros(count, 3, 16, 16)))
    if graph is not None and not len(graph.nodes):
        raise WrongError("an empty graph")


def tries(rng: random.Random, folder: Path) -> Iterator[Try]:
    warnings.simplefilter("ignore")
    for name in metric_names():
        dtype = rng.choice(DTYPES)
        yield Try(f"{name}, {dtype}", partial(scored, name, dtype))
    names = sorted(
        {*models.names()} & {"resnet20", "resnet32", "resnet18", "vit_cifar", "densenet_cifar"}
    )
    for name in names[:3]:
        for dtype, count in ((torch.float64, 4), (torch.bfloat16, 4)):
            yield Try(f"predict {name}, {dtype}", partial(predicted, name, dtype, count))
    for name in names[:3]:
        yield Try(f"predict {name}, no image", partial(predicted, name, torch.float32, 0))
        yield Try(f"trace {name}, no image", partial(traced, name, torch.float64, 0))
    for solver in ("anderson", "broyden", "picard", "newton_krylov"):
        for kind in ("frozen", "empty", "inference mode", "float64", "bfloat16"):
            yield Try(f"DEQ by {solver}, {kind}", partial(solved, solver, kind))
    for _ in range(3):
        sizes = rng.randint(2, 9), rng.randint(2, 9), rng.randint(1, 9)
        yield Try(f"Bilinear {sizes}", partial(bilinear, *sizes))
