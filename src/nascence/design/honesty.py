"""What a run must say before its figures, and what each part of the design is worth."""

import math

from nascence.design.results import Results
from nascence.design.run import Run

FEWEST_LOOKS = 3.0
"""Times that a network must have seen each image before it can be judged."""
CHANCE = 1.05
BRIEF = 50
"""Steps below which a training says little."""


def warning(run: Run, results: Results) -> str:
    """What a reader must know before any figure, in a sentence or two; empty where all is well."""
    figure, what = run.figure(results.fold), "mean recall" if run.data.uneven else "accuracy"
    train, rows = results.train, _by_key(results)
    said = []
    chance = 1 / run.data.classes
    if run.data.uneven and figure <= CHANCE * chance:
        said.append("The designed network names one class for nearly every image.")
    elif "majority" in rows and run.figure(rows["majority"]) >= figure:
        said.append("The designed network is no better than always naming the most frequent class.")
    classic = rows.get("classic")
    if classic is not None and run.figure(classic) > figure:
        said.append(
            f"A classic without a network is better: {classic.name} has {what} "
            f"{run.figure(classic):.1%} after {classic.seconds:.0f} s, the designed network "
            f"{figure:.1%}."
        )
    looks = train.samples / max(len(run.data.train), 1)
    if train.samples and looks < FEWEST_LOOKS:
        said.append(
            f"Training was too short to judge the network: {train.steps:,} steps, in which it saw "
            f"each image {looks:.1f} times; give a longer --budget."
        )
    return " ".join(said)


def worth(run: Run, results: Results) -> tuple[str, ...]:
    """What recipe, optimizer, architecture, start and time are each worth, in sentences."""
    rows, what = _by_key(results), "mean recall" if run.data.uneven else "accuracy"
    if not {"usual", "ours", "optimizer", "short", "stock"} <= rows.keys():
        return ()
    figures = {key: run.figure(row) for key, row in rows.items()}
    figures["designed"] = run.figure(results.fold)
    error = 100 * math.sqrt(0.5 / max(len(run.data.validation), 1))
    pairs = (
        ("recipe", "ours", "usual", "on the network designed by hand"),
        (
            "optimizer",
            "ours",
            "optimizer",
            f"{rows['ours'].optimizer} instead of "
            f"{rows['optimizer'].optimizer}, same recipe and network",
        ),
        ("architecture", "short", "ours", "designed instead of by hand, same recipe and time"),
        ("longer training", "designed", "short", "of the designed network"),
        ("all of it", "designed", "stock", "against ResNet-18 with the usual recipe"),
    )
    lines = [
        f"{name}: {100 * (figures[first] - figures[second]):+.1f} points of {what} ({how})"
        for name, first, second, how in pairs
    ]
    brief = [row.name for row in rows.values() if row.steps is not None and row.steps < BRIEF]
    if brief:
        lines.append(
            f"fewer than {BRIEF} steps fitted into the time of {', '.join(dict.fromkeys(brief))}: "
            "a longer --budget says more"
        )
    start = run.settings.start
    lines.append(
        "start: random, so nothing is to be compared"
        if start == "random"
        else f"start: {start} in the designed network alone; its worth is within the architecture's"
    )
    lines.append(f"differences below about {error:.0f} points are within the noise of one training")
    return tuple(lines)


def _by_key(results: Results) -> dict:
    compared = () if results.baseline is None else results.baseline.compared
    return {row.key: row for row in compared}
