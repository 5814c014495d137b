"""Make the list of settings in src/nascence/weights/opt-list.safetensors.

    python -m benchmarks.optim.make_opt_list --work runs/opt-list --out opt-list.safetensors

Settings drawn from the space of the published list (Metz et al. 2020, arXiv:2002.11887) are tried
on tasks of the first four fifths of each family; their validation losses, normalised for each task
by the loss before the first step and the lowest of all, decide the order. Losses are kept in
``--work`` in pieces, so that a run which was interrupted goes on.
"""

import argparse
import json
import math
import time
from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from benchmarks import ledger
from nascence.core.randomness import derived_seed
from nascence.core.weights import write_weights
from nascence.optim.baselines.opt_list import FORMAT
from nascence.optim.baselines.tuned_adam import NAdamWCosine
from nascence.optim.compare.rollout import mean_losses
from nascence.optim.compare.trials import normalise, run_trials
from nascence.params import Params
from nascence.task import Stack, stacks, training_tasks
from nascence.tasks import family

# Tasks of each family, of problems whose step costs no more than LARGEST_COST.
TASKS = {
    "quadratic": 16,
    "function": 20,
    "softmax": 5,
    "mlp": 3,
    "autoencoder": 1,
}
LARGEST_COST = 215_000
HELD_OUT = 0.2
BATCHES = 5
# Candidates that are tried between two results on disk.
CHUNK = 250


def sample_nadamw(count: int, *, generator: torch.Generator) -> Params:
    """Theta ``(count,)`` of `NAdamWCosine`, drawn from the space of the published opt_list.

    Log-uniform: rate 1e-5 to 1, 1 - beta1 1e-3 to 1, 1 - beta2 1e-5 to 1, epsilon 1e-8 to 10,000.
    Nesterov for half; for a third each weight decay, l2 or both, 1e-5 to 0.1; for half a warm-up of
    1e-5 to 0.1; a floor of 0 for half, of 1e-5 to 1 for the others; constant for a uniform share.
    """
    drawn = torch.rand(count, 13, generator=generator).unbind(1)
    either = drawn[8]
    zero, never = torch.tensor(0.0), torch.tensor(-torch.inf)

    def between(uniform: Tensor, low: float, high: float) -> Tensor:
        return math.log(low) + math.log(high / low) * uniform

    return {
        "log_rate": between(drawn[0], 1e-5, 1.0),
        "log_decay1": between(drawn[1], 1e-3, 1.0),
        "log_decay2": between(drawn[2], 1e-5, 1.0),
        "log_epsilon": between(drawn[3], 1e-8, 1e4),
        "nesterov": (drawn[4] < 0.5).float(),
        "constant": drawn[5],
        "log_shrink": torch.where(
            (either < 1 / 3) | (either >= 2 / 3), between(drawn[6], 1e-5, 0.1), never
        ),
        "log_l2": torch.where(either >= 1 / 3, between(drawn[7], 1e-5, 0.1), never),
        "warmup": torch.where(drawn[9] < 0.5, between(drawn[10], 1e-5, 0.1).exp(), zero),
        "floor": torch.where(drawn[11] < 0.5, between(drawn[12], 1e-5, 1.0).exp(), zero),
    }


def greedy_order(losses: Tensor, count: int) -> list[int]:
    """Return candidates in the order in which to try them.

    Each is the one that makes the mean over tasks of the lowest loss so far least; among equals
    the one of the lowest mean, then the first. Once none of those left improves anything, the
    choice starts afresh among them, as if nothing had been tried.

    Args:
        losses: Normalised losses ``(candidates, tasks)``.
        count: How many are wanted.

    Raises:
        ValueError: For a count that is not in ``1 ... candidates`` and losses not a number.
    """
    candidates = len(losses)
    if not 1 <= count <= candidates:
        raise ValueError(f"count is {count}; there are {candidates} candidates")
    if losses.isnan().any():
        raise ValueError("a loss is not a number; normalise the losses first")
    losses = losses.double()
    means = losses.mean(1)
    left = torch.ones(candidates, dtype=torch.bool)
    best = torch.full((losses.shape[1],), torch.inf, dtype=losses.dtype)
    order: list[int] = []
    while len(order) < count:
        together = torch.minimum(losses, best).mean(1)
        if order and not (together[left] < best.mean() - 1e-12).any():
            best = torch.full_like(best, torch.inf)
            together = means
        lowest = together[left].min()
        equal = left & (together <= lowest + 1e-12)
        chosen = int(torch.where(equal, means, torch.inf).argmin())
        order.append(chosen)
        left[chosen] = False
        best = torch.minimum(best, losses[chosen])
    return order


def save_opt_list(theta: Params, path: str | Path, *, card: dict[str, Any]) -> None:
    """Write settings ``(count,)`` of `NAdamWCosine` and how they were found, whole or not."""
    tensors = {name: value.detach().float() for name, value in theta.items()}
    write_weights(path, tensors, metadata={"format": FORMAT, "card": json.dumps(card)})


def first_losses(stack: Stack, seed: int) -> Tensor:
    """Validation losses ``(tasks,)`` at the starts of `run_trials` with this seed."""
    params = stack.init(generator=torch.Generator().manual_seed(seed))
    generator = torch.Generator().manual_seed(seed + 1)
    return mean_losses(
        stack, params, settings=1, split="inner-valid", batches=BATCHES, generator=generator
    )[0]


def chosen_stacks(seed: int) -> list[Stack]:
    """The tasks, those of one problem side by side."""
    found = []
    for name, count in TASKS.items():
        tasks = family(name)
        generator = torch.Generator().manual_seed(derived_seed(f"{name} opt_list", seed))
        order = torch.randperm(training_tasks(len(tasks), HELD_OUT), generator=generator)
        cheap = (
            task
            for task in map(tasks.task, order.tolist())
            if task.problem.cost <= LARGEST_COST  # type: ignore[attr-defined]
        )
        found += stacks(islice(cheap, count))
    return found


def tried(stack: Stack, theta: Params, arguments: argparse.Namespace) -> Iterator[Params]:
    """Validation losses ``(candidates, tasks)`` in chunks, from the folder or made now."""
    start = derived_seed(stack.names[0], arguments.seed) // 2
    count = len(theta["log_rate"])
    for first in range(0, count, CHUNK):
        path = arguments.work / f"{stack.names[0].replace('/', '-')}-{first}.safetensors"
        if not path.exists():
            used = time.process_time()
            part = {name: value[first : first + CHUNK] for name, value in theta.items()}
            trials = run_trials(
                *(NAdamWCosine(), stack),
                steps=arguments.steps,
                seed=start,
                theta=part,
                batches=BATCHES,
            )
            seconds = time.process_time() - used
            losses = {
                "valid": trials.valid.contiguous(),
                "first": first_losses(stack, start),
                "seconds": torch.tensor(seconds),
            }
            whole = path.with_suffix(".part")
            save_file(losses, whole)
            whole.replace(path)
            print(f"{', '.join(stack.names)}, {first}: {seconds:.1f} s", flush=True)
        yield load_file(path)


def main(words: Sequence[str] | None = None) -> None:
    parser = ledger.parser(__doc__)
    parser.add_argument("--work", type=Path, required=True, help="losses so far")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--candidates", type=int, default=1000)
    parser.add_argument("--steps", type=int, default=100)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--leg", type=float, default=float("inf"), help="seconds of this leg")
    arguments = ledger.parse(parser, words)
    generator = torch.Generator().manual_seed(arguments.seed)
    theta = sample_nadamw(arguments.candidates, generator=generator)
    arguments.work.mkdir(parents=True, exist_ok=True)
    begun, tables, seconds = time.monotonic(), [], 0.0
    for stack in chosen_stacks(arguments.seed):
        parts = []
        for part in tried(stack, theta, arguments):
            parts.append(part)
            seconds += part["seconds"].item()
            if time.monotonic() - begun > arguments.leg:
                print("the same command goes on")
                return
        valid = torch.cat([part["valid"] for part in parts])
        tables.append(normalise(valid, parts[0]["first"], valid.min(0).values))
    write(torch.cat(tables, 1), theta, arguments, seconds)


def write(table: Tensor, theta: Params, arguments: argparse.Namespace, seconds: float) -> None:
    """Order the candidates by normalised losses ``(candidates, tasks)``; save with their card."""
    order = greedy_order(table, arguments.candidates)
    card = {
        "what": "settings of NAdamWCosine in the order in which to try them",
        "procedure": "greedy choice by the mean over tasks of the lowest normalised validation "
        "loss so far, started afresh among the rest whenever nothing improves (Metz et al. 2020, "
        "arXiv:2002.11887, section 4); the space is the published one, the tasks are those of "
        "nascence.optim.families, so the settings are not the published ones",
        "candidates": arguments.candidates,
        "tasks": dict(TASKS),
        "multiply-adds of a step, at most": LARGEST_COST,
        "steps": arguments.steps,
        "seed": arguments.seed,
        "cpu_seconds": round(seconds),
        "mean of the best of the first": {
            str(count): round(table[order[:count]].min(0).values.mean().item(), 4)
            for count in (1, 10, 100, 1000)
            if count <= arguments.candidates
        },
    }
    save_opt_list({name: value[order] for name, value in theta.items()}, arguments.out, card=card)
    with ledger.Report(arguments) as report:
        printed = report.table("The list of settings", "what", "figure")
        for name, value in card.items():
            printed.row(name, str(value))


if __name__ == "__main__":
    main()
