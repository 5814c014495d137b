"""Derivatives of dilated depthwise convolutions against the library's, and whole steps of DARTS.

    python -m benchmarks.spaces.dilated

Forward and backward of one layer, and of networks of the DARTS space in three forms in turns: the
library's convolutions, ours, and none at all in the place of the dilated ones, which no
convolution can be faster than. One thread, the least CPU time of several rounds.
"""

import time
from collections.abc import Callable, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from benchmarks import ledger
from nascence.spaces import Darts, depthwise

Form = Callable[[Tensor, Tensor, int], Tensor]
OURS = depthwise.depthwise_dilated
LAYERS = ((16, 32), (32, 16), (64, 8))
"""Channels and side of the stages of a network of CIFAR-10, in batches of 64."""


def library(x: Tensor, weight: Tensor, stride: int) -> Tensor:
    return F.conv2d(x, weight, None, stride, weight.shape[2] - 1, 2, weight.shape[0])


def nothing(x: Tensor, weight: Tensor, stride: int) -> Tensor:
    return x[:, :, ::stride, ::stride] * weight[:, 0, :1, :1]


def least(runs: Sequence[Callable[[], object]], rounds: int) -> list[float]:
    """The least CPU-seconds of each of several calls that take turns, after one for nothing."""
    best = [float("inf")] * len(runs)
    for number in range(rounds + 1):
        for place, run in enumerate(runs):
            began = time.process_time()
            run()
            if number:
                best[place] = min(best[place], time.process_time() - began)
    return best


def layer(channels: int, side: int, kernel: int, memory: torch.memory_format) -> float:
    """CPU time of our layer over that of the library's."""
    x = torch.randn(64, channels, side, side).to(memory_format=memory).requires_grad_()
    weight = torch.randn(channels, 1, kernel, kernel, requires_grad=True)
    out = torch.randn_like(x)

    def run(form: Form) -> None:
        torch.autograd.grad(form(x, weight, 1), (x, weight), out)

    theirs, ours = least([lambda: run(library), lambda: run(OURS)], rounds=30)
    return ours / theirs


def step(seed: int, memory: torch.memory_format) -> tuple[float, float]:
    """CPU time of a step with ours, and without dilated ones, over that with the library's."""
    space = Darts(width=16, cells=8)
    network = space.build(space.sample(generator=torch.Generator().manual_seed(seed))).train()
    network = network.to(memory_format=memory)  # type: ignore[call-overload]
    x = torch.randn(16, 3, 32, 32).to(memory_format=memory)

    def run(form: Form) -> None:
        depthwise.depthwise_dilated = form  # type: ignore[assignment]
        network(x).square().mean().backward()

    forms = (library, OURS, nothing)
    try:
        theirs, ours, none = least([lambda form=form: run(form) for form in forms], rounds=5)  # type: ignore[misc]
    finally:
        depthwise.depthwise_dilated = OURS
    return ours / theirs, none / theirs


def main(words: Sequence[str] | None = None) -> None:
    made = ledger.parser(__doc__)
    made.add_argument("--networks", type=int, default=3, help="of which whole steps are taken")
    options = ledger.parse(made, words)
    options.seed = list(range(options.networks))
    torch.set_num_threads(1)
    forms = (("contiguous", torch.contiguous_format), ("channels-last", torch.channels_last))
    with ledger.Report(options) as report:
        table = report.table(
            "One layer, forward and backward: our CPU time over the library's",
            "channels", "side", "kernel", *((name, "", "lower") for name, _ in forms),
        )  # fmt: skip
        for kernel in (3, 5):
            for channels, side in LAYERS:
                found = [layer(channels, side, kernel, memory) for _, memory in forms]
                table.row(channels, side, kernel, *(round(each, 2) for each in found))
        table = report.table(
            "A whole step of a DARTS network: CPU time over that with the library's layers",
            "network of seed", "layout", ("ours", "", "lower"), ("no dilated layers", "", ""),
        )  # fmt: skip
        for seed in range(options.networks):
            for name, memory in forms:
                table.row(seed, name, *(round(each, 2) for each in step(seed, memory)))


if __name__ == "__main__":
    main()
