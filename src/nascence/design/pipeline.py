"""From images to a small trained network: search, train, fold, export, report."""

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from nascence.data import Dataset, load
from nascence.design import stages
from nascence.design.families import family_of, optimizer_of
from nascence.design.folder import RunError, RunFolder
from nascence.design.run import Progress, Run
from nascence.design.settings import DesignSettings, share
from nascence.export import check_opset

STAGES: dict[str, Callable[[Run], Any]] = {
    "search": stages.search_stage,
    "train": stages.train_stage,
    "baseline": stages.baseline_stage,
    "fold": stages.fold_stage,
    "export": stages.export_stage,
    "report": stages.report_stage,
}


def silent(stage: str, fraction: float, message: str) -> None:
    """Show no progress."""


def design(path: Path, settings: DesignSettings, *, progress: Progress = silent) -> dict[str, Any]:
    """Start a run in a new folder and complete it.

    Args:
        path: The folder; it must be new or empty.
        settings: What decides the run.
        progress: Called with a stage, the share of it that is done (0 to 1), and a message.

    Returns:
        The figures of the run, as its report shows them.

    Raises:
        RunError: The folder is taken, or the settings do not go together.
        ExportError: No network can be written in the opset.
        DataError: The images cannot be used.
        LimitError: No architecture keeps to the limits.
    """
    family_of(settings)
    if settings.opset is not None:  # else said at the end of all the work
        check_opset(settings.opset)
    data = load_data(settings, progress)
    folder = RunFolder.create(path, settings)
    return _carry_on(folder, data, progress)


def resume(path: Path, *, progress: Progress = silent) -> dict[str, Any]:
    """Continue a run from where it was stopped; a finished one returns its summary again.

    Args:
        path: The folder of the run.
        progress: As for :func:`design`.

    Raises:
        RunError: The folder holds no run, its images have changed, or a file of it is damaged.
    """
    folder = RunFolder.open(path)
    return _carry_on(folder, load_data(folder.settings, progress), progress)


def load_data(settings: DesignSettings, progress: Progress) -> Dataset:
    """Read the images, with one output for each class of the data or as many as asked for.

    Raises:
        DataError: The images cannot be used.
        RunError: Fewer classes were asked for than there are.
    """

    def read(size: int | None) -> Dataset:
        return load(
            settings.data,
            size=size,
            seed=settings.seed,
            workers=settings.workers,
            progress=lambda done, total: progress("data", done / max(total, 1), "decoding"),
        )

    data = read(settings.size)
    height, width = data.image_shape[1:]
    if height != width or height % 4:
        # The networks halve the image twice, and the space counts the cost of square ones.
        data = read(max(4 * round(min(height, width) / 4), 8))
    wanted = settings.classes
    if wanted is None or wanted == data.classes:
        return data
    if wanted < data.classes:
        raise RunError(
            f"the data has {data.classes} classes, more than --classes {wanted}; "
            f"leave --classes out to read their number from the data"
        )
    extra = tuple(str(index) for index in range(data.classes, wanted))
    return dataclasses.replace(data, class_names=data.class_names + extra)


def device_of(settings: DesignSettings) -> torch.device:
    """The device that a run works on.

    Raises:
        RunError: It is not there.
    """
    if settings.device == "cuda" and not torch.cuda.is_available():
        raise RunError("--device cuda was asked for, but torch sees no GPU; use --device cpu")
    if settings.device == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    return torch.device(settings.device)


def _carry_on(folder: RunFolder, data: Dataset, progress: Progress) -> dict[str, Any]:
    settings = folder.settings
    with folder.held():
        here = {"fingerprint": data.fingerprint}
        known = folder.plan("data", dict[str, str], lambda: here, names=here)
        if known["fingerprint"] != data.fingerprint:
            raise RunError(
                f"the images of {settings.data} have changed since the run in {folder.path} "
                f"began; start a new run"
            )
        run = Run(
            folder=folder,
            optimizer=optimizer_of(settings),
            data=data,
            device=device_of(settings),
            shares=share(settings.budget, baseline=settings.baseline),
            progress=progress,
        )
        for stage, work in STAGES.items():
            if folder.is_finished(stage) or (stage == "baseline" and not settings.baseline):
                continue
            folder.event("started", stage=stage)
            folder.finish(stage, work(run))
            progress(stage, 1.0, "done")
        return run.needed("report", dict[str, Any])
