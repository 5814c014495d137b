"""Measure a network on labelled images."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from nascence.data.decoding import Progress
from nascence.data.errors import printable
from nascence.data.labelled import Labelled, read_labelled
from nascence.design.folder import RunFolder
from nascence.design.inputs import Inputs
from nascence.design.pipeline import load_data, silent
from nascence.inference.classifier import Classifier, ClassifierError
from nascence.inference.quality import Quality, judge


@dataclass(frozen=True)
class Measured:
    """A network on labelled images.

    Attributes:
        quality: The figures.
        class_names: Of the network, in the order of the figures.
        origin: On which images, in words.
        skipped: One line for each image that cannot be read.
    """

    quality: Quality
    class_names: tuple[str, ...]
    origin: str
    skipped: tuple[str, ...]


def measure(
    classifier: Classifier,
    data: str | Path,
    *,
    label_depth: int | None = None,
    workers: int | None = None,
    progress: Progress | None = None,
) -> Measured:
    """Measure a network on the validation or test images of a data set, or else on all of them.

    On the data that a run was trained on, without validation images of its own, only the images
    that the run held out count.

    Args:
        classifier: The network.
        data: As for :func:`nascence.data.load`; classes are matched by name.
        label_depth: As for :func:`nascence.data.load`.
        workers: Threads that decode.
        progress: Called with the number of images decoded and their total.

    Raises:
        ClassifierError: The data has a class that the network does not know.
        DataError: The data cannot be used.
    """
    found = _held_out(classifier, data) or read_labelled(
        data, classifier.form, label_depth=label_depth, workers=workers, progress=progress
    )
    labels = _matched(found, classifier, data)
    return Measured(
        quality=judge(classifier.probabilities(found.images), labels),
        class_names=classifier.class_names,
        origin=found.origin,
        skipped=found.skipped,
    )


def _held_out(classifier: Classifier, data: str | Path) -> Labelled | None:
    """The validation images of the run whose network this is, if it was trained on ``data``."""
    folder = classifier.path.parent
    if classifier.path.name != "model.onnx" or not (folder / "config.yaml").is_file():
        return None
    run = RunFolder.open(folder)
    settings = run.settings
    here = str(data) if str(data) == settings.data else str(Path(data).resolve())
    if here not in (settings.data, str(Path(settings.data).resolve())):
        return None
    trained_on = load_data(settings, silent, run.result("inputs", Inputs))
    split = trained_on.validation
    return Labelled(
        images=split.images.numpy(),
        labels=split.labels.numpy(),
        class_names=trained_on.class_names,
        origin=f"the images that the run did not train on: {trained_on.reading}",
        skipped=trained_on.skipped,
    )


def _matched(found: Labelled, classifier: Classifier, data: str | Path) -> NDArray[np.int64]:
    """The labels as numbers of the network's classes."""
    known = {name: number for number, name in enumerate(classifier.class_names)}
    names: Sequence[str] = found.class_names
    present = [names[label] for label in np.unique(found.labels)]
    unknown = [name for name in present if name not in known]
    if not unknown:
        table = np.array([known.get(name, -1) for name in names], np.int64)
        return table[found.labels]
    numbered = all(name == str(number) for number, name in enumerate(names))
    if numbered and len(names) <= len(known):  # data without names: numbers in the network's order
        return found.labels
    raise ClassifierError(
        f"{printable(data)} has a class {unknown[0]!r} that the network does not know; its "
        f"classes are {', '.join(classifier.class_names[:20])}"
        f"{' and more' if len(known) > 20 else ''}: rename or remove it"
    )
