"""The work of ``nascence meta-train ghn``: data, networks, validation, and one leg of a run."""

import json
import math
import os
import sys
import time
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor

from nascence.cli.devices import device_of
from nascence.core.files import is_unused, locked, understood, write_whole
from nascence.core.randomness import seeded
from nascence.data import Dataset, Split
from nascence.data import load as load_data
from nascence.hypernet import GHN, in_processes, meta_train, read_card, validation
from nascence.hypernet.schedule import SCHEDULES
from nascence.spaces.deepnets import SPLITS, DeepNets

KINDS: dict[str, Callable[..., GHN]] = {"ghn1": GHN.ghn1, "ghn2": GHN.ghn2, "mlp": GHN.mlp}
Progress = Callable[[str, float, str], None]


@dataclass(frozen=True)
class Choices:
    """What a run is made of; it cannot change from leg to leg."""

    data: str
    kind: str
    steps: int
    meta_batch: int
    batch: int
    size: int
    cells: tuple[int, int]
    channels: tuple[int, ...]
    max_macs: int
    learning_rate: float
    label_smoothing: float
    splits: tuple[str, ...]
    validation_networks: int
    validate_every: int
    seed: int
    schedule: str = "cosine"
    average: float = 0.0
    start: str = ""
    crop: int = 0

    def check(self) -> None:
        """Raise ValueError for what no run can be made of."""
        if self.kind not in KINDS:
            raise ValueError(f"--kind is {self.kind!r}; it must be one of {', '.join(KINDS)}")
        for split in self.splits:
            if split not in SPLITS:
                raise ValueError(f"--splits has {split!r}; it may have {', '.join(SPLITS)}")
        if len(self.cells) != 2 or not 4 <= self.cells[0] <= self.cells[1]:
            raise ValueError(f"--cells is {self.cells}; give two numbers of 4 or more, as 4,8")
        if not self.channels or min(self.channels) < 8 or any(c % 8 for c in self.channels):
            raise ValueError(f"--channels is {self.channels}; give multiples of 8, as 16,32")
        for name in ("steps", "meta_batch", "batch", "validation_networks", "validate_every"):
            if getattr(self, name) < 1:
                option = "--" + name.replace("_", "-")
                raise ValueError(f"{option} is {getattr(self, name)}; it must be at least 1")
        if self.schedule not in SCHEDULES:
            raise ValueError(
                f"--schedule is {self.schedule!r}; it must be one of {', '.join(SCHEDULES)}"
            )
        if self.start and not Path(self.start).exists():
            read_card(self.start)  # which names the released weights that there are
        if self.size < 8 or self.max_macs < 1 or self.learning_rate <= 0:
            raise ValueError(
                f"--size {self.size}, --max-macs {self.max_macs}, --learning-rate "
                f"{self.learning_rate}: at least 8, 1 and more than 0 are needed"
            )


def networks_of(split: str, choices: Choices, classes: int) -> DeepNets:
    """Networks of one split at the size that the run is for.

    Training networks keep to the cells, channels and multiply-adds; those of the other splits
    to the channels (four times as many if wide), and have the split's own cells or steps.
    """
    if split == "predefined":
        return DeepNets(split, classes=classes, image_size=choices.size)
    near = split in ("train", "search", "val", "test")
    factor = 4 if split == "wide" else 1
    return DeepNets(
        split,
        classes=classes,
        image_size=choices.size,
        cells=None if split == "deep" else choices.cells,
        channels=tuple(factor * width for width in choices.channels),
        max_macs=choices.max_macs if near else None,
    )


def run(
    out: Path,
    choices: Choices,
    *,
    seconds: float = math.inf,
    workers: int = 0,
    processes: int = 1,
    device: str = "auto",
    progress: Progress | None = None,
) -> dict[str, Any]:
    """One leg of the run in ``out``, which it makes or takes up; returns what it came to.

    ``processes`` on this machine share each meta-batch, or those that ``torchrun`` started; the
    weights are those of one process up to rounding. Raises ValueError for a folder with another
    run or anything else in it, and OSError for one that another process works on.
    """
    choices.check()
    if not 1 <= processes <= choices.meta_batch:
        raise ValueError(
            f"--processes is {processes} with --meta-batch {choices.meta_batch}; the networks of "
            "a step are what they share, so it must be from 1 to the meta-batch"
        )
    launched = int(os.environ.get("WORLD_SIZE", "1")) > 1
    if launched and not dist.is_initialized():
        dist.init_process_group()
    first = not launched or dist.get_rank() == 0
    with locked(out) if first else nullcontext():
        if first:
            _claim(out, choices)
        if processes > 1:
            shared = (out, choices, seconds, workers, "cpu", None if progress is None else _print)
            return dict(in_processes(processes, leg, *shared))
        facts = leg(out, choices, seconds, workers, device, progress)
    if launched:
        dist.destroy_process_group()
    return facts


def _claim(out: Path, choices: Choices) -> None:
    """Note the choices in an unused folder, or check that it holds the same run."""
    path = out / "choices.json"
    wanted = json.loads(json.dumps(asdict(choices)))
    if is_unused(out):
        write_whole(path, json.dumps(wanted, indent=1).encode())
        return
    if not path.is_file():
        raise ValueError(f"{out} holds something else; choose another folder")
    with understood(path, remedy="choose another folder"):
        known = json.loads(path.read_text())
        for name in ("schedule", "average", "start", "crop"):  # runs of earlier versions have none
            known.setdefault(name, getattr(Choices, name))
        differing = [name for name in wanted if known[name] != wanted[name]]
    if choices.schedule == "constant":
        differing = [name for name in differing if name != "steps"]
    if differing:
        name = differing[0]
        raise ValueError(
            f"{out} holds a run with --{name.replace('_', '-')} {known[name]}, not "
            f"{wanted[name]}; continue with its settings or choose another folder"
        )


def leg(
    out: Path,
    choices: Choices,
    seconds: float,
    workers: int,
    device: str,
    progress: Progress | None = None,
) -> dict[str, Any]:
    """The share of this process in one leg."""
    place = device_of(device)
    if place.type == "cuda" and dist.is_initialized():
        place = torch.device("cuda", dist.get_rank() % torch.cuda.device_count())
    data = load_data(choices.data, size=choices.size)
    images, labels = _floats(data, data.train, None)
    with seeded(choices.seed):
        ghn = KINDS[choices.kind](classes=data.classes).to(place)
    networks = networks_of("train", choices, data.classes)
    spent = time.process_time()
    report = meta_train(
        ghn,
        networks.skeleton,
        len(networks),
        images,
        labels,
        out=out,
        steps=choices.steps,
        meta_batch=choices.meta_batch,
        batch_size=choices.batch,
        learning_rate=choices.learning_rate,
        label_smoothing=choices.label_smoothing,
        crop=choices.crop,
        seed=choices.seed,
        schedule=choices.schedule,
        average=choices.average,
        start=choices.start,
        seconds=seconds,
        workers=workers,
        validation=_validation(data, choices, place),
        validate_every=choices.validate_every,
        card={"data": data.name, "classes": data.classes, "choices": asdict(choices)},
        progress=None if progress is None else lambda f, line: progress("meta-train", f, line),
    )
    file = out / "ghn.safetensors"
    return {
        **report._asdict(),
        "loss": report.loss if math.isfinite(report.loss) else None,
        "cpu_seconds": time.process_time() - spent,
        "weights": str(file),
        "steps": choices.steps,
        "validation": _last_validation(out),
        "card": read_card(file) if file.is_file() else {},
    }


def _print(_: str, __: float, line: str) -> None:
    """Progress of the first of several processes, which have no terminal to draw in."""
    if line and dist.get_rank() == 0:
        print(line, file=sys.stderr, flush=True)


def _floats(data: Dataset, split: Split, count: int | None) -> tuple[Tensor, Tensor]:
    """Normalised images ``(N, 3, H, W)``, grey ones with their channel three times, and labels."""
    images = data.normalise(split.images[:count])
    return images.expand(-1, 3, -1, -1).contiguous(), split.labels[:count]


def _validation(
    data: Dataset, choices: Choices, device: torch.device
) -> Callable[[GHN], dict[str, float]]:
    """A pass over the first networks of every split on at most 1,000 validation images."""
    calibration, _ = _floats(data, data.train, 256)
    images, labels = _floats(data, data.validation, 1000)
    splits = {}
    for split in choices.splits:
        networks = networks_of(split, choices, data.classes)
        splits[split] = lambda index, networks=networks: _placed(networks[index], device)
    return validation(
        splits,
        choices.validation_networks,
        images.to(device),
        labels.to(device),
        calibration=[b for b in calibration.to(device).split(64) if len(b) > 1],
    )


def _placed(pair: Any, device: torch.device) -> Any:
    graph, model = pair
    return graph, model.to(device)


def _last_validation(out: Path) -> dict[str, float]:
    """The accuracies of the last validation pass in the log."""
    found: dict[str, float] = {}
    path = out / "log.jsonl"
    with understood(path, remedy="delete it; the next leg begins another log"):
        for line in path.read_text().splitlines() if path.is_file() else ():
            row = json.loads(line)
            found = {k: float(v) for k, v in row.items() if k.startswith("accuracy_")} or found
    return found
