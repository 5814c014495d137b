"""Compare optimizers on tasks of many families, all from the same starts and on the same data.

As in Metz et al. (2020, arXiv:2009.11243, appendix E): the loss on test data after a number of
steps, of the setting that is best on validation data where there are several, normalised for each
task by the loss before the first step and the best that hand-made optimizers reached.
"""

import json
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from nascence.core.files import locked, understood, write_whole
from nascence.core.randomness import derived_seed, stream
from nascence.optim.compare.contestants import Contestant, file_name
from nascence.optim.compare.trials import run_trials
from nascence.task import Stack, Task, TaskFamily, training_tasks

SETTINGS = "comparison.json"
SEEN, HELD_OUT, UNSEEN = "seen tasks", "unseen tasks of seen families", "unseen families"
GROUPS = (SEEN, HELD_OUT, UNSEEN)
LAST_SHARE = 0.2
Progress = Callable[[float, str], None]


@dataclass(frozen=True)
class Result:
    """Losses of one contestant on the tasks of one family.

    Attributes:
        name, family, tasks: Of the contestant, the family, each of its tasks.
        hand_made: Whether it counts towards the best result of hand-made optimizers.
        first: ``(seeds, tasks)``, test losses before the first step.
        lowest: ``(seeds, tasks)``, the lowest test losses that any of its settings reached.
        best: For each number of trials, the test losses ``(seeds, tasks)`` of the setting that
            validation chose among so many.
        seconds: CPU time that it took.
    """

    name: str
    family: str
    tasks: tuple[str, ...]
    hand_made: bool
    first: Tensor
    lowest: Tensor
    best: dict[int, Tensor]
    seconds: float


def choose_tasks(family: TaskFamily, count: int) -> list[Task]:
    """``count`` tasks of a family, half of them (the larger, if odd) from its last fifth.

    Meta-training does not use the last fifth. They belong to at most ``count / 3`` problems,
    because tasks of one problem are trained side by side. The choice follows from the family and
    the count alone. Raises ValueError if the family has fewer.
    """
    generator = stream(f"{family.name} compared", 0)
    order = torch.randperm(len(family), generator=generator).tolist()
    bound = training_tasks(len(family), LAST_SHARE)
    late = [index for index in order if index >= bound]
    early = [index for index in order if index < bound]
    problems = {family.task(index).problem for index in late[: -(-count // 3)]}
    found: list[Task] = []
    for indices, wanted in ((late, count - count // 2), (early, count // 2)):
        fitting = (task for task in map(family.task, indices) if task.problem in problems)
        found += islice(fitting, wanted)
    if len(found) < count:
        raise ValueError(
            f"{count} tasks of {family.name} were asked for; of its {len(family)} only "
            f"{len(found)} are available, half of them from its last fifth"
        )
    return found


def group_of(name: str, family: TaskFamily, held_out: Mapping[str, float]) -> str:
    """The group, among `GROUPS`, of a task of the family by its name.

    ``held_out`` gives, for every family used in meta-training, the share at its end that was left
    out.
    """
    plain = family.name.partition(":")[0]
    if plain not in held_out:
        return UNSEEN
    index = int(name.rsplit("/", 1)[1])
    return SEEN if index < training_tasks(len(family), held_out[plain]) else HELD_OUT


def compare(
    entrants: Sequence[Contestant],
    families: Sequence[TaskFamily],
    *,
    out: Path,
    tasks: int = 2,
    steps: int = 200,
    seeds: int = 1,
    seed: int = 0,
    batches: int = 5,
    progress: Progress | None = None,
) -> list[Result]:
    """Return the results of every contestant on every family.

    Each is a file in ``out``, and one that is there is taken as it is, so that an interrupted
    comparison goes on, and one with other optimizers runs only those that are new.

    Args:
        entrants: Who takes part.
        families: On tasks of which families.
        out: Folder of the results.
        tasks: How many tasks of each family (`choose_tasks`).
        steps: Steps of each training.
        seeds: Repetitions from other starts.
        seed: Seed of the first repetition.
        batches: How many are averaged for a measured loss.
        progress: Called after every result with the share that is done and what it is.

    Raises:
        ValueError: If a count is below 1, a family has too few tasks, or the folder holds a
            comparison with other settings.
        OSError: If the folder cannot be written, or another process works there.
    """
    counts = {"tasks": tasks, "steps": steps, "seeds": seeds, "batches": batches}
    for name, value in counts.items():
        if value < 1:
            raise ValueError(f"{name} is {value}; it must be at least 1")
    chosen = [(family.name, choose_tasks(family, tasks)) for family in families]
    results: list[Result] = []
    total = len(families) * len(entrants)
    with locked(out):
        _claim(out, {**counts, "seed": seed})
        for family, these in chosen:
            for contestant in entrants:
                path = out / file_name(contestant, family)
                found = _read(path, contestant, family, these)
                if found is None:
                    found = _run(
                        *(contestant, family, these),
                        steps=steps,
                        seeds=seeds,
                        seed=seed,
                        batches=batches,
                    )
                    write_whole(path, json.dumps(_plain(found)).encode())
                results.append(found)
                if progress is not None:
                    progress(len(results) / total, f"{family}, {contestant.name}")
    return results


def _claim(out: Path, ours: dict[str, int]) -> None:
    """Check that the results in the folder were made with these settings."""
    path = out / SETTINGS
    if not path.exists():
        write_whole(path, json.dumps(ours).encode())
        return
    with understood(path, remedy="choose another folder"):
        theirs = dict(json.loads(path.read_text()))
    for key, value in ours.items():
        if theirs.get(key) != value:
            raise ValueError(
                f"{out} holds a comparison with {key} {theirs.get(key)!r}, not {value!r}; "
                "choose another folder or delete it"
            )


def _run(
    contestant: Contestant,
    family: str,
    tasks: list[Task],
    *,
    steps: int,
    seeds: int,
    seed: int,
    batches: int,
) -> Result:
    """Train on all tasks, those of one problem side by side with all repetitions."""
    begun = time.process_time()
    shape = (seeds, len(tasks))
    first, lowest = torch.empty(shape), torch.empty(shape)
    best = {count: torch.empty(shape) for count in contestant.trials}
    places: dict[Any, list[int]] = {}
    for place, task in enumerate(tasks):
        places.setdefault(task.problem, []).append(place)
    for where in places.values():
        stack = Stack.of([tasks[place] for place in where] * seeds)
        trials = run_trials(
            *(contestant.optimizer, stack),
            steps=steps,
            seed=derived_seed(stack.names[0], seed),
            theta=contestant.theta,
            batches=batches,
        )
        width = len(where)
        first[:, where] = trials.first.view(seeds, width)
        lowest[:, where] = trials.test.min(0).values.view(seeds, width)
        for count in contestant.trials:
            best[count][:, where] = trials.best_of(count)[1].view(seeds, width)
    names = tuple(task.name for task in tasks)
    seconds = time.process_time() - begun
    return Result(
        contestant.name, family, names, contestant.hand_made, first, lowest, best, seconds
    )


def _plain(result: Result) -> dict[str, Any]:
    """Return the result as JSON, in which a loss that is not finite is null."""
    return {
        "name": result.name,
        "family": result.family,
        "tasks": list(result.tasks),
        "first": _listed(result.first),
        "lowest": _listed(result.lowest),
        "best": {str(count): _listed(losses) for count, losses in result.best.items()},
        "seconds": round(result.seconds, 3),
    }


def _listed(losses: Tensor) -> list[list[float | None]]:
    rows = losses.double().tolist()
    return [[loss if abs(loss) < float("inf") else None for loss in row] for row in rows]


def _tensor(rows: list[list[float | None]]) -> Tensor:
    held = [[float("inf") if loss is None else float(loss) for loss in row] for row in rows]
    return torch.tensor(held)


def _read(path: Path, contestant: Contestant, family: str, tasks: list[Task]) -> Result | None:
    """An existing result for the same tasks and trials; None if there is none."""
    if not path.exists():
        return None
    names = tuple(task.name for task in tasks)
    with understood(path, remedy="delete it, and it is made again"):
        content = json.loads(path.read_text())
        best = {int(count): _tensor(rows) for count, rows in content["best"].items()}
        first, lowest = _tensor(content["first"]), _tensor(content["lowest"])
        seconds = float(content["seconds"])
        if tuple(content["tasks"]) != names or not set(contestant.trials) <= best.keys():
            return None
        kept = {count: best[count] for count in contestant.trials}
        shapes = {each.shape for each in (first, lowest, *kept.values())}
        if len(shapes) > 1 or first.shape[1:] != (len(tasks),):
            raise ValueError(f"losses of the shapes {sorted(map(tuple, shapes))}")
    return Result(
        contestant.name, family, names, contestant.hand_made, first, lowest, kept, seconds
    )
