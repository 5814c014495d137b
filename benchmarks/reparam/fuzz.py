"""Random small networks of the supported operators, folded and compared with themselves.

    python -m benchmarks.reparam.fuzz --networks 2000

Each network is folded in float64 without the safety net of the built-in check, then compared with
the original on another input of the same size, on one of another size where the original takes it,
and folded again, which must change nothing. The last line counts networks, rewrites and failures.
"""

import copy
import random
import sys
import time
import traceback
from collections.abc import Callable, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from benchmarks import ledger
from nascence.reparam import fold_with_report

CONVOLUTIONS = {1: nn.Conv1d, 2: nn.Conv2d, 3: nn.Conv3d}
TRANSPOSED = {1: nn.ConvTranspose1d, 2: nn.ConvTranspose2d, 3: nn.ConvTranspose3d}
NORMS = {0: nn.BatchNorm1d, 1: nn.BatchNorm1d, 2: nn.BatchNorm2d, 3: nn.BatchNorm3d}
POOLINGS = {1: nn.AvgPool1d, 2: nn.AvgPool2d, 3: nn.AvgPool3d}
FUNCTIONS: dict[str, Callable[..., Tensor]] = {
    "add": lambda a, b: a + b,
    "subtract": lambda a, b: a - b,
    "concatenate": lambda a, b: torch.cat([a, b], 1),
    "concatenate three": lambda a, b: torch.cat([a, b, a], 1),
    "double": lambda a: a + a,
    "negative": lambda a: -a,
    "half": lambda a: a * 0.5,
    "shifted": lambda a: 1.5 + a,
    "opposite": lambda a: 2.0 - a,
    "quotient": lambda a: a / 3,
    "relu": F.relu,
    "relu in place": lambda a: F.relu(a, inplace=True),
    "scale in place": lambda a: a.mul_(0.7),
    "sigmoid": torch.sigmoid,
    "dropout": lambda a: F.dropout(a, 0.5, False),
    "resize": lambda a: F.interpolate(a, scale_factor=2),
    "mean": lambda a: a.mean(-1, keepdim=True),
    "contiguous": lambda a: a.contiguous(),
}


class ChannelProduct(nn.Module):
    """A learned scale per channel, as in layer scale."""

    def __init__(self, channels: int, rank: int) -> None:
        super().__init__()
        self.gamma = nn.Parameter(torch.randn(channels, *([1] * rank)))

    def forward(self, x: Tensor) -> Tensor:
        return x * self.gamma


class RandomNetwork(nn.Module):
    """Steps in order, each a layer or function of values computed before."""

    def __init__(self, steps: list[tuple[str, tuple[int, ...]]], outputs: list[int]) -> None:
        super().__init__()
        self.layers = nn.ModuleDict()
        self.steps, self.outputs = steps, outputs

    def apply_step(self, name: str, operands: list[Tensor]) -> Tensor:
        if name in FUNCTIONS:
            return FUNCTIONS[name](*operands)
        found: Tensor = self.layers[name](*operands)
        return found

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        values = [x]
        for name, inputs in self.steps:
            values.append(self.apply_step(name, [values[i] for i in inputs]))
        return tuple(values[i] for i in self.outputs)


def random_convolution(rng: random.Random, channels: int, rank: int) -> nn.Module:
    """Kernel 1 to 4, any stride, padding, dilation, groups and padding mode."""
    out = rng.choice([2, 4, 6, channels])
    groups = rng.choice([g for g in (1, 1, 2, channels) if channels % g == 0 and out % g == 0])
    kernel: Any = tuple(rng.choice([1, 1, 2, 3, 3, 4]) for _ in range(rank))
    stride, dilation = rng.choice([1, 1, 1, 2]), rng.choice([1, 1, 1, 2])
    if rng.random() < 0.2:
        padding: Any = tuple(rng.randint(0, min(1, k - 1)) for k in kernel)
        extra = rng.randint(0, 1) if stride > 1 else 0
        return TRANSPOSED[rank](
            channels, out, kernel, stride, padding, extra, groups, rng.random() < 0.5, dilation
        )
    mode: Any = rng.choice(["zeros"] * 6 + ["reflect", "replicate", "circular"])
    padding = rng.choice([0, tuple(dilation * (k - 1) // 2 for k in kernel), 1])
    if stride == 1 and rng.random() < 0.15:
        padding = "same"
    return CONVOLUTIONS[rank](
        channels, out, kernel, stride, padding, dilation, groups, rng.random() < 0.6, mode
    )


def random_layer(rng: random.Random, channels: int, rank: int) -> nn.Module:
    """One layer that takes ``channels``; rank 0 is a value without spatial axes."""
    if rank == 0:
        kind = rng.choice(["linear", "linear", "norm", "product"])
    else:
        kind = rng.choice(
            ["convolution"] * 5
            + ["norm", "norm", "product", "pool", "pad", "fill", "crop", "mirror", "global", "none"]
        )
    if kind == "linear":
        return nn.Linear(channels, rng.choice([2, 4, channels]), rng.random() < 0.6)
    if kind == "norm":
        return NORMS[rank](channels, affine=rng.random() < 0.8)
    if kind == "product":
        return ChannelProduct(channels, rank)
    if kind == "pool":
        size = rng.choice([2, 3])
        return POOLINGS[rank](
            size, rng.choice([1, 2]), rng.choice([0, 1]), rng.random() < 0.2, rng.random() < 0.8
        )
    amounts = [rng.randint(0, 2) for _ in range(2 * rank)]
    if kind == "pad":
        amounts = rng.choice([amounts, [1] * 2 * rank])
    if kind == "crop":
        amounts = [-rng.randint(0, 1) for _ in range(2 * rank)]
    if kind == "mirror":
        return {1: nn.ReflectionPad1d, 2: nn.ReflectionPad2d, 3: nn.ReflectionPad3d}[rank](1)
    if kind in ("pad", "crop", "fill"):
        value = rng.choice([0.5, -1.0]) if kind == "fill" else 0.0
        pads = {1: nn.ConstantPad1d, 2: nn.ConstantPad2d, 3: nn.ConstantPad3d}
        amount: Any = tuple(amounts)
        return pads[rank](amount, value)
    if kind == "global":
        pools = {1: nn.AdaptiveAvgPool1d, 2: nn.AdaptiveAvgPool2d, 3: nn.AdaptiveAvgPool3d}
        return nn.Sequential(pools[rank](1), nn.Flatten())
    if kind == "none":
        return rng.choice([nn.Identity(), nn.Dropout(0.3), nn.ReLU(inplace=rng.random() < 0.5)])
    return random_convolution(rng, channels, rank)


def random_network(seed: int) -> tuple[RandomNetwork, Tensor]:
    """A network of 3 to 14 steps in evaluation mode and float64, and an example input."""
    rng = random.Random(seed)
    torch.manual_seed(seed)
    rank = rng.choice([0, 1, 2, 2, 2, 2, 3])
    size = {0: (), 1: (13,), 2: (9, 11), 3: (6, 7, 5)}[rank]
    x = torch.randn(3, rng.choice([2, 4, 6]), *size, dtype=torch.float64)
    network, values = RandomNetwork([], [0]).double(), [x]
    for _ in range(rng.randint(3, 14)):
        add_step(rng, network, values)
    network.outputs = sorted({len(values) - 1, rng.randrange(len(values))})
    if rng.random() < 0.7:
        network.outputs = [len(values) - 1]
    randomise(network)
    return network.eval(), x


def add_step(rng: random.Random, network: RandomNetwork, values: list[Tensor]) -> None:
    """Append one step whose inputs fit, mostly reading one of the last values."""
    source = rng.choice([len(values) - 1] * 3 + list(range(len(values))))
    value = values[source]
    partners = [i for i, other in enumerate(values) if other.shape == value.shape and i != source]
    choice = rng.random()
    name = ""
    inputs: tuple[int, ...] = (source,)
    if partners and choice < 0.35:
        name = rng.choice(["add", "add", "subtract", "concatenate", "concatenate three"])
        inputs = (source, rng.choice(partners))
    elif choice < 0.5:
        name = rng.choice([n for n in FUNCTIONS if n not in BINARY])
    elif network.layers and choice < 0.56:
        name = rng.choice(list(network.layers))
    else:
        name = f"layer{len(network.layers)}"
        rank = max(value.dim() - 2, 0)
        layer = random_layer(rng, value.shape[1], rank).double().eval()
        network.layers[name] = layer
    try:
        with torch.no_grad():
            result = network.apply_step(name, [values[i].clone() for i in inputs])
        if min(result.shape) > 0 and result.numel() < 20000:
            network.steps.append((name, inputs))
            values.append(result)
    except (RuntimeError, ValueError, NotImplementedError, IndexError):
        pass  # torch itself refuses this randomly drawn step: the network goes without it


BINARY = {"add", "subtract", "concatenate", "concatenate three"}


def randomise(model: nn.Module) -> None:
    """Other statistics and weights than the first ones for every BatchNorm."""
    for layer in model.modules():
        if isinstance(layer, nn.modules.batchnorm._BatchNorm):
            assert layer.running_mean is not None
            assert layer.running_var is not None
            layer.running_mean = torch.randn_like(layer.running_mean)
            layer.running_var = 0.5 + torch.rand_like(layer.running_var)
            if layer.affine:
                layer.weight.data = 1 + 0.3 * torch.randn_like(layer.weight)
                layer.bias.data = torch.randn_like(layer.bias)


def difference(one: tuple[Tensor, ...], two: tuple[Tensor, ...]) -> float:
    """Largest relative error; values that cancel to zero are measured against 0.01."""
    worst = 0.0
    for a, b in zip(one, two, strict=True):
        if a.shape != b.shape:
            return float("inf")
        worst = max(worst, float((a - b).norm() / max(float(b.norm()), 1e-2)))
    return worst


def check(seed: int) -> tuple[int, str]:
    """Rewrites done on network ``seed``, and what is wrong with the outcome, empty if nothing."""
    network, x = random_network(seed)
    state = copy.deepcopy(network.state_dict())
    folded, report = fold_with_report(network, x, verify=False, repeats=0)
    problems = []
    if any(not torch.equal(value, state[name]) for name, value in network.state_dict().items()):
        problems.append("the original was changed")
    generator = torch.Generator().manual_seed(seed)
    larger = [2 + x.shape[0], x.shape[1], *(n + 4 for n in x.shape[2:])]
    for shape in (x.shape, larger):
        y = torch.randn(shape, generator=generator, dtype=torch.float64)
        with torch.no_grad():
            try:
                expected = network(y.clone())
            except RuntimeError:
                continue
            error = difference(folded(y.clone()), expected)
        if not error < 1e-9:
            problems.append(f"relative error {error:.1e} at {tuple(shape)}")
    again = fold_with_report(folded, x, verify=False, repeats=0)[1]
    if again.folded:
        problems.append(f"folding again did {again.folded[0]}")
    before, after = report.before.macs, report.after.macs
    if before is not None and after is not None and after > before:
        problems.append(f"multiply-adds rose from {before} to {after}")
    return len(report.folded), "; ".join(problems)


def main(words: Sequence[str] | None = None) -> None:
    parser = ledger.parser(__doc__)
    parser.add_argument("--networks", type=int, default=2000)
    parser.add_argument("--first", type=int, default=0)
    options = ledger.parse(parser, words)
    start, rewrites, failures, touched = time.time(), 0, 0, 0
    for seed in range(options.first, options.first + options.networks):
        try:
            count, problem = check(seed)
        except Exception:
            count, problem = 0, traceback.format_exc(limit=-3)
        rewrites += count
        touched += count > 0
        if problem:
            failures += 1
            print(f"seed {seed}: {problem}", flush=True)
    with ledger.Report(options) as report:
        report.table(
            "Random networks, folded",
            "networks",
            "with something to fold",
            "rewrites",
            ("wrong results or crashes", "", "lower"),
            "s",
        ).row(options.networks, touched, rewrites, failures, f"{time.time() - start:.0f}")
    sys.exit(failures > 0)


if __name__ == "__main__":
    main()
