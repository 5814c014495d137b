"""Time and memory of one step of each learned optimizer, against Adam.

    python -m benchmarks.optim.step [--compiled]

One thread, process CPU time, least of several, in one run with torch's fused Adam. The network
has 0.93 M parameters: a perceptron 784-784-400-10. The products of the hierarchical optimizer are
timed alone, on inputs that are there, in the same pieces: those of the architecture, 54-32-32-18,
and those that are left when what a tensor's parameters share is folded into biases and what is
averaged is averaged first, 23-32-32-2. Memory is the most
that a step has allocated above what was there before it, over the parameters.
"""

import argparse
from collections.abc import Callable, Sequence
from itertools import pairwise

import torch
from torch import nn
from torch.profiler import ProfilerActivity, profile

from benchmarks import ledger
from nascence.optim import (
    FeedForward,
    Hierarchical,
    Learned,
    LearnedOptimizer,
    Small,
    perceptron,
)

COLUMNS = (
    "optimizer",
    ("step", "CPU-ms", "lower"),
    ("beside fused Adam", "times", "lower"),
    ("state", "bytes a parameter", "lower"),
    ("transient memory", "bytes a parameter", "lower"),
)


def network() -> nn.Module:
    torch.manual_seed(0)
    layers = (nn.Linear(784, 784), nn.ReLU(), nn.Linear(784, 400), nn.ReLU(), nn.Linear(400, 10))
    model = nn.Sequential(*layers)
    for value in model.parameters():
        value.grad = torch.randn_like(value)
    return model


def milliseconds(run: Callable[[], object], repeats: int) -> float:
    """CPU-milliseconds of a call, the least of several."""
    return 1e3 * min(ledger.in_turns({"": run}, repeats)[""])


def transient_bytes(run: Callable[[], object]) -> int:
    """The most that was allocated at once, from the profiler's record of the allocator."""
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as record:
        run()
    held = most = 0
    events = [e for e in record.profiler.kineto_results.events() if e.name() == "[memory]"]
    for event in sorted(events, key=lambda event: event.start_ns()):
        held += event.nbytes()
        most = max(most, held)
    return most


def products(count: int, *sizes: int) -> Callable[[], None]:
    """Matrix products alone, for ``count`` parameters in the pieces of the step."""
    width = perceptron.PIECE
    weights = [torch.randn(b, a) for a, b in pairwise(sizes)]
    layers = [torch.randn(size, width) for size in sizes]

    @torch.no_grad()
    def run() -> None:
        for _ in range(-(-count // width)):
            for weight, before, after in zip(weights, layers, layers[1:], strict=False):
                torch.mm(weight, before, out=after)

    return run


def main(words: Sequence[str] | None = None) -> None:
    parser = ledger.parser(__doc__)
    parser.add_argument("--repeats", type=int, default=10)
    parser.add_argument("--compiled", action="store_true", help="also the compiled steps")
    arguments = ledger.parse(parser, words)
    model = network()
    count = sum(value.numel() for value in model.parameters())
    adam = milliseconds(torch.optim.Adam(model.parameters(), fused=True).step, 50)
    with ledger.Report(arguments) as report:
        title = f"One step, {count:,} parameters; torch's fused Adam {adam:.2f} CPU-ms"
        show(report.table(title, *COLUMNS), report, model, adam, arguments)


def show(
    table: ledger.Table,
    report: ledger.Report,
    model: nn.Module,
    adam: float,
    arguments: argparse.Namespace,
) -> None:
    """Measure every optimizer, and matrix products alone."""
    count = sum(value.numel() for value in model.parameters())
    chosen: list[tuple[str, LearnedOptimizer, bool]] = [
        ("small, 4 hidden", Small(4), False),
        ("small, 8 hidden", Small(8), False),
        ("feed-forward", FeedForward(), False),
        ("hierarchical", Hierarchical(), False),
    ]
    if arguments.compiled:
        chosen += [
            ("small, 4, compiled", Small(4), True),
            ("small, 8, compiled", Small(8), True),
            ("hierarchical, compiled", Hierarchical(), True),
        ]
    hierarchical = {}
    for name, learned, compiled in chosen:
        optimizer = Learned(model.parameters(), weights=learned, compiled=compiled)
        taken = milliseconds(optimizer.step, arguments.repeats)
        state = sum(
            slot.numel() * slot.element_size()
            for slots in optimizer.state.values()
            for slot in slots.values()
        )
        if isinstance(learned, Hierarchical):
            hierarchical["compiled" if compiled else "as it is"] = taken
        memory = transient_bytes(optimizer.step)
        times = f"{taken:.1f}", f"{taken / adam:.1f}"
        table.row(name, *times, f"{state / count:.2f}", f"{memory / count:.2f}")
    ratios = [(f"hierarchical {form}", "times", "lower") for form in hierarchical]
    alone_table = report.table("Matrix products alone", "sizes", ("time", "CPU-ms", ""), *ratios)
    for sizes in ((54, 32, 32, 18), (23, 32, 32, 2)):
        alone = milliseconds(products(count, *sizes), arguments.repeats)
        over = (f"{taken / alone:.2f}" for taken in hierarchical.values())
        alone_table.row("-".join(map(str, sizes)), f"{alone:.1f}", *over)


if __name__ == "__main__":
    main()
