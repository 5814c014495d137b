"""Compare learned optimizers with hand-made ones on 104 tasks, seen and unseen in meta-training.

    python -m benchmarks.optim.comparison --out runs/comparison
    python -m benchmarks.optim.comparison --out runs/many-trials --trials 1,10,100,1000 \\
        --steps 100 --seen-tasks 2 --unseen-tasks 2

The families are those of the package for meta-training, six tasks each, and those held out for
tests, ten each, without the large ones. ``--leg`` ends after some seconds; the same command goes
on. Printed are mean and median of normalised losses and the share that diverged; the page with box
plots is in the folder. ``nascence bench optimizers`` is the same with as many tasks of each family.
"""

import json
import time
from collections.abc import Sequence
from pathlib import Path

from benchmarks import ledger
from nascence.optim.compare.comparison import Result, compare, group_of
from nascence.optim.compare.contestants import NAMES, contestants, seen_families
from nascence.optim.compare.standings import standings
from nascence.report.optimizer_page import write_comparison
from nascence.tasks import chosen

COLUMNS = (
    "tasks",
    "optimizer",
    ("mean", "", "lower"),
    ("median", "", "lower"),
    ("diverged", "%", "lower"),
    "medians by family",
)
LARGEST_COST = 700_000


class LegOver(Exception):
    """The seconds of this leg are over."""


def main(words: Sequence[str] | None = None) -> None:
    parser = ledger.parser(__doc__)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--optimizers", default=",".join(NAMES))
    parser.add_argument("--weights", default="optimizer-small")
    parser.add_argument("--trials", default="1,10,100")
    parser.add_argument("--steps", type=int, default=200)
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--seen-tasks", type=int, default=6)
    parser.add_argument("--unseen-tasks", type=int, default=10)
    parser.add_argument("--leg", type=float, default=float("inf"))
    arguments = ledger.parse(parser, words)
    begun = time.monotonic()

    def progress(done: float, what: str) -> None:
        print(f"{done:.0%} {what}", flush=True)
        if done < 1 and time.monotonic() - begun > arguments.leg:
            raise LegOver

    weights = arguments.weights.split(",")
    entrants = contestants(
        arguments.optimizers.split(","),
        weights=weights,
        trials=[int(count) for count in arguments.trials.split(",")],
    )
    results: list[Result] = []
    groups: dict[str, str] = {}
    held_out = seen_families(weights)
    for kind, tasks in (("held-out", arguments.unseen_tasks), ("training", arguments.seen_tasks)):
        families = chosen(kind, max_cost=LARGEST_COST)
        try:
            found = compare(
                *(entrants, families),
                out=arguments.out / kind,
                tasks=tasks,
                steps=arguments.steps,
                seeds=arguments.seeds,
                progress=progress,
            )
        except LegOver:
            print("the same command goes on")
            return
        known = {family.name: family for family in families}
        for result in found:
            for task in result.tasks:
                groups[task] = group_of(task, known[result.family], held_out)
        results += found
    table = standings(results, groups)
    seconds = sum(result.seconds for result in results)
    facts = (f"{len(groups)} tasks", f"{arguments.steps} steps", f"{arguments.seeds} repetitions")
    write_comparison(table, arguments.out / "report.html", facts=facts)
    (arguments.out / "standings.json").write_text(
        json.dumps([{"label": each.label, **each._asdict()} for each in table])
    )
    print(f"{', '.join(facts)}, {seconds:.0f} CPU-seconds")
    with ledger.Report(arguments) as report:
        shown = report.table("Normalised test loss: 0 the best by hand, 1 no progress", *COLUMNS)
        for each in table:
            medians = (f"{family} {value:.3f}" for family, value in each.family_medians.items())
            figures = f"{each.mean:.3f}", f"{each.median:.3f}", f"{100 * each.diverged:.1f}"
            shown.row(each.group, each.label, *figures, ", ".join(medians))


if __name__ == "__main__":
    main()
