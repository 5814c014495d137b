"""Shrinking the MobileNet-like and the DARTS space by angle, small, with training between drops.

    python -m benchmarks.supernets.shrink_spaces --data cifar10-train.parquet --out shrunk

Hu et al., "Angle-based Search Space Shrinking for Neural Architecture Search", ECCV 2020: seven
operations a round of the MobileNet-like space, one of each edge of DARTS. Angles are those of Zhang
et al., "Neural Architecture Search with Random Labels", CVPR 2021, whose supernets of these spaces
keep BatchNorm's scales. What is left is compared with the whole space by the re-calibrated accuracy
of random networks of both, in the supernet before the first drop, which was trained on all alike.
"""

import argparse
import copy
import statistics
import time
from collections.abc import Sequence
from pathlib import Path

import torch

from benchmarks import ledger
from nascence.data import Dataset
from nascence.spaces import CandidateSpace, Darts, Mobile
from nascence.supernets import OneShotEvaluator, SuperNet, restricted_paths, shrink, train_supernet

SIDE = 16
SPACES: dict[str, tuple[CandidateSpace, dict]] = {
    "mobile": (
        Mobile(
            classes=10,
            width=0.25,
            depths=(2, 2, 2, 2, 2, 1),
            stem_stride=1,
            strides=(2, 2, 2, 1, 1, 1),
            last=128,
        ),
        {"at_most": 10**5, "drop": 7},
    ),
    "darts": (Darts(width=4, cells=3), {"at_most": 10**13, "drop": 1, "per_decision": True}),
}


def run(name: str, data: Dataset, arguments: argparse.Namespace) -> dict:
    """Shrink one space."""
    space, settings = SPACES[name]
    with torch.random.fork_rng():
        torch.manual_seed(arguments.seed)
        supernet = SuperNet(space, affine=True, statistics="tracked")
    first: list[SuperNet] = []
    started = time.process_time()

    def step(current: SuperNet, number: int) -> SuperNet:
        trained = train_supernet(
            current,
            data,
            generator=torch.Generator().manual_seed(100 * arguments.seed + number),
            steps=arguments.later_steps if number else arguments.steps,
            sampler=restricted_paths,
            learning_rate=0.025 if number else 0.1,
            crop=2,
            checkpoint=arguments.out / f"{name}-{arguments.seed}-{number}.pt",
        ).supernet
        if not first:
            first.append(copy.deepcopy(trained))
        return trained

    result = shrink(
        supernet,
        step,
        generator=torch.Generator().manual_seed(arguments.seed),
        children=200,
        convention="rlnas",
        **settings,
    )
    count = arguments.images
    split = data.validation
    score = OneShotEvaluator(
        first[0],
        data.normalise(split.images[:count]),
        split.labels[:count],
        recalibration=[data.normalise(data.train.images[-128 * k - 128 :][:128]) for k in (0, 1)],
    )
    found: dict = {"space": name, "whole": f"{space.size:.2g}", "left": f"{result.space.size:.2g}"}
    found["operations a round"] = [len(each.dropped) for each in result.rounds]
    for label, part in (("whole", space.restricted(supernet.choices)), ("left", result.space)):
        generator = torch.Generator().manual_seed(arguments.seed)
        pool = [
            part.widen(part.sample(generator=generator)) for _ in range(arguments.architectures)
        ]
        scores = [100 * score(each) for each in pool]
        found[f"{label}, accuracy"] = round(statistics.mean(scores), 2)
        found[f"{label}, standard error"] = round(statistics.stdev(scores) / len(scores) ** 0.5, 2)
        costs = [space.macs(each, side=SIDE) for each in pool]
        found[f"{label}, million multiply-adds"] = round(statistics.mean(costs) / 1e6, 3)
    found["dropped"] = [
        f"{space.decisions[place].name} {space.decisions[place].choices[index]}"
        for each in result.rounds
        for place, index in each.dropped
    ]
    found["CPU-s"] = round(time.process_time() - started)
    return found


def main(words: Sequence[str] | None = None) -> None:
    parser = ledger.parser(__doc__)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--steps", type=int, default=400, help="of the first round")
    parser.add_argument("--later-steps", type=int, default=40, help="of every later round")
    parser.add_argument("--images", type=int, default=250, help="validation images of a score")
    parser.add_argument("--architectures", type=int, default=20, help="scored, of each space")
    parser.add_argument("--spaces", nargs="+", choices=list(SPACES), default=list(SPACES))
    arguments = ledger.parse(parser, words)
    data = ledger.cifar10(arguments.data, SIDE, cache=arguments.out)
    found = [run(name, data, arguments) for name in arguments.spaces]
    with ledger.Report(arguments) as report:
        table = report.table("Spaces before and after", "what", *arguments.spaces)
        for name in found[0]:
            table.row(name, *(str(each[name]) for each in found))


if __name__ == "__main__":
    main()
