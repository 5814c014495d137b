"""Latency of RepVGG-A0 and MobileOne-S0, training form and folded, in one run.

    python -m benchmarks.reparam.latency

Passes alternate between the two forms, so that load on the machine falls on both; printed are the
median and the least process time of a pass on one thread, and their ratios.
"""

import statistics
from collections.abc import Sequence
from functools import partial

import torch
from torch import nn

from benchmarks import ledger
from nascence.graph import count_macs, count_parameters
from nascence.reparam import MobileOne, RepVGG, count_kernels, fold

COLUMNS = (
    "network",
    "batch",
    "form",
    "parameters",
    ("multiply-adds of an image", "M", "lower"),
    "kernels",
    ("median latency", "CPU-ms", "lower"),
    ("least latency", "CPU-ms", "lower"),
    ("speed-up over the training form", "times", "higher"),
)


def randomise(model: nn.Module) -> nn.Module:
    for layer in model.modules():
        if isinstance(layer, nn.BatchNorm2d):
            assert layer.running_mean is not None
            assert layer.running_var is not None
            layer.running_mean.normal_(0, 0.2)
            layer.running_var.uniform_(0.5, 1.5)
            nn.init.normal_(layer.weight, 1, 0.1)
            nn.init.normal_(layer.bias, 0, 0.1)
    return model.eval()


def main(words: Sequence[str] | None = None) -> None:
    parser = ledger.parser(__doc__)
    parser.add_argument("--passes", type=int, default=30)
    options = ledger.parse(parser, words)
    torch.manual_seed(0)
    with ledger.Report(options) as report:
        table = report.table("Training form and folded form at 224 pixels", *COLUMNS)
        for name, model in (("RepVGG-A0", RepVGG("A0")), ("MobileOne-S0", MobileOne("S0"))):
            for batch in (1, 8):
                passes = options.passes if batch == 1 else 10
                compare(table, name, randomise(model), batch, passes)


@torch.no_grad()
def compare(table: ledger.Table, name: str, model: nn.Module, batch: int, passes: int) -> None:
    x = torch.randn(batch, 3, 224, 224)
    forms = {"training": model, "folded": fold(model, x[:1])}
    runs = {form: partial(network, x) for form, network in forms.items()}
    times = ledger.in_turns(runs, passes, warm_up=3)
    medians = {form: 1e3 * statistics.median(taken) for form, taken in times.items()}
    for form, network in forms.items():
        table.row(
            name,
            batch,
            form,
            count_parameters(network),
            f"{count_macs(network, x) / batch / 1e6:.1f}",
            count_kernels(network, x),
            f"{medians[form]:.1f}",
            f"{1e3 * min(times[form]):.1f}",
            f"{medians['training'] / medians[form]:.2f}",
        )


if __name__ == "__main__":
    main()
