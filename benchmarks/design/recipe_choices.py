"""What decides how a designed network is trained: accuracy after equal CPU time of one thread.

    python -m benchmarks.design.recipe_choices [--seconds 30] [--seeds 0 1 2] [--out FILE.jsonl]

The network is a fixed cell of the searched space (three 3x3 convolutions, width 8, one cell a
stage; 7.4 M multiply-adds) on the bundled sample, or a staged one (residual blocks, 32 channels,
16.7 M multiply-adds). Each line changes one thing. Finished trainings
in --out are read, not repeated.
"""

import statistics
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from benchmarks import ledger
from nascence import training
from nascence.core import resumable
from nascence.data import Dataset, load
from nascence.design import recipe
from nascence.models import resnet_of_macs
from nascence.reparam import RepVGGBlock
from nascence.spaces import NB201, StagedSpace, identity_convolution

CELL = "|nor_conv_3x3~0|+|none~0|nor_conv_3x3~1|+|skip_connect~0|none~1|nor_conv_3x3~2|"
STAGED = "stem2;32x1 residual;64x1 residual;128x1 residual"
BLOCKS = {
    "plain": None,
    "identity": identity_convolution,
    "repvgg": RepVGGBlock,
}
CHOICES: dict[str, dict[str, Any]] = {
    "as it is (identity blocks)": {},
    "plain blocks": {"block": "plain"},
    "RepVGG blocks": {"block": "repvgg"},
    "images always at full size": {"resolution_schedule": None},
    "no average of weights": {"average_decay": None},
    "width 16": {"width": 16},
    "staged network, Muon": {"staged": "muon"},
    "staged network, SGD": {"staged": "sgd"},
    "staged network, AdamW": {"staged": "adamw"},
    "staged network, Muon, images always at full size": {
        "staged": "muon",
        "resolution_schedule": None,
    },
    "ResNet, AdamW 1e-3": {"baseline": 1e-3},
    "ResNet, AdamW 3e-3 (the baseline)": {"baseline": 3e-3},
}


class ProcessorTime:
    """Stands in for the module ``time``: what measures by it then stops by CPU time."""

    perf_counter = staticmethod(time.process_time)
    monotonic = staticmethod(time.monotonic)


def stop_by_cpu_time() -> None:
    """Let the seconds of every training of this process be those of the processor."""
    for module in (resumable, recipe):
        module.time = ProcessorTime  # type: ignore[attr-defined]


def run(data: Dataset, seed: int, seconds: float, changes: dict[str, Any]) -> dict[str, Any]:
    """Train once; accuracy on the validation images and passes over the training images."""
    settings = recipe.designed(32)
    if "staged" in changes:
        settings = recipe.staged(32, optimizer=changes["staged"])
    settings.update({k: v for k, v in changes.items() if k in settings})
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        model: torch.nn.Module
        if "baseline" in changes:
            model = resnet_of_macs(7_400_000, classes=10, image_shape=(3, 32, 32))
            settings = {**recipe.usual(), "optimizer": training.adamw(changes["baseline"])}
        elif "staged" in changes:
            staged = StagedSpace()
            model = staged.build(staged.parse(STAGED))
        else:
            block = BLOCKS[changes.get("block", "identity")]
            space = NB201(width=changes.get("width", 8), cells=1, conv=block)
            model = space.build(space.parse(CELL))
    generator = torch.Generator().manual_seed(seed)
    result = training.train(model, data, **settings, seconds=seconds, generator=generator)
    passes = result.steps * settings["batch_size"] / len(data.train)
    return {"accuracy": 100 * result.curve[-1].accuracy, "passes": passes}


def main(words: Sequence[str] | None = None) -> None:
    parser = ledger.parser(__doc__)
    parser.add_argument("--seconds", type=float, default=30.0)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--out", type=Path, default=Path("runs/recipe-choices.jsonl"))
    options = ledger.parse(parser, words)
    stop_by_cpu_time()
    data = load("cifar10-sample")
    rows = ledger.read_rows(options.out)
    done = {(row["choice"], row["seed"], row["seconds"]): row for row in rows}
    for seed in options.seeds:
        for choice, changes in CHOICES.items():
            key = (choice, seed, options.seconds)
            if key not in done:
                found = run(data, seed, options.seconds, changes)
                named = dict(zip(("choice", "seed", "seconds"), key, strict=True))
                done[key] = ledger.keep_row(options.out, named | found)
    with ledger.Report(options) as report:
        table = report.table(
            f"Accuracy after {options.seconds:g} CPU-seconds of training",
            "what",
            ("accuracy", "%, mean ± sd over seeds", "higher"),
            "passes over the images",
        )
        for choice in CHOICES:
            chosen = [done[choice, seed, options.seconds] for seed in options.seeds]
            passes = statistics.mean(each["passes"] for each in chosen)
            table.row(choice, ledger.spread(each["accuracy"] for each in chosen), f"{passes:.0f}")


if __name__ == "__main__":
    main()
