"""``nascence classify`` and ``nascence evaluate``."""

import csv
import math
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from nascence.cli.console import (
    FAILED,
    Json,
    Quiet,
    failures_as_lines,
    line,
    printable,
    say,
    say_json,
    say_table,
    shown,
)
from nascence.cli.number_options import LabelDepth, number
from nascence.core import ranges

if TYPE_CHECKING:
    from nascence.inference import Prediction, Quality
    from nascence.inference.evaluation import Measured

LISTED = 20
"""Number of classes and of confused pairs that are printed; --json has all of them."""
Network = Annotated[
    Path, typer.Argument(metavar="RUN_OR_ONNX", help="Folder of a finished run, or an ONNX file.")
]
Workers = Annotated[
    int | None, number("--workers", ranges.PROCESSES, help="Threads that decode images.")
]


def classify(
    network: Network,
    images: Annotated[
        list[str],
        typer.Argument(help="Image files, folders of images, or - for a list of files on stdin."),
    ],
    top: Annotated[
        int, number("--top", ranges.CLASSES_SHOWN, help="Classes to print for each image.")
    ] = 3,
    as_csv: Annotated[
        bool, typer.Option("--csv", help="Print CSV, one row for each image.")
    ] = False,
    workers: Workers = None,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Classify images with a designed network, decoded exactly as in training.

    An image that cannot be read is named on stderr; the others are classified, and the exit code
    is then 1.
    """
    with failures_as_lines():
        if as_csv and as_json:
            raise ValueError("--csv and --json were both given; choose one")
        from nascence.inference import classify as predictions
        from nascence.inference import find_images, read_classifier

        classifier = read_classifier(network)
        files = find_images(_places(images))
        names = classifier.class_names
        top = min(top, len(names))
        with shown(network, quiet=quiet or len(files) < 100) as progress:
            found = predictions(
                classifier,
                files,
                workers=workers,
                progress=lambda done: progress("images", done / len(files), ""),
            )
            failed = _PRINTED["csv" if as_csv else "json" if as_json else "text"](found, names, top)
    _end(failed)


def _end(failed: int) -> None:
    if failed:
        raise typer.Exit(FAILED)


def _places(images: Sequence[str]) -> list[str]:
    """The places that were named, where ``-`` stands for the lines of stdin."""
    places: list[str] = []
    for place in images:
        if place == "-":
            places += [each for each in sys.stdin.read().splitlines() if each.strip()]
        else:
            places.append(place)
    return places


def _readable(found: Iterable["Prediction"], unread: list["Prediction"]) -> Iterable["Prediction"]:
    """Those that could be read; each other is named on stderr and kept in ``unread``."""
    for each in found:
        if each.probabilities is not None:
            yield each
            continue
        line(f"{each.image} {each.problem}")
        unread.append(each)


def _print_text(found: Iterable["Prediction"], names: Sequence[str], top: int) -> int:
    unread: list[Prediction] = []
    for each in _readable(found, unread):
        classes = ", ".join(f"{names[index]} {share:.1%}" for index, share in each.top(top))
        say(f"{each.image}: {classes}")
    return len(unread)


def _print_csv(found: Iterable["Prediction"], names: Sequence[str], top: int) -> int:
    unread: list[Prediction] = []
    rows = csv.writer(sys.stdout, lineterminator="\n")
    places = range(1, top + 1)
    rows.writerow(["image", *(f"{kind}_{n}" for n in places for kind in ("class", "probability"))])
    for each in _readable(found, unread):
        pairs = [(names[index], f"{share:.6f}") for index, share in each.top(top)]
        rows.writerow(map(printable, [each.image, *(word for pair in pairs for word in pair)]))
    return len(unread)


def _print_json(found: Iterable["Prediction"], names: Sequence[str], top: int) -> int:
    unread: list[Prediction] = []
    images = [
        {
            "image": each.image,
            "classes": [
                {"class": names[index], "probability": share} for index, share in each.top(top)
            ],
        }
        for each in _readable(found, unread)
    ]
    skipped = [{"image": each.image, "problem": each.problem} for each in unread]
    say_json({"images": images, "skipped": skipped})
    return len(unread)


_PRINTED = {"text": _print_text, "csv": _print_csv, "json": _print_json}


def evaluate(
    network: Network,
    data: Annotated[
        str,
        typer.Argument(
            help="Labelled images: a folder of class folders, parquet, npz, CIFAR or MNIST files."
        ),
    ],
    label_depth: LabelDepth = None,
    workers: Workers = None,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Measure a designed network on labelled images: accuracy, classes, confusion, calibration.

    Counted are the validation or test images of the data, or all of them if it has no such part.
    On the data that a run was trained on, only the images that it held out count.
    """
    with failures_as_lines():
        from nascence.inference import read_classifier
        from nascence.inference.evaluation import measure

        classifier = read_classifier(network)
        with shown(network, quiet=quiet) as progress:
            found = measure(
                classifier,
                data,
                label_depth=label_depth,
                workers=workers,
                progress=lambda done, total: progress("data", done / max(total, 1), "decoding"),
            )
        if as_json:
            say_json(_facts(found))
        else:
            _print_measured(found)


def _facts(found: "Measured") -> dict[str, Any]:
    """The figures as plain values, of which JSON has all."""
    from nascence.report.confusion import class_figures

    quality = found.quality
    return {
        "images": quality.images,
        "origin": found.origin,
        "accuracy": quality.accuracy,
        "top5": quality.top5,
        "loss": quality.loss,
        "brier": quality.brier,
        "calibration_error": quality.calibration_error,
        "calibration": [vars(each) for each in quality.bins],
        "classes": [
            {
                "class": found.class_names[row.label],
                "images": row.images,
                "recall": row.recall,
                "precision": row.precision,
            }
            for row in sorted(class_figures(quality.confusion))
        ],
        "confusion": quality.confusion.tolist(),
        "skipped": list(found.skipped),
    }


def _print_measured(found: "Measured") -> None:
    from nascence.report.confusion import class_figures, confused_pairs

    quality, names = found.quality, found.class_names
    say(f"{quality.images:,} images: {found.origin}")
    say(f"Accuracy {quality.accuracy:.2%} (top five {quality.top5:.2%}); higher is better.")
    say(
        f"Loss {quality.loss:.4f} nats, Brier score {quality.brier:.4f}, expected calibration "
        f"error {quality.calibration_error:.2%}; lower is better."
    )
    rows = [row for row in class_figures(quality.confusion) if row.images]
    say_table(
        f"Classes, the weakest recall first{_of(len(rows))}; higher is better",
        ("class", "images", "recall", "precision"),
        [
            (names[row.label], f"{row.images:,}", _percent(row.recall), _percent(row.precision))
            for row in rows[:LISTED]
        ],
    )
    pairs = confused_pairs(quality.confusion, LISTED)
    if pairs:
        say_table(
            "What is confused most often; lower is better",
            ("class", "taken for", "images", "share of the class"),
            [
                (names[pair.truth], names[pair.predicted], f"{pair.images:,}", f"{pair.share:.1%}")
                for pair in pairs
            ],
        )
    _print_calibration(quality)
    for note in found.skipped[:LISTED]:
        say(f"Data: {note}")


def _print_calibration(quality: "Quality") -> None:
    """Confidence and accuracy side by side: where they are equal, probabilities can be trusted."""
    say_table(
        "Calibration: confidence and accuracy are equal where probabilities can be trusted",
        ("confidence between", "images", "mean confidence", "accuracy"),
        [
            (
                f"{each.low:.0%} and {each.high:.0%}",
                f"{each.images:,}",
                _percent(each.confidence),
                _percent(each.accuracy),
            )
            for each in quality.bins
            if each.images
        ],
    )


def _of(count: int) -> str:
    return f" ({LISTED} of {count:,})" if count > LISTED else ""


def _percent(share: float) -> str:
    return "-" if math.isnan(share) else f"{share:.1%}"
