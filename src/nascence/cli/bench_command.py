"""``nascence bench``: compare what this package gives with what there is."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from nascence.cli.console import (
    Json,
    Quiet,
    between_commas,
    failures_as_lines,
    line,
    numbers,
    shown,
)
from nascence.cli.latency_command import latency

if TYPE_CHECKING:
    from nascence.optim.compare.contestants import Contestant
    from nascence.optim.compare.standings import Standing
    from nascence.task import TaskFamily

bench = typer.Typer(no_args_is_help=True, help="Compare with other methods, and draw it.")


@bench.callback()
def _group() -> None:
    """Compare with other methods, and draw it."""


bench.command()(latency)


@bench.command()
def optimizers(
    out: Annotated[
        Path, typer.Option(help="Folder of results and page; what is in it is not run again.")
    ] = Path("runs/bench-optimizers"),
    names: Annotated[
        str,
        typer.Option(
            "--optimizers",
            help="learned, untrained, adam, nadamw, adam-lr, adam8p, opt-list, with commas.",
        ),
    ] = "learned,untrained,adam,nadamw,adam-lr,adam8p,opt-list",
    weights: Annotated[
        str, typer.Option(help="Of the learned: names of released weights, or files, with commas.")
    ] = "optimizer-small",
    families: Annotated[
        str,
        typer.Option(
            help="Task families, with commas; training, held-out and all stand for several."
        ),
    ] = "all",
    max_cost: Annotated[
        int,
        typer.Option(help="Leave out families with tasks of more multiply-adds a step."),
    ] = 700_000,
    tasks: Annotated[int, typer.Option(help="Tasks of each family.")] = 2,
    steps: Annotated[
        int | None, typer.Option(help="Steps of each training; 100, and 2000 for the probe.")
    ] = None,
    seeds: Annotated[int, typer.Option(help="Repetitions from other starts.")] = 1,
    trials: Annotated[
        str, typer.Option(help="Settings that adam8p and opt-list may try, with commas.")
    ] = "1,10",
    seed: Annotated[int, typer.Option(help="Of the first repetition.")] = 0,
    probe: Annotated[
        bool,
        typer.Option("--probe", help="Only draw where optimizers stop in the flat valley ½(x-y)²."),
    ] = False,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Compare learned and hand-made optimizers on tasks seen and unseen in meta-training.

    Losses are normalised: 0 is the best that hand-made ones reached, 1 no progress.
    """
    with failures_as_lines():
        from nascence.optim.compare.contestants import contestants
        from nascence.tasks import chosen

        tuned = numbers("--trials", trials)
        entrants = contestants(between_commas(names), weights=between_commas(weights), trials=tuned)
        if probe:
            facts, words = _probe(entrants, out, 2000 if steps is None else steps)
        else:
            settings = {"tasks": tasks, "steps": 100 if steps is None else steps}
            settings |= {"seeds": seeds, "seed": seed, "batches": 5}
            try:
                facts, words = _compare(
                    entrants,
                    chosen(families, max_cost=max_cost),
                    between_commas(weights),
                    settings,
                    out=out,
                    quiet=quiet,
                )
            except KeyboardInterrupt:
                line(f"stopped; the same command goes on with {out}")
                raise
        typer.echo(json.dumps(facts) if as_json else words)


def _compare(
    entrants: "Sequence[Contestant]",
    families: "Sequence[TaskFamily]",
    weights: list[str],
    settings: dict[str, int],
    *,
    out: Path,
    quiet: bool,
) -> tuple[dict[str, Any], str]:
    """Run what is missing, write the page; the facts, and the same in words."""
    from nascence.optim.compare.comparison import compare, group_of
    from nascence.optim.compare.contestants import seen_families
    from nascence.optim.compare.standings import standings
    from nascence.report.optimizer_page import write_comparison

    held_out = seen_families(weights)
    with shown(out, quiet=quiet) as show:
        results = compare(
            entrants,
            families,
            out=out,
            tasks=settings["tasks"],
            steps=settings["steps"],
            seeds=settings["seeds"],
            seed=settings["seed"],
            batches=settings["batches"],
            progress=lambda done, what: show("optimizers", done, what),
        )
    known = {each.name: each for each in families}
    groups = {
        task: group_of(task, known[result.family], held_out)
        for result in results
        for task in result.tasks
    }
    found = standings(results, groups)
    page = out / "report.html"
    described = (
        f"{len(groups)} tasks of {len(families)} families",
        f"{settings['steps']:,} steps",
        f"{settings['seeds']} repetitions" if settings["seeds"] > 1 else "1 repetition",
        f"{sum(result.seconds for result in results):,.0f} s of CPU time",
    )
    write_comparison(found, page, facts=described)
    facts = {
        "settings": settings,
        "families": [each.name for each in families],
        "seen": held_out,
        "tasks": groups,
        "seconds": sum(result.seconds for result in results),
        "standings": [{"label": each.label, **each._asdict()} for each in found],
        "page": str(page),
    }
    return facts, "\n".join([", ".join(described), *_tables(found), f"wrote {page}"])


def _tables(found: "Sequence[Standing]") -> list[str]:
    """A table for each group of tasks."""
    lines = []
    width = max(len(each.label) for each in found)
    for group in dict.fromkeys(each.group for each in found):
        lines += ["", f"{group:<{width}}    mean  median  diverged"]
        lines += [
            f"{each.label:<{width}}  {each.mean:6.3f}  {each.median:6.3f}  {each.diverged:7.1%}"
            for each in found
            if each.group == group
        ]
    return [*lines, ""]


def _probe(entrants: "Sequence[Contestant]", out: Path, steps: int) -> tuple[dict[str, Any], str]:
    """Draw the trajectories of all optimizers that have one setting."""
    from nascence.optim.compare.probe import probe
    from nascence.report.optimizer_page import probe_rows, write_probe

    single = [each for each in entrants if each.theta is None]
    if not single:
        raise ValueError(
            "--probe draws optimizers of one setting; name learned, untrained, adam or nadamw"
        )
    out.mkdir(parents=True, exist_ok=True)
    probes = {each.name: probe(each.optimizer, steps=steps) for each in single}
    page = out / "probe.html"
    write_probe(probes, page, facts=(f"{steps:,} steps",))
    facts = {
        "steps": steps,
        "optimizers": {
            name: {
                "distance": each.distance.mean().item(),
                "along": each.along.nanmean().item(),
                "ends": each.trajectories[:, -1].tolist(),
            }
            for name, each in probes.items()
        },
        "page": str(page),
    }
    words = [
        f"{name}: {distance} from the valley, {along} of the way out along it"
        for name, distance, along in probe_rows(probes)
    ]
    return facts, "\n".join([*words, f"wrote {page}"])
