"""Parameters and multiply-adds of published networks of the spaces, beside their papers' figures.

    python -m benchmarks.spaces.published_networks

Formulas of the spaces, checked against the built network each.
"""

from collections.abc import Sequence

import torch

from benchmarks import ledger
from nascence.graph import count_macs, count_parameters
from nascence.spaces import GENOTYPES, AdditiveSpace, Architecture, Darts, Mobile, ShuffleNetSpace

COLUMNS = (
    "network",
    "parameters",
    ("published", "M", ""),
    ("multiply-adds", "M", ""),
    ("published", "M", ""),
)
RLNAS = "2 0 -1 2 2 0 2 4 0 4 4 2 4 2 4 2 0 0 0 2 2"
SPOS = "(2, 1, 0, 1, 2, 0, 2, 0, 2, 0, 2, 3, 0, 0, 0, 0, 3, 2, 3, 3)"


def main(words: Sequence[str] | None = None) -> None:
    options = ledger.parse(ledger.parser(__doc__), words)
    cifar = Darts()
    imagenet = Darts(classes=1000, width=48, cells=14, stem="imagenet")
    mobile, shufflenet = Mobile(), ShuffleNetSpace()
    rows: list[tuple[str, AdditiveSpace, Architecture, str, str]] = [
        ("DARTS V2, CIFAR", cifar, cifar.from_genotype(GENOTYPES["DARTS_V2"]), "3.3", ""),
        ("DARTS V2", imagenet, cifar.from_genotype(GENOTYPES["DARTS_V2"]), "4.7", "574"),
        ("PC-DARTS, CIFAR", cifar, cifar.from_genotype(GENOTYPES["PC_DARTS_CIFAR"]), "3.6", ""),
        (
            "PC-DARTS, searched on CIFAR",
            imagenet,
            cifar.from_genotype(GENOTYPES["PC_DARTS_CIFAR"]),
            "5.3",
            "586",
        ),
        ("PC-DARTS", imagenet, cifar.from_genotype(GENOTYPES["PC_DARTS_IMAGENET"]), "5.3", "597"),
        (
            "RLNAS, DARTS space",
            imagenet,
            cifar.from_genotype(GENOTYPES["RLDARTS_CIFAR"]),
            "",
            "629",
        ),
        ("RLNAS, MobileNet-like", mobile, mobile.parse(RLNAS), "", "473"),
        ("SPOS, blocks", shufflenet, shufflenet.parse(SPOS), "3.5", "323"),
    ]
    generator = torch.Generator().manual_seed(0)
    with ledger.Report(options) as report:
        table = report.table("Published networks, counted", *COLUMNS)
        for name, space, architecture, parameters, macs in rows:
            cost = space.cost(architecture)
            with torch.device("meta"):
                model = space.build(architecture)
                images = torch.zeros(1, 3, space.default_side, space.default_side)
                assert cost == (count_parameters(model), count_macs(model, images))
            counted = f"{cost.parameters:,}", parameters, f"{cost.macs / 1e6:.1f}", macs
            table.row(name, *counted)
        costs = [shufflenet.macs(shufflenet.sample(generator=generator)) for _ in range(5000)]
        inside = sum(290e6 <= each <= 360e6 for each in costs) / len(costs)
        report.table(
            "5,000 random paths of the SPOS space",
            ("fewest multiply-adds", "M", ""),
            ("most", "M", ""),
            ("within 290 to 360 M", "%", ""),
        ).row(f"{min(costs) / 1e6:.0f}", f"{max(costs) / 1e6:.0f}", f"{100 * inside:.1f}")


if __name__ == "__main__":
    main()
