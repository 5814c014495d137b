"""Small runs of every command that keeps a folder, and what is left of them."""

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.reliability.trying import LostError

Words = list[object]


def data(folder: Path) -> Path:
    """A file of 60 images of 8 pixels in three classes."""
    path = folder / "noise.npz"
    if not path.exists():
        rng = np.random.default_rng(3)
        labels = np.arange(60) % 3
        images = rng.integers(0, 150, (60, 8, 8, 3)) + 50 * labels[:, None, None, None]
        np.savez(path, images=images.astype(np.uint8), labels=labels)
    return path


def words(name: str, out: Path, images: Path) -> Words:
    """The command of one of `RUNS`."""
    return [*RUNS[name](images), "--out", out, "-q"]


RUNS: dict[str, Callable[[Path], Words]] = {
    "search": lambda images: ["search", "nb201", "--budget", 150, "--seed", 5],
    "search by a score": lambda images: [
        "search", "small", "--evaluator", "naswot", "--data", images, "--width", 4,
        "--images", 8, "--budget", 12,
    ],
    "search by gradients": lambda images: [
        "search", "nb201", "--strategy", "gdas", "--data", images, "--width", 4, "--cells", 1,
        "--steps", 12,
    ],
    "design": lambda images: [
        "design", images, "--size", 8, "--trials", 3, "--steps", 6, "--no-baseline",
        "--checkpoint-seconds", 0.01,
    ],
    "hypernetwork": lambda images: [
        "meta-train", "ghn", "--data", images, "--size", 8, "--steps", 3, "--batch", 4,
        "--validation-networks", 1, "--splits", "val", "--validate-every", 2,
    ],
    "learned optimizer": lambda images: [
        "meta-train", "optimizer", "--steps", 3, "--cohorts", 1, "--pairs", 2, "--window", 5,
        "--lengths", "5,10", "--families", "quadratic",
    ],
}  # fmt: skip


def trials(out: Path) -> list[str]:
    """The architectures that a study has finished, in order.

    Raises:
        LostError: The study cannot be read.
    """
    import optuna

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    backend = optuna.storages.journal.JournalFileBackend(str(out / "study.journal"))
    storage = optuna.storages.JournalStorage(backend)
    summaries = optuna.get_all_study_names(storage)
    if len(summaries) != 1:
        raise LostError(f"{len(summaries)} studies in one journal")
    study = optuna.load_study(study_name=summaries[0], storage=storage)
    complete = optuna.trial.TrialState.COMPLETE
    return [
        str(trial.user_attrs["architecture"])
        for trial in study.get_trials(deepcopy=False)
        if trial.state == complete
    ]


def result(out: Path) -> Any:
    """What a finished run has made: its trials and the tensors of its files of weights.

    Raises:
        LostError: There is nothing.
    """
    if (out / "study.journal").exists():
        return trials(out)
    found = {}
    for path in sorted(out.rglob("*.safetensors")):
        from safetensors import safe_open

        total = hashlib.sha256()
        with safe_open(str(path), "np") as file:
            for name in sorted(file.keys()):
                total.update(name.encode() + file.get_tensor(name).tobytes())
        found[str(path.relative_to(out))] = total.hexdigest()
    history = out / "history.json"
    if not found and history.exists():
        found[history.name] = without_times(json.loads(history.read_text()))
    if not found:
        names = sorted(path.name for path in out.iterdir())
        raise LostError(f"nothing was made in {names}")
    return found


def without_times(value: Any) -> Any:
    """A value read from JSON without the seconds that things took."""
    if isinstance(value, dict):
        return {key: without_times(each) for key, each in value.items() if "second" not in key}
    return [without_times(each) for each in value] if isinstance(value, list) else value
