"""Solvers on a convolutional cell: evaluations, CPU-seconds, gradient error, memory.

    python -m benchmarks.implicit.cell [--peer] [--only NAME]
    python -m benchmarks.implicit.cell --memory

The cell is 48 channels at 32 x 32 pixels, batch 16, its weights scaled so that the spectral
radius of its Jacobian at the fixed point is 0.82. Gradients are compared with those of a 70-layer
unrolled network. ``--peer`` runs torchdeq (pip install torchdeq) in the same process, in turns
with ours. ``--memory`` measures the peak above weights and input from 10 to 100 iterations, each
in a process of its own.
"""

import argparse
import functools
import resource
import statistics
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from benchmarks import ledger
from nascence.implicit import (
    DEQ,
    Implicit,
    Phantom,
    anderson,
    broyden,
    spectral_radius,
    unrolled,
)

COLUMNS = (
    "solver and tolerance",
    ("evaluations forward", "", "lower"),
    ("products backward", "", "lower"),
    ("forward and backward", "CPU-s", "lower"),
    ("error of the gradient", "relative", "lower"),
    ("residual", "relative", "lower"),
)
RADIUS, CHANNELS, INNER, SIDE, BATCH = 0.82, 48, 64, 32, 16


class Cell(nn.Module):
    """Residual block with GroupNorm whose input enters in the middle."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(CHANNELS, INNER, 3, padding=1, bias=False)
        self.conv2 = nn.Conv2d(INNER, CHANNELS, 3, padding=1, bias=False)
        self.norm1 = nn.GroupNorm(8, INNER)
        self.norm2 = nn.GroupNorm(8, CHANNELS)
        self.norm3 = nn.GroupNorm(8, CHANNELS)
        for conv in (self.conv1, self.conv2):
            nn.init.normal_(conv.weight, 0, 0.01)

    def forward(self, z: Tensor, x: Tensor) -> Tensor:
        y = self.norm1(F.relu(self.conv1(z)))
        return self.norm3(F.relu(z + self.norm2(x + self.conv2(y))))


def scaled_cell(x: Tensor) -> Cell:
    """A cell whose second convolution is scaled until the radius is 0.82, by bisection."""
    cell = Cell()
    start = cell.conv2.weight.detach().clone()
    low, high = 0.1, 10.0
    for _ in range(12):
        factor = (low * high) ** 0.5
        with torch.no_grad():
            cell.conv2.weight.copy_(factor * start)
        z = DEQ(cell, tol=1e-5, max_iter=200, warn=False)(x[:2]).detach()
        radius = spectral_radius(
            lambda z: cell(z, x[:2]), z, iterations=60, generator=torch.Generator().manual_seed(0)
        )
        low, high = (factor, high) if radius.max() < RADIUS else (low, factor)
    return cell


def gradients(cell: Cell, out: Tensor, target: Tensor) -> Tensor:
    """The gradient of a linear loss by all weights, flat."""
    rows = torch.autograd.grad((out * target).sum(), list(cell.parameters()))
    return torch.cat([row.flatten() for row in rows])


def contenders(cell: Cell, x: Tensor, peer: bool) -> dict[str, Callable[[], Tensor]]:
    """What is compared, by name."""

    def ours(solver: Any, tol: float, backward: Any) -> Callable[[], Tensor]:
        layer = DEQ(cell, solver=solver, tol=tol, max_iter=100, backward=backward)
        return functools.partial(layer, x)

    found: dict[str, Callable[[], Tensor]] = {}
    for tol in (1e-3, 1e-5):
        for solver in ("picard", "anderson", "broyden", "newton_krylov"):
            found[f"{solver} {tol:.0e}"] = ours(solver, tol, Implicit("gmres", tol, 100))
        found[f"anderson {tol:.0e}, anderson back"] = ours(
            "anderson", tol, Implicit("anderson", tol, 100)
        )
    found["anderson 1e-05, phantom 5"] = ours("anderson", 1e-5, Phantom(5, 0.7))
    for depth in (12, 30):
        found[f"unrolled {depth}"] = functools.partial(unrolled_layer(cell, depth), x)
    if peer:
        from torchdeq import get_deq

        for tol in (1e-3, 1e-5):
            for solver in ("anderson", "broyden", "fixed_point_iter"):
                layer = get_deq(
                    f_solver=solver,
                    b_solver=solver,
                    f_max_iter=100,
                    b_max_iter=100,
                    f_tol=tol,
                    b_tol=tol,
                    f_stop_mode="rel",
                    b_stop_mode="rel",
                    ift=True,
                )
                layer.train()
                found[f"torchdeq {solver} {tol:.0e}"] = functools.partial(_peer, layer, cell, x)
    return found


def unrolled_layer(cell: Cell, depth: int) -> Callable[[Tensor], Tensor]:
    """The cell applied ``depth`` times from zero."""

    def apply(x: Tensor) -> Tensor:
        z = torch.zeros_like(x)
        for _ in range(depth):
            z = cell(z, x)
        return z

    return apply


def _peer(layer: Any, cell: Cell, x: Tensor) -> Tensor:
    return layer(lambda z: cell(z, x), torch.zeros_like(x))[0][-1]


def evaluations(cell: Cell, run: Callable[[], Tensor], target: Tensor) -> tuple[int, int]:
    """Evaluations of the cell in the forward pass, and products with its Jacobian behind it."""
    counts = [0, 0]

    def forward_seen(*_: Any) -> None:
        counts[0] += 1

    def backward_seen(*_: Any) -> None:
        counts[1] += 1

    first = cell.norm3.register_forward_hook(forward_seen)
    second = cell.norm3.register_full_backward_hook(backward_seen)
    gradients(cell, run(), target)
    first.remove()
    second.remove()
    return counts[0], counts[1]


def compare(options: argparse.Namespace) -> None:
    generator = torch.Generator().manual_seed(0)
    torch.manual_seed(0)
    x = torch.randn(BATCH, CHANNELS, SIDE, SIDE, generator=generator)
    target = torch.randn(BATCH, CHANNELS, SIDE, SIDE, generator=generator)
    cell = scaled_cell(x)
    exact = gradients(cell, unrolled_layer(cell, 70)(x), target)
    runs = contenders(cell, x, options.peer)
    runs = {name: run for name, run in runs.items() if options.only in name}
    passes = {name: lambda run=run: gradients(cell, run(), target) for name, run in runs.items()}
    seconds = ledger.in_turns(passes, options.repeats, warm_up=0)
    with ledger.Report(options) as report:
        table = report.table("Forward and backward pass", *COLUMNS)
        for name, run in runs.items():
            error = (passes[name]() - exact).norm() / exact.norm()
            forward, backward = evaluations(cell, run, target)
            with torch.no_grad():
                z = run()
                residual = (cell(z, x) - z).flatten(1).norm(dim=1) / z.flatten(1).norm(dim=1)
            taken = f"{statistics.median(seconds[name]):.2f}"
            worst = f"{residual.max().item():.1e}"
            table.row(name, forward, backward, taken, f"{error.item():.2g}", worst)


def one_memory(kind: str, iterations: int) -> None:
    """Peak resident megabytes of a forward and a backward pass above weights and input."""
    torch.manual_seed(0)
    x = torch.randn(BATCH, CHANNELS, SIDE, SIDE)
    cell = Cell()
    fixed: dict[str, Any] = {"tol": 1e-30, "max_iter": iterations, "warn": False}
    layer: nn.Module
    if kind == "unrolled":
        layer = unrolled(DEQ(cell), iterations)
    elif kind == "phantom":
        layer = DEQ(cell, backward=Phantom(5, 0.7), **fixed)
    else:
        solver = {"anderson": anderson, "broyden": broyden}[kind]
        layer = DEQ(cell, solver=solver, backward=Implicit(solver, 1e-3, 30), **fixed)
    before = resident_now()
    layer(x).sum().backward()
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(peak - before)


def resident_now() -> float:
    """Resident megabytes of this process."""
    with Path("/proc/self/statm").open() as file:
        return int(file.read().split()[1]) * resource.getpagesize() / 2**20


def memory(options: argparse.Namespace) -> None:
    counts = (10, 20, 40, 70, 100)
    columns = [(f"{count} iterations", "MB", "lower") for count in counts]
    with ledger.Report(options) as report:
        table = report.table("Peak memory above weights and input", "kind", *columns)
        for kind in ("anderson", "broyden", "phantom", "unrolled"):
            row: list[ledger.Cell] = []
            for count in counts:
                if kind == "unrolled" and count > 40:
                    row.append(None)
                    continue
                command = [sys.executable, "-m", "benchmarks.implicit.cell", "--one", kind]
                command.append(str(count))
                done = subprocess.run(command, capture_output=True, text=True, check=True)
                row.append(f"{float(done.stdout):.0f}")
            table.row(kind, *row)


def main(words: Sequence[str] | None = None) -> None:
    parser = ledger.parser(__doc__)
    parser.add_argument("--peer", action="store_true")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--only", default="", help="names that contain this")
    parser.add_argument("--memory", action="store_true")
    parser.add_argument("--one", nargs=2)
    options = ledger.parse(parser, words)
    if options.one:
        one_memory(options.one[0], int(options.one[1]))
    elif options.memory:
        memory(options)
    else:
        compare(options)


if __name__ == "__main__":
    main()
