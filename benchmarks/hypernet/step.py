"""What a step of meta-training costs on one thread, part by part, two ways on the same networks.

    python -m benchmarks.hypernet.step --networks 60

"module" makes a module for every network and convolves as the library does; "function" runs
the list of layers with parameters as arguments, as :func:`nascence.hypernet.meta_train` does.
The two take turns, so other work on the machine slows both alike.
"""

import time
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.func import functional_call

from benchmarks import ledger
from benchmarks.hypernet.meta_train import networks_of
from nascence.graph import Graph
from nascence.hypernet import GHN
from nascence.hypernet.draws import Network
from nascence.spaces.deepnets import DeepNets
from nascence.spaces.deepnets_network import LayerNetwork


class Stopwatch:
    """CPU-seconds by name; each :meth:`lap` adds the time since the last."""

    def __init__(self) -> None:
        self.totals: dict[str, float] = {}
        self.last = time.process_time()

    def lap(self, name: str) -> None:
        now = time.process_time()
        self.totals[name] = self.totals.get(name, 0.0) + now - self.last
        self.last = now


def made(networks: DeepNets, index: int, way: str) -> tuple[Graph, Network]:
    if way == "function":
        return networks.skeleton(index)
    graph = networks.graph(index)
    with torch.device("meta"):
        module = LayerNetwork(networks.layers(index))
    for part in module.modules():
        if isinstance(part, nn.BatchNorm2d):
            part.running_mean = part.running_var = part.num_batches_tracked = None
    return graph, module


def step(
    networks: DeepNets,
    index: int,
    way: str,
    ghn: GHN,
    optimizer: torch.optim.Optimizer,
    images: Tensor,
    labels: Tensor,
    watch: Stopwatch,
) -> None:
    weights = list(ghn.parameters())
    watch.last = time.process_time()
    graph, network = made(networks, index, way)
    watch.lap("create")
    params = ghn([graph])[0]
    watch.lap("GHN forward")
    leaves = {name: value.detach().requires_grad_() for name, value in params.items()}
    watch.last = time.process_time()
    if isinstance(network, nn.Module):
        logits = functional_call(network.train(), leaves, (images,))
    else:
        logits = network(leaves, images)
    loss = F.cross_entropy(logits, labels)
    watch.lap("network forward")
    found = torch.autograd.grad(loss, list(leaves.values()), allow_unused=True)
    watch.lap("network backward")
    pairs = [(params[name], g) for name, g in zip(leaves, found, strict=True) if g is not None]
    values, signals = zip(*pairs, strict=True)
    gradients = torch.autograd.grad(values, weights, signals, allow_unused=True)
    watch.lap("GHN backward")
    for weight, gradient in zip(weights, gradients, strict=True):
        weight.grad = torch.zeros_like(weight) if gradient is None else gradient
    nn.utils.clip_grad_norm_(weights, 5.0, foreach=True)
    optimizer.step()
    watch.lap("optimizer")


def main(words: Sequence[str] | None = None) -> None:
    parser = ledger.parser(__doc__)
    parser.add_argument("--networks", type=int, default=60)
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--size", type=int, default=16)
    arguments = ledger.parse(parser, words)
    torch.manual_seed(0)
    networks, ghn = networks_of("train", arguments.size), GHN.ghn2().train()
    images = torch.randn(arguments.batch, 3, arguments.size, arguments.size)
    images = images.contiguous(memory_format=torch.channels_last)
    labels = torch.randint(10, (arguments.batch,))
    ways = ("module", "function")
    optimizers = {
        "module": torch.optim.Adam(ghn.parameters(), 1e-5, foreach=True),
        "function": torch.optim.Adam(ghn.parameters(), 1e-5, fused=True),
    }
    watches = {way: Stopwatch() for way in ways}
    for index in range(arguments.networks + 2):
        for way in ways:
            if index == 2:  # the first networks warm up
                watches[way] = Stopwatch()
            step(networks, index, way, ghn, optimizers[way], images, labels, watches[way])
    with ledger.Report(arguments) as report:
        columns = [(name, "CPU-ms", "lower") for name in (*watches["module"].totals, "total")]
        table = report.table("What a network-step costs", "way", *columns)
        for way, watch in watches.items():
            parts = [1e3 * value / arguments.networks for value in watch.totals.values()]
            table.row(way, *(f"{value:.1f}" for value in (*parts, sum(parts))))


if __name__ == "__main__":
    main()
