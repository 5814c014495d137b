"""``nascence search`` with a supernet that is trained once for all of its networks."""

import json
from typing import TYPE_CHECKING, Any

import typer

from nascence.cli.console import line, say, shown
from nascence.cli.given import Given

if TYPE_CHECKING:
    from nascence.jobs.once_for_all import OnceForAllJob, OnceForAllOutcome

STRATEGY = "ofa"


def once_for_all_search(given: Given) -> None:
    """Train and search, and print the result."""
    given.take("budget as a number", "limit", "width", "cells", "split")
    from nascence.jobs.once_for_all import OnceForAllJob

    job = OnceForAllJob(
        given.folder,
        given.space,
        given.split,
        given.data,
        given.sizes,
        given.steps,
        given.seconds,
        given.trials or 200,
        limits=given.limits,
        workers=given.workers,
        seed=given.seed,
    )
    facts = _facts(job, _run(job, quiet=given.quiet))
    typer.echo(json.dumps(facts)) if given.as_json else _print(facts)


def _run(job: "OnceForAllJob", *, quiet: bool) -> "OnceForAllOutcome":
    from nascence.jobs.once_for_all import run_once_for_all

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
