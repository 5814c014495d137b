"""Families of tasks: what a step costs in each, and how far Adam comes.

    python benchmarks/optimizer_tasks.py speed
    python benchmarks/optimizer_tasks.py speed --families held-out --max-cost 700000
    python benchmarks/optimizer_tasks.py progress --families training
    python benchmarks/optimizer_tasks.py progress --families held-out --max-cost 700000

``speed`` prints particle-steps for a second of CPU time, one thread, of evolution strategies with
the small optimizer on 128 networks of each problem, and their harmonic mean over the problems of a
family, in which a meta-training draws them. ``progress`` trains tasks of every problem with Adam at
four rates and prints, for each family, the quartiles over tasks of the best test loss after over
that before, the share of tasks that no rate lowers by a hundredth, and the share that diverges or
ends higher at the largest.
"""

import argparse
import time

import torch

from nascence.optim import Adam, Small
from nascence.optim.compare.rollout import rollout
from nascence.optim.meta.evolution import advance, start
from nascence.optim.theta import flatten
from nascence.params import Params
from nascence.task import Stack, stacks
from nascence.tasks import CostedFamily, chosen

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


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", choices=["speed", "progress"])
    parser.add_argument("--families", default="training")
    parser.add_argument("--max-cost", type=int, default=None)
    parser.add_argument("--tasks", type=int, default=48)
    parser.add_argument("--steps", type=int, default=0)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    for family in chosen(arguments.families, max_cost=arguments.max_cost):
        if arguments.what == "speed":
            rates = speed(family, arguments.steps or 10)
            mean = len(rates) / sum(1 / rate for rate in rates)
            span = f"{min(rates):,.0f} to {max(rates):,.0f}"
            print(f"{family.name}: {mean:,.0f} ({span}), cost {family.cost:,}", flush=True)
            continue
        ratio = progress(family, arguments.tasks, arguments.steps or 100)
        best = ratio.min(0).values
        low, middle, high = best.quantile(torch.tensor([0.25, 0.5, 0.75])).tolist()
        stuck = (best > 0.99).float().mean()
        worse = (ratio[-1] > 1).float().mean()
        print(
            f"{family.name}: {low:.3f} {middle:.3f} {high:.3f}, "
            f"stuck {stuck:.2f}, worse at {RATES[-1]:g} {worse:.2f}",
            flush=True,
        )


if __name__ == "__main__":
    main()
