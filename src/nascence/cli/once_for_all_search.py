"""``nascence search`` with a supernet that is trained once for all of its networks."""

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from nascence.cli.console import line, shown

if TYPE_CHECKING:
    from nascence.search.once_for_all_job import OnceForAllJob, OnceForAllOutcome

STRATEGY = "ofa"


def once_for_all_search(
    folder: Path,
    space: str,
    split: tuple[str, ...],
    data: str,
    sizes: tuple[tuple[str, int], ...],
    budget: tuple[int, float | None, int | None],
    limits: tuple[tuple[str, float], ...],
    workers: int,
    seed: int,
    *,
    as_json: bool,
    quiet: bool,
) -> None:
    """Train and search, and print the result; ``budget`` holds steps, seconds and networks."""
    from nascence.search.once_for_all_job import OnceForAllJob

    steps, seconds, samples = budget
    job = OnceForAllJob(
        folder,
        space,
        split,
        data,
        sizes,
        steps,
        seconds,
        samples or 200,
        limits=limits,
        workers=workers,
        seed=seed,
    )
    outcome = _run(job, quiet=quiet)
    facts = _facts(job, outcome)
    typer.echo(json.dumps(facts)) if as_json else _print(facts)


def refuse(**settings: object) -> None:
    """Raise ``ValueError`` for options that say nothing to this search."""
    for name, value in settings.items():
        if value:
            option = "--" + name.replace("_", "-")
            raise ValueError(
                f"{option} is not for {STRATEGY}, which scores networks by its supernet; it takes "
                "--steps, --split, --limit, and --budget for the networks scored or the time"
            )


def _run(job: "OnceForAllJob", *, quiet: bool) -> "OnceForAllOutcome":
    from nascence.search.once_for_all_job import run_once_for_all

    with shown(job.folder, quiet=quiet) as progress:
        try:
            return run_once_for_all(job, progress=progress)
        except KeyboardInterrupt:
            line(f"stopped; the same command with --out {job.folder} goes on")
            raise


def _facts(job: "OnceForAllJob", outcome: "OnceForAllOutcome") -> dict[str, Any]:
    """The outcome as plain values."""
    history = outcome.history
    best = history.best
    return {
        "run": str(job.folder),
        "strategy": STRATEGY,
        "split": list(job.split),
        "supernets": len(history.supernets),
        "steps": history.steps,
        "seconds": round(history.seconds, 3),
        "sampled": history.sampled,
        "verified": len(history) - history.sampled,
        "best": {
            "architecture": outcome.space.format(best.architecture),
            "accuracy": best.score,
            **dict(zip(history.costs, best.costs, strict=True)),
            "parameters": outcome.space.parameters(best.architecture),
        },
        "history": str(job.folder / "history.json"),
        "network": str(job.folder / "network.safetensors"),
    }


def _print(facts: dict[str, Any]) -> None:
    """The result on stdout, for people."""
    from rich.console import Console

    console = Console(file=sys.stdout, width=None if sys.stdout.isatty() else 110)

    def say(text: str) -> None:
        console.print(text, soft_wrap=True, highlight=False, markup=False)

    best = facts["best"]
    parts = f" of {facts['supernets']} parts" if facts["supernets"] > 1 else ""
    say(
        f"After {facts['steps']} steps{parts}, of {facts['sampled']} random networks and "
        f"{facts['verified']} predicted to be the best: {best['architecture']}"
    )
    say(
        f"{best['macs']:,.0f} multiply-adds, {best['parameters']:,} parameters; with shared "
        f"weights it reaches {100 * best['accuracy']:.1f} %."
    )
    say(f"Network {facts['network']}")
    say(f"History {facts['history']}")
