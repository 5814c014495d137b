"""Time and memory of one step of each learned optimizer, against Adam.

    python benchmarks/optimizer_step.py [--compile]

One thread, process CPU time, least of several, in one run with torch's fused Adam. The network
has 0.93 M parameters: a perceptron 784-784-400-10. The products of the hierarchical optimizer are
timed alone: its three layers on inputs that are there, in the same pieces. Memory is the most
that a step has allocated above what was there before it, over the parameters.
"""

import argparse
import time
from collections.abc import Callable

import torch
from torch import nn
from torch.profiler import ProfilerActivity, profile

from nascence.optim import (
    FeedForward,
    Hierarchical,
    Learned,
    LearnedOptimizer,
    Small,
    perceptron_step,
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


@torch.no_grad()
def products(optimizer: Hierarchical, count: int) -> Callable[[], None]:
    """The matrix products of the hierarchical step alone, as it makes them."""
    first, second, last = (
        optimizer.network[name].t().contiguous() for name in ("first", "second", "last")
    )
    first, last = first[:, :23].contiguous(), last[:2].contiguous()
    width = perceptron_step.PIECE
    inputs = torch.randn(23, width)
    hidden = [torch.empty(32, width) for _ in range(2)]
    out = torch.empty(2, width)

    @torch.no_grad()
    def run() -> None:
        for _ in range(-(-count // width)):
            torch.mm(first, inputs, out=hidden[0])
            torch.mm(second, hidden[0], out=hidden[1])
            torch.mm(last, hidden[1], out=out)

    return run


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=10)
    parser.add_argument("--compile", action="store_true", help="also the compiled small step")
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
    if arguments.compile:
        chosen.insert(1, ("small, 4, compiled", Small(4), True))
    for name, learned, compiled in chosen:
        optimizer = Learned(model.parameters(), weights=learned, compiled=compiled)
        taken = milliseconds(optimizer.step, arguments.repeats)
        state = sum(
            slot.numel() * slot.element_size()
            for slots in optimizer.state.values()
            for slot in slots.values()
        )
        memory = transient_bytes(optimizer.step)
        print(
            f"{name:<22}{taken:>9.1f}{taken / adam:>9.1f}{state / count:>9.2f}"
            f"{memory / count:>13.2f}"
        )
    alone = milliseconds(products(Hierarchical(), count), arguments.repeats)
    print(f"{'its products alone':<22}{alone:>9.1f}{alone / adam:>9.1f}")
    print(f"hierarchical over its products: {taken / alone:.2f}")


if __name__ == "__main__":
    main()
