"""The small space: all 1,296 networks trained alone, and how supernets rank them.

    python benchmarks/small_space.py truth --data cifar10-train.parquet --out small

``truth`` trains one network of each of the 253 classes of equal function for ``--steps`` steps on
8-pixel CIFAR-10 images, in a random order, and appends a line for each to ``truth.jsonl``: killed
and started again, it goes on with what is missing.
"""

import argparse
import json
import time
from pathlib import Path

import torch

from cifar10_rows import cifar10
from nascence.data import Dataset
from nascence.spaces import Architecture, Small
from nascence.training import evaluate, sgd, train

SPACE = Small(width=16)
SIDE = 8
BATCH = 128


def train_alone(
    architecture: Architecture, data: Dataset, *, seed: int, steps: int
) -> dict[str, float]:
    """Train one network; validation accuracy and loss, and the seconds that it took."""
    start = time.process_time()
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        model = SPACE.build(architecture).to(memory_format=torch.channels_last)
    trained = train(
        model,
        data,
        optimizer=sgd(0.1),
        generator=torch.Generator().manual_seed(seed),
        steps=steps,
        batch_size=BATCH,
        crop=1,
        measurements=1,
    )
    result = evaluate(trained.model, data.validation, data.normalise, batch_size=1000)
    return {
        "accuracy": result.accuracy,
        "loss": result.loss,
        "seconds": round(time.process_time() - start, 3),
    }


def truth(arguments: argparse.Namespace) -> None:
    """Train what ``truth.jsonl`` lacks."""
    data = cifar10(arguments.data, SIDE, cache=arguments.out)
    path = arguments.out / "truth.jsonl"
    lines = [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []
    done = {(line["seed"], line["steps"], tuple(line["architecture"])) for line in lines}
    classes = sorted({SPACE.canonical(architecture) for architecture in SPACE})
    order = torch.randperm(len(classes), generator=torch.Generator().manual_seed(0)).tolist()
    for seed in arguments.seeds:
        for place in order[: arguments.limit]:
            if (seed, arguments.steps, classes[place]) in done:
                continue
            found = train_alone(classes[place], data, seed=seed, steps=arguments.steps)
            key = {"seed": seed, "steps": arguments.steps, "architecture": classes[place]}
            with path.open("a") as file:
                file.write(json.dumps({**key, **found}) + "\n")
            print(SPACE.format(classes[place]), found, flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    commands = parser.add_subparsers(required=True)
    first = commands.add_parser("truth")
    first.set_defaults(run=truth)
    for command in (first,):
        command.add_argument("--data", type=Path, required=True)
        command.add_argument("--out", type=Path, required=True)
    first.add_argument("--steps", type=int, default=600)
    first.add_argument("--seeds", type=int, nargs="+", default=[0])
    first.add_argument("--limit", type=int, help="only so many classes")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    arguments.run(arguments)


if __name__ == "__main__":
    main()
