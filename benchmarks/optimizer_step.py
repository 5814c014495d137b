"""Time and memory of one step of each learned optimizer, against Adam.

    python benchmarks/optimizer_step.py [--compiled]

One thread, process CPU time, least of several, in one run with torch's fused Adam. The network
has 0.93 M parameters: a perceptron 784-784-400-10. The products of the hierarchical optimizer are
timed alone, on inputs that are there, in the same pieces: those of the architecture, 54-32-32-18,
and those that are left when what a tensor's parameters share is folded into biases and what is
averaged is averaged first, 23-32-32-2. Memory is the most
that a step has allocated above what was there before it, over the parameters.
"""

import argparse
import time
from collections.abc import Callable
from itertools import pairwise

import torch
from torch import nn
from torch.profiler import ProfilerActivity, profile

from nascence.optim import (
    FeedForward,
    Hierarchical,
    Learned,
    LearnedOptimizer,
    Small,
    perceptron,
)


def network() -> nn.Module:
    torch.manual_seed(0)
    layers = (nn.Linear(784, 784), nn.ReLU(), nn.Linear(784, 400), nn.ReLU(), nn.Linear(400, 10))
    model = nn.Sequential(*layers)
    for value in model.parameters():
        value.grad = torch.randn_like(value)
    return model


def milliseconds(run: Callable[[], object], repeats: int) -> float:
    run()
    times = []
    for _ in range(repeats):
        before = time.process_time()
        run()
        times.append(1e3 * (time.process_time() - before))
    return min(times)


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


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=10)
    parser.add_argument("--compiled", action="store_true", help="also the compiled steps")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    model = network()
    count = sum(value.numel() for value in model.parameters())
    adam = milliseconds(torch.optim.Adam(model.parameters(), fused=True).step, 50)
    print(f"{count:,} parameters, one thread; fused Adam {adam:.2f} ms")
    print(f"{'optimizer':<22}{'ms':>9}{'x Adam':>9}{'state B':>9}{'transient B':>13}")
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
        print(
            f"{name:<22}{taken:>9.1f}{taken / adam:>9.1f}{state / count:>9.2f}"
            f"{memory / count:>13.2f}"
        )
    for sizes in ((54, 32, 32, 18), (23, 32, 32, 2)):
        alone = milliseconds(products(count, *sizes), arguments.repeats)
        text = "-".join(map(str, sizes))
        over = ", ".join(f"{taken / alone:.2f} {form}" for form, taken in hierarchical.items())
        print(f"products {text:<13}{alone:>9.1f}; hierarchical over them {over}")


if __name__ == "__main__":
    main()
