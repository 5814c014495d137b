"""What decides how a designed network is trained: accuracy after equal CPU time of one thread.

    python benchmarks/recipe_choices.py [--seconds 30] [--seeds 0 1 2] [--out FILE.jsonl]

The network is a fixed cell of the searched space (three 3x3 convolutions, width 8, one cell a
stage; 7.4 M multiply-adds) on the bundled sample. Each line changes one thing. Finished trainings
in --out are read, not repeated.
"""

import argparse
import json
import statistics
import time
from pathlib import Path
from typing import Any

import torch

from nascence import training
from nascence.data import Dataset, load
from nascence.design import recipe
from nascence.models import resnet_of_macs
from nascence.reparam import RepVGGBlock
from nascence.spaces import NB201, identity_convolution

CELL = "|nor_conv_3x3~0|+|none~0|nor_conv_3x3~1|+|skip_connect~0|none~1|nor_conv_3x3~2|"
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
    "ResNet, AdamW 1e-3": {"baseline": 1e-3},
    "ResNet, AdamW 3e-3 (the baseline)": {"baseline": 3e-3},
}


class ProcessorTime:
    """Stands in for the clock of the training loop."""

    perf_counter = staticmethod(time.process_time)


def run(data: Dataset, seed: int, seconds: float, changes: dict[str, Any]) -> dict[str, Any]:
    """Train once; accuracy on the validation images and passes over the training images."""
    settings = recipe.designed(32)
    settings.update({k: v for k, v in changes.items() if k in settings})
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        if "baseline" in changes:
            model = resnet_of_macs(7_400_000, classes=10, image_shape=(3, 32, 32))
            settings = {**recipe.usual(), "optimizer": training.adamw(changes["baseline"])}
        else:
            block = BLOCKS[changes.get("block", "identity")]
            space = NB201(width=changes.get("width", 8), cells=1, conv=block)
            model = space.build(space.parse(CELL))
    generator = torch.Generator().manual_seed(seed)
    result = training.train(model, data, **settings, seconds=seconds, generator=generator)
    passes = result.steps * settings["batch_size"] / len(data.train)
    return {"accuracy": 100 * result.curve[-1].accuracy, "passes": passes}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=30.0)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--out", type=Path, default=Path("runs/recipe-choices.jsonl"))
    options = parser.parse_args()
    torch.set_num_threads(1)
    training.time = ProcessorTime  # type: ignore[assignment]
    data = load("cifar10-sample")
    options.out.parent.mkdir(parents=True, exist_ok=True)
    done = {}
    if options.out.exists():
        for line in options.out.read_text().splitlines():
            found = json.loads(line)
            done[found["choice"], found["seed"], found["seconds"]] = found
    for seed in options.seeds:
        for choice, changes in CHOICES.items():
            key = (choice, seed, options.seconds)
            if key not in done:
                found = run(data, seed, options.seconds, changes)
                done[key] = dict(zip(("choice", "seed", "seconds"), key, strict=True)) | found
                with options.out.open("a") as file:
                    file.write(json.dumps(done[key]) + "\n")
    print("| what | accuracy, mean ± sd | passes over the images |\n|-|-|-|")
    for choice in CHOICES:
        found = [done[choice, seed, options.seconds] for seed in options.seeds]
        values = [each["accuracy"] for each in found]
        spread = statistics.stdev(values) if len(values) > 1 else 0.0
        passes = statistics.mean(each["passes"] for each in found)
        print(f"| {choice} | {statistics.mean(values):.1f} ± {spread:.1f} | {passes:.0f} |")


if __name__ == "__main__":
    main()
