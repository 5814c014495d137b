"""From images to a small trained network: search, train, fold, export, report."""

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from nascence.data import Dataset, load, look
from nascence.design import stages
from nascence.design.clock import Clock
from nascence.design.families import family_of, optimizer_of
from nascence.design.folder import RunError, RunFolder
from nascence.design.input_choice import LARGEST, decide
from nascence.design.inputs import Inputs, check_budget
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


INPUTS = 0.08
"""Share of the budget that goes into choosing size, framing and flips."""


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
    clock = Clock(settings.budget)
    family_of(settings)
    device = device_of(settings)
    RunFolder.check_new(path)
    if settings.opset is not None:  # else said at the end of all the work
        check_opset(settings.opset)
    inputs = None if settings.steps else _decided(settings, clock, device, progress)
    data = load_data(settings, progress, inputs)
    folder = RunFolder.create(path, settings)
    if inputs is not None:
        folder.finish("inputs", inputs)
    return _carry_on(folder, data, inputs, clock, progress)


def resume(path: Path, *, progress: Progress = silent) -> dict[str, Any]:
    """Continue a run from where it was stopped; a finished one returns its summary again.

    Args:
        path: The folder of the run.
        progress: As for :func:`design`.

    Raises:
        RunError: The folder holds no run, its images have changed, or a file of it is damaged.
    """
    folder = RunFolder.open(path)
    clock = Clock(folder.settings.budget, spent=folder.spent())
    inputs = folder.result("inputs", Inputs)
    data = load_data(folder.settings, progress, inputs)
    return _carry_on(folder, data, inputs, clock, progress)


def load_data(
    settings: DesignSettings, progress: Progress, inputs: Inputs | None = None
) -> Dataset:
    """Read the images, with one output for each class of the data or as many as asked for.

    Args:
        settings: What decides the run.
        progress: Told how far it is.
        inputs: Size and framing of the images, where they were decided.

    Raises:
        DataError: The images cannot be used.
        RunError: Fewer classes were asked for than there are.
    """

    def read(size: int | None) -> Dataset:
        return load(
            settings.data,
            size=size,
            framing="crop" if inputs is None else inputs.framing,
            label_depth=settings.label_depth,
            seed=settings.seed,
            workers=settings.workers,
            progress=lambda done, total: progress("data", done / max(total, 1), "decoding"),
        )

    data = read(settings.size if inputs is None else inputs.side)
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


def _decided(
    settings: DesignSettings, clock: Clock, device: torch.device, progress: Progress
) -> Inputs:
    """Size, framing and flips of the images, decided on a look at some of them.

    Raises:
        DataError: The images cannot be used.
        RunError: The budget is too short for what would have to be done.
    """
    seen = look(
        settings.data,
        side=settings.size or LARGEST,
        seconds=0.03 * settings.budget,
        label_depth=settings.label_depth,
        progress=lambda fraction: progress("inputs", 0.2 * fraction, "a look at the images"),
    )
    check_budget(seen, settings)
    training = share(settings.budget, baseline=settings.baseline, spent=0.1 * settings.budget)
    decided = decide(
        seen,
        size=settings.size,
        seconds=INPUTS * settings.budget,
        training_seconds=training.train,
        seed=settings.seed,
        device=device,
        progress=lambda fraction, words: progress("inputs", 0.2 + 0.8 * fraction, words),
    )
    progress("inputs", 1.0, f"{decided.side} pixels, {decided.framing}")
    return decided


def _carry_on(
    folder: RunFolder, data: Dataset, inputs: Inputs | None, clock: Clock, progress: Progress
) -> dict[str, Any]:
    settings = folder.settings
    with folder.held():
        here = {"fingerprint": data.fingerprint}
        known = folder.plan("data", dict[str, str], lambda: here, names=here)
        if known["fingerprint"] != data.fingerprint:
            raise RunError(
                f"the images of {settings.data} have changed since the run in {folder.path} "
                f"began; start a new run"
            )
        begun = folder.plan(
            "shares",
            dict[str, float],
            lambda: {"spent": clock.elapsed, "slowness": clock.slowness},
            names=("spent", "slowness"),
        )
        run = Run(
            folder=folder,
            optimizer=optimizer_of(settings),
            data=data,
            device=device_of(settings),
            shares=share(settings.budget, baseline=settings.baseline, **begun),
            progress=progress,
            clock=clock,
            inputs=inputs,
        )
        for stage, work in STAGES.items():
            if folder.is_finished(stage) or (stage == "baseline" and not settings.baseline):
                continue
            folder.event("started", stage=stage)
            folder.note_spent(clock.elapsed)
            folder.finish(stage, work(run))
            folder.note_spent(clock.elapsed)
            progress(stage, 1.0, "done")
        return run.needed("report", dict[str, Any])
