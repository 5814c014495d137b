"""Supernets of NAS-Bench-201 with true and with random labels, kept along their training.

Width 8, one cell a stage, CIFAR-10 at 16 pixels, the settings of Zhang et al., "Neural
Architecture Search with Random Labels", CVPR 2021, on this space except for length and learning
rate: batch 64, SGD with Nesterov momentum to 0.001 along half a cosine, weight decay 5e-4. It
starts at 0.1, published are 0.025 for ten times as many steps: after 500 steps 30 paths have a mean
accuracy of .268 on validation images, with 0.025, 0.05 and 0.2 one of .246, .264 and .254 (of
supernets without BatchNorm's scales; those here have them in the parts that every network has).
"""

import dataclasses
import time
from pathlib import Path
from typing import NamedTuple

import torch

from nascence.core.resumable import load_checkpoint, save_checkpoint
from nascence.data import Dataset, Split, random_labels
from nascence.spaces import NB201
from nascence.supernets import SuperNet, train_supernet

SPACE = NB201(width=8, cells=1)
SIDE = 16
PARTS = (0.1, 0.3, 1.0)
KINDS = ("true", "random", "few")
FEW = 1024


class Kept(NamedTuple):
    """A supernet at some part of its training, and the one that it started from."""

    initial: SuperNet
    current: SuperNet
    steps: int
    seconds: float


def initial_supernet(seed: int) -> SuperNet:
    """Build the supernet that both trainings of a seed start from."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return SuperNet(SPACE, affine="fixed", statistics="tracked")


def labelled(data: Dataset, kind: str, seed: int) -> Dataset:
    """Return the data with its own labels, or with random ones of that seed.

    ``few`` has random labels for ``FEW`` images alone, so that a training of 4,000 steps sees each
    250 times, the published number: random labels can only be learnt by heart.
    """
    if kind == "true":
        return data
    labels = random_labels(data, generator=torch.Generator().manual_seed(1000 + seed))
    if kind == "random":
        return labels
    split = Split(labels.train.images[:FEW], labels.train.labels[:FEW])
    return dataclasses.replace(labels, train=split, fingerprint=f"{labels.fingerprint}-{FEW}")


def train_kept(data: Dataset, kind: str, seed: int, *, steps: int, out: Path) -> None:
    """Train one supernet, keeping it at every part; go on where an earlier call ended."""
    initial = initial_supernet(seed)
    own = labelled(data, kind, seed)
    for part in PARTS:
        path = kept_path(out, kind, seed, part)
        if path.exists():
            continue
        checkpoint = out / f"training-{kind}-{seed}.pt"
        started = time.process_time()

        def stop(fraction: float, _: object, part: float = part) -> None:
            if fraction >= part:
                raise KeyboardInterrupt

        try:
            train_supernet(
                initial,
                own,
                generator=torch.Generator().manual_seed(seed),
                steps=steps,
                batch_size=64,
                learning_rate=0.1,
                final_learning_rate=0.001,
                weight_decay=5e-4,
                crop=2,
                checkpoint=checkpoint,
                progress=stop,
            )
        except KeyboardInterrupt:  # the documented way to end a training after a checkpoint
            run = load_checkpoint(checkpoint)["run"]
            if run["step"] < round(part * steps):
                raise  # it was the user's
        run = load_checkpoint(checkpoint)["run"]
        print(
            kind, seed, part, run["step"], f"{time.process_time() - started:.0f} CPU-s", flush=True
        )
        save_checkpoint(
            path, {"state": run["model"], "steps": run["step"], "seconds": run["seconds"]}
        )


def kept_path(out: Path, kind: str, seed: int, part: float) -> Path:
    """Where a supernet is kept."""
    return out / f"supernet-{kind}-{seed}-{round(100 * part)}.pt"


def read_kept(out: Path, kind: str, seed: int, part: float) -> Kept:
    """Read a supernet that :func:`train_kept` kept."""
    content = load_checkpoint(kept_path(out, kind, seed, part))
    initial, current = initial_supernet(seed), initial_supernet(seed)
    current.load_state_dict(content["state"])
    return Kept(initial, current.eval(), content["steps"], content["seconds"])


def sample_of(size: int) -> list[int]:
    """Places of a fixed random sample, the same as that of ``nb201_supernets.py``."""
    order = torch.randperm(SPACE.size, generator=torch.Generator().manual_seed(0))
    return sorted(order[:size].tolist())
