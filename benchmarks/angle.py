"""How angle and accuracy from one supernet rank NAS-Bench-201, along training and without labels.

python benchmarks/angle.py train --data cifar10-train.parquet --out angle
python benchmarks/angle.py score --data cifar10-train.parquet --out angle
python benchmarks/angle.py report --table nb201.csv --out angle
"""

import argparse
from pathlib import Path

import torch

from angle_supernets import KINDS, read_images, train_kept


def train(arguments: argparse.Namespace) -> None:
    """Train what ``--out`` lacks: true and random labels of one seed, then the next seed."""
    data = read_images(arguments.data, arguments.out)
    for seed in arguments.seeds:
        for kind in KINDS:
            train_kept(data, kind, seed, steps=arguments.steps, out=arguments.out)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    commands = parser.add_subparsers(required=True)
    first = commands.add_parser("train")
    first.set_defaults(run=train)
    first.add_argument("--data", type=Path, required=True)
    first.add_argument("--steps", type=int, default=6000)
    first.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    first.add_argument("--out", type=Path, required=True)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    arguments.run(arguments)


if __name__ == "__main__":
    main()
