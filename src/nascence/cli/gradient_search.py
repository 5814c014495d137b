"""``nascence search`` with a strategy that learns the architecture by gradients."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from nascence.cli.console import line, say, say_table, shown
from nascence.cli.given import Given

if TYPE_CHECKING:
    from nascence.gradient import Epoch
    from nascence.jobs.gradient import GradientJob, GradientOutcome

STRATEGIES = ("darts", "darts-2nd", "enas", "gdas", "pc-darts", "proxyless", "snas")
WEIGHED = "proxyless"
"""The one that knows latency."""
PRINTED = 10
"""Epochs of one supernet in the table on stdout, at most."""


def gradient_search(given: Given) -> None:
    """Search, and print the result."""
    weighed = ("latencies", "latency-weight", "limit") if given.strategy == WEIGHED else ()
    given.take("width", "cells", "split", "stop-at-skips", *weighed)
    from nascence.jobs.gradient import GradientJob

    job = GradientJob(
        given.folder,
        given.space,
        given.strategy,
        given.split,
        given.data,
        given.sizes,
        given.steps,
        given.seconds,
        given.stop_at_skips,
        workers=given.workers,
        seed=given.seed,
        latencies=given.latencies,
        latency_weight=given.latency_weight,
        latency_limit=_latency_limit(given.limits),
    )
    facts = _facts(job, _run(job, quiet=given.quiet))
    typer.echo(json.dumps(facts)) if given.as_json else _print(facts)


def _latency_limit(limits: tuple[tuple[str, float], ...]) -> float | None:
    """Read the one limit that a gradient search can have: milliseconds of latency."""
    names = [name for name, _ in limits]
    if names and names != ["latency"]:
        raise ValueError(
            f"--limit is given for {', '.join(names)}; {WEIGHED} has one limit, "
            "latency=MILLISECONDS"
        )
    return limits[0][1] if limits else None


def _run(job: "GradientJob", *, quiet: bool) -> "GradientOutcome":
    from nascence.jobs.gradient import run_gradient_job

    with shown(job.folder, quiet=quiet) as progress:

        def show(fraction: float, epoch: "Epoch | None") -> None:
            message = ""
            if epoch is not None:
                message = f"accuracy {epoch.accuracy:.3f}, entropy {epoch.entropy:.2f}"
            if epoch is not None and epoch.latency is not None:
                message += f", latency {epoch.latency:.3g} ms"
            progress("search", fraction, message)

        try:
            return run_gradient_job(job, progress=show)
        except KeyboardInterrupt:
            line(f"stopped; the same command with --out {job.folder} goes on")
            raise


def _facts(job: "GradientJob", outcome: "GradientOutcome") -> dict[str, Any]:
    """The outcome as plain values."""
    history, derived = outcome.history, outcome.derived
    return {
        "run": str(job.folder),
        "strategy": job.strategy,
        "split": list(job.split),
        "leaves": len(history.stops),
        "stops": list(history.stops),
        "steps": history.steps,
        "seconds": round(history.seconds, 3),
        "best": {
            "architecture": outcome.space.format(derived.architecture),
            "leaf": derived.leaf,
            "chosen_by": outcome.chosen_by,
            "validation_accuracy": derived.accuracy,
            "true_accuracy": dict(outcome.truth) or None,
            "predicted_latency_ms": derived.latency,
            "latency_limit_ms": job.latency_limit,
        },
        "epochs": [
            {
                "leaf": epoch.leaf,
                "steps": epoch.steps,
                "seconds": round(epoch.seconds, 3),
                "entropy": epoch.entropy,
                "loss": epoch.loss,
                "validation_accuracy": epoch.accuracy,
                "true_accuracy": dict(truth) or None,
                "predicted_latency_ms": epoch.latency,
                "architecture": outcome.space.format(epoch.architecture),
                "probabilities": epoch.probabilities,
            }
            for epoch, truth in zip(history.epochs, outcome.truths, strict=True)
        ],
        "history": str(Path(job.folder) / "history.json"),
    }


def _print(facts: dict[str, Any]) -> None:
    """The result on stdout, for people: the trajectory of its leaf, then the network."""
    best = facts["best"]
    rows = [epoch for epoch in facts["epochs"] if epoch["leaf"] == best["leaf"]]
    kept = sorted({round(k * (len(rows) - 1) / (PRINTED - 1)) for k in range(PRINTED)})
    names = list(best["true_accuracy"] or ())
    say_table(
        "The network that would be derived, epoch by epoch",
        ("steps", "loss", "entropy", "accuracy", *names),
        (
            (
                str(row["steps"]),
                f"{row['loss']:.3f}",
                f"{row['entropy']:.3f}",
                f"{row['validation_accuracy']:.3f}",
                *(f"{row['true_accuracy'][name]:.2f}" for name in names),
            )
            for row in (rows[place] for place in kept)
        ),
    )
    several = facts["leaves"] > 1
    among = f", the best of {facts['leaves']} parts by {best['chosen_by']}" if several else ""
    say(f"Derived after {facts['steps']} steps{among}: {best['architecture']}")
    say(f"With shared weights it reaches {100 * best['validation_accuracy']:.1f} %.")
    if (latency := best["predicted_latency_ms"]) is not None:
        limit = best["latency_limit_ms"]
        above = "" if limit is None or latency <= limit else f", above the limit of {limit:g}"
        say(f"Predicted latency {latency:.4g} ms{above}.")
    if best["true_accuracy"]:
        reached = ", ".join(f"{value:.2f} % on {n}" for n, value in best["true_accuracy"].items())
        say(f"Trained alone it reaches {reached} by the table.")
    say(f"History {facts['history']}")
