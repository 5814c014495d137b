"""Once-for-All on a small elastic space: what its sub-networks reach, alone and shared.

python benchmarks/once_for_all.py alone --data cifar10-train.parquet --out ofa
"""

import argparse
import json
import time
from collections.abc import Sequence
from pathlib import Path

import torch

from cifar10_rows import cifar10
from nascence.spaces import ElasticMobile, Stage
from nascence.training import evaluate, sgd, train

SPACE = ElasticMobile(
    classes=10,
    stages=(Stage(16, 1), Stage(24, 2, True, True)),
    resolutions=(12, 14, 16),
    final=96,
    last=128,
    dropout=0.0,
)
NETWORKS, ALONE = 50, 300
SCORED = 2000  # validation images that supernets are scored on; the truth is that of the others


def alone(arguments: argparse.Namespace) -> None:
    """Train each of the networks alone for as many steps as the others."""
    data = cifar10(arguments.data, 16, cache=arguments.out)
    kept = arguments.out / "alone.jsonl"
    done = {row["architecture"] for row in rows(kept)}
    for number, architecture in enumerate(sampled()):
        name = SPACE.format(architecture)
        if name in done:
            continue
        start = time.process_time()
        with torch.random.fork_rng():
            torch.manual_seed(number)
            model = SPACE.build(architecture).to(memory_format=torch.channels_last)
        trained = train(
            model,
            data,
            optimizer=sgd(0.1),
            generator=torch.Generator().manual_seed(number),
            steps=ALONE,
            batch_size=64,
            crop=2,
            measurements=0,
        )
        cost = time.process_time() - start
        reached = evaluate(trained.model, data.validation, data.normalise)
        right = (reached.logits.argmax(1) == data.validation.labels).float()
        append(kept, {
            "architecture": name,
            "accuracy": right[SCORED:].mean().item(),
            "macs": SPACE.macs(architecture),
            "parameters": SPACE.parameters(architecture),
            "cpu_seconds": round(cost, 1),
        })  # fmt: skip


def sampled() -> list[tuple[int, ...]]:
    """The networks that are compared."""
    generator = torch.Generator().manual_seed(0)
    return [SPACE.sample(generator=generator) for _ in range(NETWORKS)]


def append(kept: Path, row: dict) -> None:
    with kept.open("a") as file:
        file.write(json.dumps(row) + "\n")
    print(row, flush=True)


def rows(kept: Path) -> list[dict]:
    """The finished parts."""
    if not kept.exists():
        return []
    return [json.loads(line) for line in kept.read_text().splitlines() if line.strip()]


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    commands = parser.add_subparsers(required=True)
    first = commands.add_parser("alone")
    first.set_defaults(run=alone)
    first.add_argument("--data", type=Path, required=True)
    first.add_argument("--out", type=Path, required=True)
    parsed = parser.parse_args(arguments)
    torch.set_num_threads(1)
    parsed.run(parsed)


if __name__ == "__main__":
    main()
