"""What the search score costs, in forward passes, beside the implementation its authors published.

    python -m benchmarks.metrics.score_cost [--quick]

NAS-Bench-201 networks with 16 channels and 5 cells a stage, batch of 128 at 32 pixels, one
thread, CPU seconds: the least of several rounds in which all of the contenders take turns.
"""

import statistics
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from benchmarks import ledger
from nascence.metrics import naswot
from nascence.spaces import NB201, Architecture
from nascence.spaces.cell import EDGES, Cell

# 3x3, 1x1, 3x3, 1x1, pool, skip: many convolutions that share their inputs.
DENSE: Architecture = (3, 2, 3, 2, 4, 1)
COLUMNS = (
    "network",
    ("forward pass", "CPU-s", "lower"),
    ("forward pass, channels last", "CPU-s", "lower"),
    ("score", "CPU-s", "lower"),
    ("published score", "CPU-s", "lower"),
    ("difference from the published formula", "", "lower"),
)
RATIOS = (
    "score / forward pass as a user calls it",
    "score / forward pass on channels-last input",
    "published implementation / score",
)


class PublishedCell(nn.Module):
    """The same cell as its authors compute it: a ReLU for every convolution, zeros for ``none``."""

    def __init__(self, cell: Cell) -> None:
        super().__init__()
        self.edges = cell.edges
        self.operations = {
            (source, target): reads if name in cell.edges else "skip_connect"
            for target, incoming in cell.incoming.items()
            for source, name, reads in incoming
        }
        self.relus = nn.ModuleDict({name: nn.ReLU() for name in cell.edges})

    def forward(self, x: Tensor) -> Tensor:
        nodes = [x]
        for target in (1, 2, 3):
            terms = [self.edge(nodes[s], s, t) for s, t in EDGES if t == target]
            nodes.append(sum(terms[1:], terms[0]))
        return nodes[3]

    def edge(self, x: Tensor, source: int, target: int) -> Tensor:
        operation, name = self.operations.get((source, target), "none"), f"{source}_{target}"
        if operation == "none":
            return x.mul(0.0)
        if operation == "skip_connect":
            return x
        return self.edges[name](self.relus[name](x) if operation == "rectified" else x)


def published_network(model: nn.Sequential) -> nn.Sequential:
    """Return the same network, its weights shared, made of published cells."""
    own = model.get_submodule("cells").children()
    cells = [PublishedCell(cell) if isinstance(cell, Cell) else cell for cell in own]
    layers = dict(model.named_children()) | {"cells": nn.Sequential(*cells)}
    return nn.Sequential(*layers.values())


def published_score(model: nn.Module, images: Tensor, *, distinct: bool = False) -> float:
    """Score as the released code does: forward and backward to mark the ReLUs, then a forward.

    Each ReLU adds c c' + (1 - c)(1 - c)'. With ``distinct``, only a new input does, and the
    marking is left out: the value that the fast score must have.
    """
    kernel = torch.zeros(len(images), len(images), dtype=torch.float64)
    marked: set[nn.Module] = set()
    held: list[Tensor] = []

    def count(module: nn.Module, inputs: tuple[Tensor, ...], _: Tensor) -> None:
        if distinct:
            if any(inputs[0] is known for known in held):
                return
            held.append(inputs[0])
        elif module not in marked:
            return
        code = (inputs[0].flatten(1) > 0).float()
        kernel.add_((code @ code.T).double()).add_(((1 - code) @ (1 - code).T).double())

    relus = [module for module in model.modules() if isinstance(module, nn.ReLU)]
    model.train()
    if not distinct:
        handles = [
            relu.register_full_backward_hook(lambda module, *_: marked.add(module))
            for relu in relus
        ]
        model(images.clone().requires_grad_()).sum().backward()
        for handle in handles:
            handle.remove()
    handles = [relu.register_forward_hook(count) for relu in relus]
    with torch.no_grad():
        model(images.clone())
    for handle in handles:
        handle.remove()
    return torch.linalg.slogdet(kernel).logabsdet.item()


def forward(model: nn.Module, images: Tensor) -> Tensor:
    with torch.no_grad():
        return model.train()(images)


def measure(space: NB201, architecture: Architecture, images: Tensor, rounds: int) -> list[float]:
    """Forward, forward channels-last, score, published score (seconds); error of the score."""
    torch.manual_seed(0)
    model = space.build(architecture)
    published = published_network(model)
    batch = images, torch.zeros(len(images), dtype=torch.long)
    last = images.contiguous(memory_format=torch.channels_last)
    values = naswot(model, batch), published_score(model, images, distinct=True)
    difference = 0.0 if values[0] == values[1] else abs(values[0] - values[1])
    fast = {
        "forward": lambda: forward(model, images),
        "channels-last": lambda: forward(model, last),
        "score": lambda: naswot(model, batch),
    }
    times = ledger.in_turns(fast, rounds)
    slow = {"published": lambda: published_score(published, images)}
    times |= ledger.in_turns(slow, max(1, rounds // 3))
    return [*(min(taken) for taken in times.values()), difference]


def main(words: Sequence[str] | None = None) -> None:
    parser = ledger.parser(__doc__)
    parser.add_argument("--quick", action="store_true", help="two networks, few rounds")
    parser.add_argument("--networks", type=int, default=8)
    parser.add_argument("--rounds", type=int, default=9)
    arguments = ledger.parse(parser, words)
    networks, rounds = (2, 3) if arguments.quick else (arguments.networks, arguments.rounds)
    generator = torch.Generator().manual_seed(0)
    space = NB201(prune=False)
    images = torch.randn(128, 3, 32, 32, generator=generator)
    sampled = [space.sample(generator=generator) for _ in range(networks - 1)]
    rows = []
    with ledger.Report(arguments) as report:
        each = report.table("CPU-seconds of each network", *COLUMNS)
        for architecture in [DENSE, *sampled]:
            plain, last, score, slow, error = measure(space, architecture, images, rounds)
            rows.append((score / plain, score / last, slow / score))
            times = (f"{seconds:.3f}" for seconds in (plain, last, score, slow))
            each.row(space.format(architecture), *times, f"{error:.0e}")
        ratios = report.table("Cost of the score", "what", "median", "range")
        for name, values in zip(RATIOS, zip(*rows, strict=True), strict=True):
            low, high = min(values), max(values)
            ratios.row(name, f"{statistics.median(values):.2f}", f"{low:.2f} to {high:.2f}")


if __name__ == "__main__":
    main()
