"""Families of tasks: what a step costs in each, and how far Adam comes.

    python -m benchmarks.optim.tasks speed
    python -m benchmarks.optim.tasks speed --families held-out --max-cost 700000
    python -m benchmarks.optim.tasks progress --families training
    python -m benchmarks.optim.tasks progress --families held-out --max-cost 700000

``speed`` prints particle-steps for a second of CPU time, one thread, of evolution strategies with
the small optimizer on 128 networks of each problem, and their harmonic mean over the problems of a
family, in which a meta-training draws them. ``progress`` trains tasks of every problem with Adam at
four rates and prints, for each family, the quartiles over tasks of the best test loss after over
that before, the share of tasks that no rate lowers by a hundredth, and the share that diverges or
ends higher at the largest.
"""

import time
from collections.abc import Sequence

import torch

from benchmarks import ledger
from nascence.optim import Adam, Small
from nascence.optim.compare.rollout import rollout
from nascence.optim.meta.evolution import advance, start
from nascence.optim.theta import flatten
from nascence.params import Params
from nascence.task import Stack, stacks
from nascence.tasks import CostedFamily, chosen

SPEED = (
    "family",
    ("particle-steps", "a CPU-second", "higher"),
    "lowest and highest problem",
    ("multiply-adds of a step", "at most", "lower"),
)
PROGRESS = (
    "family",
    ("loss after over before", "quartiles over tasks", "lower"),
    ("tasks that no rate lowers", "share", "lower"),
    ("worse at the largest rate", "share", "lower"),
)
PAIRS = 64
RATES = (1e-3, 1e-2, 1e-1, 1.0)


def groups(family: CostedFamily, count: int) -> list[Stack]:
    """``count`` tasks of a family by problem."""
    return stacks(family.task(index) for index in range(min(count, len(family))))


def speed(family: CostedFamily, steps: int) -> list[float]:
    """Particle-steps for a second of CPU time of each problem."""
    optimizer, rates = Small(4), []
    generator = torch.Generator().manual_seed(0)
    for group in groups(family, 512):
        which = torch.arange(PAIRS) % len(group)
        constants = {name: value[which] for name, value in group.constants.items()}
        stack = Stack(tuple(str(k) for k in range(PAIRS)), group.problem, constants)
        unroll = start(optimizer, stack, length=1000, generator=generator)
        theta = flatten(optimizer)
        unroll, _ = advance(optimizer, theta, stack, unroll, window=2, generator=generator)
        begun = time.process_time()
        _, found = advance(optimizer, theta, stack, unroll, window=steps, generator=generator)
        rates.append(found.particle_steps / (time.process_time() - begun))
    return rates


def progress(family: CostedFamily, tasks: int, steps: int) -> torch.Tensor:
    """Test losses after over before, ``(rates, tasks)``."""
    adam, found = Adam(1e-3), []
    generator = torch.Generator().manual_seed(0)
    names = dict(adam.named_parameters())
    theta: Params = {
        name: value.detach().expand(len(RATES)).clone() for name, value in names.items()
    }
    theta["log_rate"] = torch.tensor(RATES).log()
    for stack in groups(family, tasks):
        done = rollout(adam, stack, steps=steps, generator=generator, theta=theta)
        found.append(done.final / done.first.abs().clamp(min=1e-30))
    return torch.cat(found, 1)


def main(words: Sequence[str] | None = None) -> None:
    parser = ledger.parser(__doc__)
    parser.add_argument("what", choices=["speed", "progress"])
    parser.add_argument("--families", default="training")
    parser.add_argument("--max-cost", type=int, default=None)
    parser.add_argument("--tasks", type=int, default=48)
    parser.add_argument("--steps", type=int, default=0)
    arguments = ledger.parse(parser, words)
    families = chosen(arguments.families, max_cost=arguments.max_cost)
    with ledger.Report(arguments) as report:
        if arguments.what == "speed":
            table = report.table("Speed of each family", *SPEED)
            for family in families:
                rates = speed(family, arguments.steps or 10)
                mean = len(rates) / sum(1 / rate for rate in rates)
                span = f"{min(rates):,.0f} to {max(rates):,.0f}"
                table.row(family.name, f"{mean:,.0f}", span, f"{family.cost:,}")
            return
        table = report.table("How far Adam comes in each family", *PROGRESS)
        for family in families:
            ratio = progress(family, arguments.tasks, arguments.steps or 100)
            best = ratio.min(0).values
            quartiles = best.quantile(torch.tensor([0.25, 0.5, 0.75])).tolist()
            stuck = (best > 0.99).float().mean()
            worse = (ratio[-1] > 1).float().mean()
            shares = f"{stuck:.2f}", f"{worse:.2f}"
            table.row(family.name, ", ".join(f"{value:.3f}" for value in quartiles), *shares)


if __name__ == "__main__":
    main()
