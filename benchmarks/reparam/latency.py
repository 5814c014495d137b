"""Latency of RepVGG-A0 and MobileOne-S0, training form and folded, in one run.

    python -m benchmarks.reparam.latency

Passes alternate between the two forms, so that load on the machine falls on both; printed are the
median and the least process time of a pass on one thread, and their ratios.
"""

import statistics
import time
from collections.abc import Sequence

import torch
from torch import nn

from benchmarks import ledger
from nascence.graph import count_macs, count_parameters
from nascence.reparam import MobileOne, RepVGG, count_kernels, fold


def randomise(model: nn.Module) -> nn.Module:
    for layer in model.modules():
        if isinstance(layer, nn.BatchNorm2d):
            layer.running_mean.normal_(0, 0.2)
            layer.running_var.uniform_(0.5, 1.5)
            nn.init.normal_(layer.weight, 1, 0.1)
            nn.init.normal_(layer.bias, 0, 0.1)
    return model.eval()


def seconds(model: nn.Module, x: torch.Tensor) -> float:
    start = time.process_time()
    model(x)
    return time.process_time() - start


def main(words: Sequence[str] | None = None) -> None:
    parser = ledger.parser(__doc__)
    parser.add_argument("--passes", type=int, default=30)
    options = ledger.parse(parser, words)
    torch.manual_seed(0)
    print("| network | batch | form | parameters | MMACs | kernels | median ms | least ms |")
    print("| --- | --- | --- | --- | --- | --- | --- | --- |")
    for name, model in (("RepVGG-A0", RepVGG("A0")), ("MobileOne-S0", MobileOne("S0"))):
        for batch in (1, 8):
            compare(name, randomise(model), batch, options.passes if batch == 1 else 10)


@torch.no_grad()
def compare(name: str, model: nn.Module, batch: int, passes: int) -> None:
    x = torch.randn(batch, 3, 224, 224)
    forms = {"training": model, "folded": fold(model, x[:1])}
    times: dict[str, list[float]] = {form: [] for form in forms}
    for step in range(passes + 3):
        for form, network in forms.items():
            passed = seconds(network, x)
            if step >= 3:
                times[form].append(1e3 * passed)
    for form, network in forms.items():
        print(
            f"| {name} | {batch} | {form} | {count_parameters(network)} | "
            f"{count_macs(network, x) / batch / 1e6:.1f} | {count_kernels(network, x)} | "
            f"{statistics.median(times[form]):.1f} | {min(times[form]):.1f} |"
        )
    ratio = statistics.median(times["training"]) / statistics.median(times["folded"])
    least = min(times["training"]) / min(times["folded"])
    print(f"{name}, batch {batch}: {ratio:.2f}x in the median, {least:.2f}x in the least")


if __name__ == "__main__":
    main()
