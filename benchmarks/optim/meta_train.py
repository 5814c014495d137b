"""Meta-train the released small optimizer, and compare it on tasks that it has not seen.

    python -m benchmarks.optim.meta_train train --out runs/optimizer
    python -m benchmarks.optim.meta_train evaluate --out found.json

``evaluate`` trains two tasks of each of ten families, three times from other starts, with Adam
at 0.001, the untrained start, the meta-trained optimizer, and Adam with the best of 14 learning
rates for each task. Of five families other tasks were seen in meta-training; five are new to it. A
normalised loss is ``(L - best) / (first - best)``, with test losses L after and first before the
training, and best the lowest that any rate of Adam reached from that start; 1 is no progress, below
0 is better than the best rate, and what is worse than at first, or diverged, counts as 1 in means.
"""

import argparse
import hashlib
import json
from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor

from benchmarks import ledger
from nascence.core.files import write_whole
from nascence.optim import Adam, LearnedOptimizer, Small, load, meta_train
from nascence.optim.compare.rollout import Rollout, rollout
from nascence.optim.native import compiled
from nascence.optim.theta import fill_, flatten
from nascence.params import Params
from nascence.task import Stack, Task, stacks, training_tasks
from nascence.tasks import FAMILIES, TRAINING

HELD_OUT = 0.2
RATES = [3e-7] + [factor * 10.0**power for power in range(-6, 0) for factor in (1, 3)] + [1.0]
# Tasks of a family from which those of one problem are taken.
LOOKED_AT = 100
SEEN = ("quadratic", "mlp", "softmax", "recurrent", "function")
UNSEEN = ("autoregressive-flow", "coupling-flow", "variational", "regression", "text")


def unseen(count: int) -> dict[str, Stack]:
    """``count`` tasks of each of ten families that meta-training did not have.

    Of the families in `SEEN` they are among the last fifth of the tasks, of one problem each.
    """
    found = {}
    for name in (*SEEN, *UNSEEN):
        family = FAMILIES[name]()
        first = training_tasks(len(family), HELD_OUT) if name in SEEN else 0
        groups = stacks(family.task(index) for index in range(first, first + LOOKED_AT))
        largest = groups[len(name) % len(groups)]  # any, but the same every time
        found[name] = Stack.of(
            [Task(largest.names[k], largest.problem, largest.constants_of(k)) for k in range(count)]
        )
    return found


def evaluate(arguments: argparse.Namespace) -> None:
    """Compare optimizers on tasks that were not seen."""
    trained = load(arguments.weights)
    if arguments.compiled:
        trained = compiled(trained)
    digest = hashlib.blake2b(flatten(trained).numpy().tobytes(), digest_size=8).hexdigest()
    path = arguments.out
    done: dict[str, dict[str, list[list[float]]]] = (
        json.loads(path.read_text()) if path.exists() else {}
    )
    families = unseen(arguments.tasks)
    for number, (family, tasks) in enumerate(families.items()):
        found = done.setdefault(family, {})
        names = tasks.names * arguments.repetitions
        constants = {k: torch.cat([v] * arguments.repetitions) for k, v in tasks.constants.items()}
        stack = Stack(names, tasks.problem, constants)
        # The same starts and batches for every optimizer; others in every repetition.
        seed = 1000 * arguments.seed + number
        if "adam" not in found:
            result = trainings(Adam(), rates(), stack, arguments.steps, seed)
            found["first"], found["adam"] = result.first[:1].tolist(), result.final.tolist()
            write_whole(path, json.dumps(done).encode())
        if digest not in found and not arguments.baselines:
            both = {
                name: torch.stack([one.detach(), other.detach()])
                for (name, one), other in zip(
                    type(trained)(**trained.settings).named_parameters(),
                    trained.parameters(),
                    strict=True,
                )
            }
            told, alone = (
                trainings(trained, both, stack, arguments.steps, seed, known=known).final
                for known in (True, False)
            )
            found[digest] = [*told.tolist(), alone[1].tolist()]
            write_whole(path, json.dumps(done).encode())
    if not arguments.baselines:
        shape = (arguments.repetitions, arguments.tasks)
        tables = [normalised(done[family], digest, shape) for family in families]
        with ledger.Report(arguments) as printed:
            report(printed, tables, list(families))


def trainings(
    optimizer: LearnedOptimizer,
    theta: Params,
    stack: Stack,
    steps: int,
    seed: int,
    *,
    known: bool = False,
) -> Rollout:
    """A training of every task with every theta."""
    generator = torch.Generator().manual_seed(seed)
    return rollout(optimizer, stack, steps=steps, generator=generator, theta=theta, known=known)


def normalised(
    found: dict[str, list[list[float]]], digest: str, shape: tuple[int, int]
) -> dict[str, Tensor]:
    """Losses ``(repetitions, tasks)`` of one family, by optimizer."""
    first, adam = torch.tensor(found["first"])[0], torch.tensor(found["adam"])
    best = adam.min(0).values
    finals = {"adam, best of 14": best, "adam 0.001": adam[RATES.index(1e-3)]}
    names = ("untrained", "trained", "trained, length not told")
    finals |= dict(zip(names, torch.tensor(found[digest]), strict=True))
    return {name: ((final - best) / (first - best)).view(shape) for name, final in finals.items()}


def rates() -> Params:
    """Theta of Adam at each of the 14 rates."""
    adam = Adam()
    theta = {name: value.detach().expand(len(RATES)) for name, value in adam.named_parameters()}
    return {**theta, "log_rate": torch.tensor(RATES).log()}


def report(printed: ledger.Report, tables: list[dict[str, Tensor]], families: list[str]) -> None:
    """Medians over all tasks for each repetition, and for each family over repetitions."""
    shown: ledger.Table | None = None
    for name in tables[0]:
        table = torch.stack([table[name] for table in tables], 1)  # (repetitions, families, tasks)
        medians = table.flatten(1).quantile(0.5, dim=1)
        facts = {
            "median": medians.mean().item(),
            **{f"median {k}": median for k, median in enumerate(medians.tolist(), 1)},
            "mean": table.clamp(-1, 1).mean().item(),
            "worse than at first": (table > 1).float().mean().item(),
            **{
                f"{family}, median": table[:, k].median().item()
                for k, family in enumerate(families)
            },
        }
        if shown is None:
            columns = [(key, "", "lower") for key in facts]
            shown = printed.table("Normalised test loss", "optimizer", *columns)
        shown.row(name, *(f"{value:.3f}" for value in facts.values()))


def train(arguments: argparse.Namespace) -> None:
    """Meta-train the small optimizer."""
    optimizer = Small(4)
    if arguments.start is not None:
        fill_(optimizer, flatten(load(arguments.start)))
    result = meta_train(
        optimizer,
        [FAMILIES[name]() for name in TRAINING],
        out=arguments.out,
        seed=arguments.seed,
        steps=arguments.steps,
        workers=arguments.workers,
        cohorts=4,
        pairs=64,
        window=25,
        lengths=(50, 1000),
        ramp=400,
        method=arguments.method,
        measure_every=5,
        learning_rate=arguments.learning_rate,
        held_out=HELD_OUT,
        checkpoint_seconds=60,
        compiled=arguments.compiled,
    )
    rate = result.particle_steps / result.seconds
    with ledger.Report(arguments) as report:
        report.table(
            "Meta-training", "outer steps", "particle-steps", ("particle-steps a s", "", "higher")
        ).row(result.steps, f"{result.particle_steps:,}", f"{rate:,.0f}")


def main(words: Sequence[str] | None = None) -> None:
    parser = ledger.parser(__doc__)
    runs = {"train": train, "evaluate": evaluate}
    training, evaluation = ledger.commands(parser, runs).values()
    training.add_argument("--out", type=Path, required=True)
    training.add_argument("--steps", type=int, default=1500)
    training.add_argument("--workers", type=int, default=1)
    training.add_argument("--compiled", action="store_true", help="the loop in C++")
    training.add_argument("--start", help="weights to start from")
    training.add_argument("--method", default="single")
    training.add_argument("--learning-rate", type=float, default=3e-3)
    training.add_argument("--seed", type=int, default=0)
    evaluation.add_argument("--weights", default="optimizer-small")
    evaluation.add_argument("--tasks", type=int, default=2, help="of each family")
    evaluation.add_argument("--steps", type=int, default=500)
    evaluation.add_argument("--repetitions", type=int, default=3)
    evaluation.add_argument("--seed", type=int, default=0)
    evaluation.add_argument(
        "--out", type=Path, required=True, help="losses so far; what is there is not done again"
    )
    evaluation.add_argument("--compiled", action="store_true", help="the loop in C++")
    evaluation.add_argument("--baselines", action="store_true", help="those of Adam alone")
    arguments = ledger.parse(parser, words)
    arguments.run(arguments)


if __name__ == "__main__":
    main()
