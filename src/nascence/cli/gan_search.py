"""``nascence search gan``: the search for a generator of images."""

import json
from typing import TYPE_CHECKING, Any

import typer

from nascence.cli.console import line, shown
from nascence.cli.given import Given

if TYPE_CHECKING:
    from nascence.gan import Round
    from nascence.jobs.gan import GanJob, GanOutcome

SPACE, STRATEGY = "gan", "autogan"


def gan_search(given: Given) -> None:
    """Search, and print the result."""
    if (given.space, given.strategy) != (SPACE, STRATEGY):
        raise ValueError(
            f"the space {SPACE} is searched by --strategy {STRATEGY}, and nothing else is by it; "
            f"these are {given.space} and {given.strategy}"
        )
    given.take("width", "images", "split")
    from nascence.jobs.gan import GanJob

    sizes = {"width": given.width, "images": given.images}
    for name, value in sizes.items():
        if value is not None and value != int(value):
            raise ValueError(f"{name} is {value}; give a whole number")
    job = GanJob(
        given.folder,
        given.split,
        given.data,
        steps=given.steps,
        seconds=given.seconds,
        workers=given.workers,
        seed=given.seed,
        **{name: int(value) for name, value in sizes.items() if value is not None},
    )
    facts = _facts(job, _run(job, quiet=given.quiet))
    typer.echo(json.dumps(facts) if given.as_json else _text(facts))


def _run(job: "GanJob", *, quiet: bool) -> "GanOutcome":
    from nascence.jobs.gan import run_gan_job

    with shown(job.folder, quiet=quiet) as progress:

        def show(stage: str, fraction: float, ended: "Round | None") -> None:
            message = ""
            if ended is not None and ended.reward is not None:
                message = f"stage {ended.stage}, score {ended.reward:.3f}"
            progress(stage, fraction, message)

        try:
            return run_gan_job(job, progress=show)
        except KeyboardInterrupt:
            line(f"stopped; the same command with --out {job.folder} goes on")
            raise


def _facts(job: "GanJob", outcome: "GanOutcome") -> dict[str, Any]:
    """The outcome as plain values."""
    from nascence.jobs.gan import HISTORY, PICTURE

    history, space = outcome.history, outcome.space
    best = history.best
    return {
        "run": str(job.folder),
        "strategy": STRATEGY,
        "split": list(job.split),
        "parts": len(history.supernets),
        "steps": history.steps,
        "seconds": round(history.seconds, 3),
        "resets": max(each.resets for each in history.rounds),
        "best": {
            "architecture": space.format(best.architecture),
            "choices": space.values(best.architecture),
            "part": history.best_part,
            "parameters": space.parameters(best.architecture),
            "classifier_score": outcome.score,
            "frechet_distance_on_classifier_features": outcome.distance,
        },
        "classifier": {"accuracy": outcome.accuracy, "score_of_real_images": outcome.real_score},
        "candidates": [
            {"architecture": space.format(each.architecture), "classifier_score": each.score}
            for each in history.candidates
        ],
        "history": str(job.folder / HISTORY),
        "samples": str(job.folder / PICTURE),
    }


def _text(facts: dict[str, Any]) -> str:
    """The result for people."""
    best, classifier = facts["best"], facts["classifier"]
    among = f", the best of {facts['parts']} parts" if facts["parts"] > 1 else ""
    choices = ", ".join(f"{name} {value}" for name, value in best["choices"].items())
    return "\n".join(
        (
            f"Found after {facts['steps']} steps{among}: {best['architecture']}",
            f"{choices}; {best['parameters']:,} parameters",
            f"With shared weights: classifier score {best['classifier_score']:.3f} (real images "
            f"{classifier['score_of_real_images']:.3f}), Fréchet distance on classifier features "
            f"{best['frechet_distance_on_classifier_features']:.3f}",
            f"Both by a classifier trained here, {100 * classifier['accuracy']:.1f} % right: "
            "neither is the Inception score or the FID.",
            f"Samples {facts['samples']}",
            f"History {facts['history']}",
        )
    )
