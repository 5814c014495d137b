"""Make the list of settings in src/nascence/weights/opt-list.safetensors.

    python benchmarks/make_opt_list.py --work runs/opt-list --out opt-list.safetensors

Settings drawn from the space of the published list (Metz et al. 2020, arXiv:2002.11887) are tried
on tasks of the first four fifths of each family; their validation losses, normalised for each task
by the loss before the first step and the lowest of all, decide the order. Losses are kept in
``--work`` problem by problem, so that a run which was interrupted goes on.
"""

import argparse
import time
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from nascence.optim.cohorts import training_tasks
from nascence.optim.families import family
from nascence.optim.opt_list import greedy_order, save_opt_list
from nascence.optim.rollout import mean_losses
from nascence.optim.trials import normalise, run_trials
from nascence.optim.tuned_adam import NAdamWCosine, sample_nadamw
from nascence.params import Params
from nascence.task import Stack, seed_of, stacks

# Tasks of each family; fewer where a step costs more.
TASKS = {
    "quadratic": 16,
    "function": 20,
    "softmax": 6,
    "mlp": 7,
    "yardstick": 1,
    "autoencoder": 2,
    "recurrent": 1,
    "characters": 1,
}
HELD_OUT = 0.2
BATCHES = 5


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
        generator = torch.Generator().manual_seed(seed_of(f"{name} opt_list", seed))
        order = torch.randperm(training_tasks(len(tasks), HELD_OUT), generator=generator)
        found += stacks(tasks.task(index) for index in order[:count].tolist())
    return found


def normalised_losses(stack: Stack, theta: Params, steps: int, seed: int) -> Tensor:
    """Normalised validation losses ``(candidates, tasks)``."""
    start = seed_of(stack.names[0], seed) // 2
    trials = run_trials(
        NAdamWCosine(), stack, steps=steps, seed=start, theta=theta, batches=BATCHES
    )
    best = trials.valid.min(0).values
    return normalise(trials.valid, first_losses(stack, start), best)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--work", type=Path, required=True, help="losses so far")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--candidates", type=int, default=1000)
    parser.add_argument("--steps", type=int, default=100)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--leg", type=float, default=float("inf"), help="seconds of this leg")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    generator = torch.Generator().manual_seed(arguments.seed)
    theta = sample_nadamw(arguments.candidates, generator=generator)
    arguments.work.mkdir(parents=True, exist_ok=True)
    begun, losses = time.monotonic(), []
    for stack in chosen_stacks(arguments.seed):
        path = arguments.work / f"{stack.names[0].replace('/', '-')}.safetensors"
        if not path.exists():
            if time.monotonic() - begun > arguments.leg:
                print("the same command goes on")
                return
            used = time.process_time()
            found = normalised_losses(stack, theta, arguments.steps, arguments.seed)
            seconds = time.process_time() - used
            whole = path.with_suffix(".part")
            save_file({"losses": found, "seconds": torch.tensor(seconds)}, whole)
            whole.replace(path)
            print(f"{', '.join(stack.names)}: {seconds:.0f} s", flush=True)
        losses.append(load_file(path))
    write(losses, theta, arguments)


def write(losses: list[Params], theta: Params, arguments: argparse.Namespace) -> None:
    """Order the candidates and save them with their card."""
    table = torch.cat([each["losses"] for each in losses], 1)
    order = greedy_order(table, arguments.candidates)
    card = {
        "what": "settings of NAdamWCosine in the order in which to try them",
        "procedure": "greedy choice by the mean over tasks of the lowest normalised validation "
        "loss so far, started afresh among the rest whenever nothing improves (Metz et al. 2020, "
        "arXiv:2002.11887, section 4); the space is the published one, the tasks are those of "
        "nascence.optim.families, so the settings are not the published ones",
        "candidates": arguments.candidates,
        "tasks": dict(TASKS),
        "steps": arguments.steps,
        "seed": arguments.seed,
        "cpu_seconds": round(sum(each["seconds"].item() for each in losses)),
        "mean of the best of the first": {
            str(count): round(table[order[:count]].min(0).values.mean().item(), 4)
            for count in (1, 10, 100, 1000)
            if count <= arguments.candidates
        },
    }
    save_opt_list({name: value[order] for name, value in theta.items()}, arguments.out, card=card)
    print(card)


if __name__ == "__main__":
    main()
