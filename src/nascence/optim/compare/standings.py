"""The outcome of a comparison: normalised losses, and mean, median and divergence per optimizer."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from nascence.optim.compare.comparison import GROUPS, Result
from nascence.optim.compare.trials import normalise

ALL = "all tasks"


class Standing(NamedTuple):
    """One optimizer, with one number of trials, on the tasks of one group.

    ``losses`` are normalised (`nascence.optim.compare.trials.normalise`), one for each task and
    repetition; ``mean``, ``median``, ``lower`` and ``upper`` quartile are of them. ``medians``
    has that of each repetition alone. ``diverged`` is the share that ended above the loss before
    the first step, or not finite. ``family_medians`` are by family.
    """

    name: str
    trials: int
    group: str
    losses: tuple[float, ...]
    mean: float
    median: float
    lower: float
    upper: float
    medians: tuple[float, ...]
    diverged: float
    family_medians: dict[str, float]

    @property
    def label(self) -> str:
        """The name, with the number of trials if there are several."""
        return self.name if self.trials == 1 else f"{self.name}, best of {self.trials:,}"


class _Losses(NamedTuple):
    """Results of one family: normalised ``(seeds, tasks)``, and which of them diverged."""

    family: str
    tasks: tuple[str, ...]
    normalised: Tensor
    diverged: Tensor


def standings(results: Sequence[Result], groups: Mapping[str, str]) -> list[Standing]:
    """Standings over all tasks, then over each of the groups that there are.

    ``groups`` has the group of each task. The best of a task, 0, is the lowest test loss that any
    setting of a hand-made optimizer reached from that start; without any, of all optimizers.
    """
    best = _best(results)
    by_entry: dict[tuple[str, int], list[_Losses]] = {}
    for result in results:
        for trials, losses in result.best.items():
            entry = _Losses(
                result.family,
                result.tasks,
                normalise(losses, result.first, best[result.family]),
                ~torch.isfinite(losses) | (losses > result.first),
            )
            by_entry.setdefault((result.name, trials), []).append(entry)
    held = set(groups.values())
    shown = [ALL, *(group for group in GROUPS if group in held)] if len(held) > 1 else [ALL]
    return [
        _standing(name, trials, group, entries, groups)
        for group in shown
        for (name, trials), entries in by_entry.items()
    ]


def _best(results: Sequence[Result]) -> dict[str, Tensor]:
    counted = [result for result in results if result.hand_made] or list(results)
    best: dict[str, Tensor] = {}
    for result in counted:
        before = best.get(result.family, result.first)
        best[result.family] = torch.minimum(before, result.lowest)
    return best


def _standing(
    name: str, trials: int, group: str, entries: list[_Losses], groups: Mapping[str, str]
) -> Standing:
    normalised, diverged, medians = [], [], {}
    for entry in entries:
        where = [k for k, task in enumerate(entry.tasks) if group in (ALL, groups[task])]
        if where:
            normalised.append(entry.normalised[:, where])
            diverged.append(entry.diverged[:, where])
            medians[entry.family] = normalised[-1].double().quantile(0.5).item()
    losses = torch.cat(normalised, 1).double()
    lower, median, upper = losses.flatten().quantile(torch.tensor([0.25, 0.5, 0.75]).double())
    return Standing(
        name,
        trials,
        group,
        tuple(losses.flatten().tolist()),
        losses.mean().item(),
        median.item(),
        lower.item(),
        upper.item(),
        tuple(losses.quantile(0.5, dim=1).tolist()),
        torch.cat(diverged, 1).double().mean().item(),
        medians,
    )
