"""Predicted against measured latency: sums of a table, and 40 random networks it has not seen.

    python -m benchmarks.latency.tables --out latency

For each space and batch the choices are timed in their places in whole networks, alone on an input
of the same shape, and random networks as wholes, in turn, so that load on the machine falls on
all; one thread. Printed is the mean relative error of the sum, by where the choices were timed, by
the clock (CPU time of the thread, or wall) and by what the passes are reduced to, which is the same
for the networks that are predicted. A finished row is kept in ``--out`` and not measured again.
"""

import json
import statistics
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import torch
from torch import Tensor, nn

from benchmarks import ledger
from nascence.latency.measurement import PLAIN, Observations, observe, table_of
from nascence.spaces import Darts, Mobile, ShuffleNetSpace, Zero
from nascence.supernets import SuperNet

Space = Mobile | ShuffleNetSpace | Darts
SIDE = 32
FRESH = 40
SPACES: dict[str, Callable[[], Space]] = {
    "Mobile, width .25": lambda: Mobile(
        classes=10, width=0.25, last=256, side=SIDE, **Mobile.strides_for(SIDE)
    ),
    "ShuffleNetV2, width .25": lambda: ShuffleNetSpace(
        classes=10, width=0.25, last=256, side=SIDE, **ShuffleNetSpace.strides_for(SIDE)
    ),
    "DARTS, width 8, 3 cells": lambda: Darts(width=8, cells=3),
}
CLOCKS = {"cpu": time.thread_time, "wall": time.perf_counter}
REDUCED: dict[str, Callable[[Sequence[float]], float]] = {
    "median": statistics.median,
    "minimum": min,
}


class Alone:
    """Times every candidate on its own, one a call, on an input of the shape that it has."""

    def __init__(self, space: Space, images: Tensor, clock: Callable[[], float]) -> None:
        self.clock = clock
        self.work: list[tuple[tuple[int, int], nn.Module, Tensor]] = []
        supernet = SuperNet(space, affine=True, statistics="tracked").eval()
        for parameter in supernet.parameters():
            parameter.data = parameter.data.contiguous()
        numbers = {decision.name: n for n, decision in enumerate(space.decisions)}
        inputs: dict[int, Tensor] = {}
        handles = [
            mixed.register_forward_pre_hook(
                lambda module, given: inputs.__setitem__(module.place, given[0])
            )
            for mixed in supernet.operations()
        ]
        even = [torch.full((len(d.choices),), 1 / len(d.choices)) for d in space.decisions]
        with torch.no_grad():
            supernet(images, even)
        for handle in handles:
            handle.remove()
        for mixed in supernet.operations():
            for key, candidate in mixed.candidates.items():
                if not isinstance(candidate, Zero):
                    place = (numbers[mixed.decision], int(key))
                    self.work.append((place, candidate, inputs[mixed.place]))
        self.times: list[list[float]] = [[] for _ in self.work]
        self.calls = 0

    def __call__(self, fraction: float) -> None:
        for _ in range(3):
            number = self.calls % len(self.work)
            candidate, given = self.work[number][1:]
            candidate(given)
            started = self.clock()
            candidate(given)
            self.times[number].append(1e3 * (self.clock() - started))
            self.calls += 1

    def observations(self, found: Observations, reduce: Callable) -> Observations:
        """Those of ``found`` with choices as timed alone, added up over their places."""
        sums: dict[tuple[int, int], list[float]] = {}
        for (place, _, _), times in zip(self.work, self.times, strict=True):
            sums[place] = [sums.get(place, [0.0])[0] + reduce(times)]
        return found._replace(choices=sums)


def measured(space: Space, batch: int, clock: str, passes: int) -> dict:
    """Errors by where the choices were timed and how passes are reduced."""
    generator = torch.Generator().manual_seed(0)
    torch.manual_seed(0)
    images = torch.randn(batch, space.in_channels, SIDE, SIDE, generator=generator)
    alone = Alone(space, images, CLOCKS[clock])
    found = observe(
        space, images, generator=generator, networks=15, passes=passes,
        plain=PLAIN + FRESH, clock=CLOCKS[clock], progress=alone,
    )  # fmt: skip
    known, fresh = found.networks[:PLAIN], found.networks[PLAIN:]
    row: dict = {}
    for name, reduce in REDUCED.items():
        truth = [reduce(times) for _, times in fresh]
        for where, seen in (("in place", found), ("alone", alone.observations(found, reduce))):
            table = table_of(
                seen._replace(networks=known), space, side=SIDE, batch_size=batch, reduce=reduce
            )
            sums = [table.of(architecture) for architecture, _ in fresh]
            errors = [abs(s / t - 1) for s, t in zip(sums, truth, strict=True)]
            row[f"{where}, {name}"] = {
                "mean": statistics.mean(errors),
                "largest": max(errors),
                "bias": statistics.mean(s / t - 1 for s, t in zip(sums, truth, strict=True)),
                "correlation": statistics.correlation(sums, truth),
            }
        row[f"spread, {name}"] = statistics.stdev(truth) / statistics.mean(truth)
        row[f"milliseconds, {name}"] = statistics.mean(truth)
    return row


def main(words: Sequence[str] | None = None) -> None:
    parser = ledger.parser(__doc__)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--batches", type=int, nargs="+", default=[1, 8])
    parser.add_argument("--clocks", nargs="+", default=["cpu", "wall"], choices=list(CLOCKS))
    parser.add_argument("--passes", type=int, default=3)
    parsed = ledger.parse(parser, words)
    parsed.out.mkdir(parents=True, exist_ok=True)
    kept = parsed.out / "latency.json"
    rows = json.loads(kept.read_text()) if kept.exists() else {}
    for clock in parsed.clocks:
        for name, make in SPACES.items():
            for batch in parsed.batches:
                key = f"{name}, batch {batch}, {clock}"
                if key not in rows:
                    started = time.process_time()
                    rows[key] = measured(make(), batch, clock, parsed.passes)
                    rows[key]["cpu seconds"] = time.process_time() - started
                    kept.write_text(json.dumps(rows, indent=1))
    ways = [f"{where}, {name}" for where in ("in place", "alone") for name in REDUCED]
    errors = [(way, "% mean error, largest; correlation", "lower") for way in ways]
    before = "space, batch, clock", ("mean latency", "ms", "lower"), ("spread", "%", "")
    with ledger.Report(parsed) as report:
        table = report.table("Errors of the sums", *before, *errors, ("cost", "CPU-s", "lower"))
        for key, row in rows.items():
            cells = [
                f"{100 * row[way]['mean']:.1f}, {100 * row[way]['largest']:.0f}; "
                f"{row[way]['correlation']:.2f}"
                for way in ways
            ]
            ms, deviation = f"{row['milliseconds, median']:.2f}", f"{row['spread, median']:.0%}"
            table.row(key, ms, deviation, *cells, f"{row['cpu seconds']:.0f}")


if __name__ == "__main__":
    main()
