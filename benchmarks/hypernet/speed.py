"""CPU time of one thread to predict all parameters, the graph included.

    python -m benchmarks.hypernet.speed

GHN-2 of the paper's CIFAR-10 size with random weights, no gradient, medians. ``cached`` has the
graph from before; ``new memory`` too, but without the memory of an earlier prediction that nobody
holds, which is used again elsewhere; ``overwritten`` writes into an earlier one (``out=``).
Memory is the growth of the resident set over the model and the hypernetwork, over the predicted
bytes.
"""

import json
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Sequence

import torch
from torch import nn

from benchmarks import ledger
from nascence.graph import trace
from nascence.hypernet import GHN
from nascence.hypernet.memory import Memory
from nascence.spaces.deepnets import DeepNets
from nascence.spaces.deepnets_genome import Cell, Genome
from nascence.spaces.deepnets_network import LayerNetwork
from nascence.spaces.deepnets_program import program

# DARTS V2 with fourteen cells: Liu, Simonyan and Yang (2019)
NORMAL = Cell(
    (
        (("sep_conv_3", 0), ("sep_conv_3", 1)),
        (("sep_conv_3", 0), ("sep_conv_3", 1)),
        (("sep_conv_3", 1), ("skip", 0)),
        (("skip", 0), ("dil_conv_3", 2)),
    ),
    (0, 1, 2, 3),
)
REDUCTION = Cell(
    (
        (("max_pool_3", 0), ("max_pool_3", 1)),
        (("skip", 2), ("max_pool_3", 1)),
        (("max_pool_3", 0), ("skip", 2)),
        (("skip", 2), ("max_pool_3", 1)),
    ),
    (0, 1, 2, 3),
)


def resnet50() -> tuple[nn.Module, torch.Tensor]:
    ledger.torchvision_operators()
    import torchvision

    return torchvision.models.resnet50(), torch.zeros(1, 3, 224, 224)


def vit() -> tuple[nn.Module, torch.Tensor]:
    return DeepNets("predefined").network(1), torch.zeros(1, 3, 32, 32)


def darts() -> tuple[nn.Module, torch.Tensor]:
    genome = Genome(14, NORMAL, REDUCTION, 2, "imagenet", 3, False, "bn", True, True, 1)
    layers = program(genome, channels=48, linear_width=64, classes=10, image_size=224)
    assert layers is not None
    return LayerNetwork(layers), torch.zeros(1, 3, 224, 224)


NETWORKS: dict[str, Callable[[], tuple[nn.Module, torch.Tensor]]] = {
    "ResNet-50": resnet50,
    "ViT-12": vit,
    "DARTS-14": darts,
}


COLUMNS = (
    "network",
    "nodes",
    ("parameters", "MB", "lower"),
    ("graph and prediction", "CPU-ms", "lower"),
    ("graph", "CPU-ms", "lower"),
    ("prediction, graph known", "CPU-ms", "lower"),
    ("the same in new memory", "CPU-ms", "lower"),
    ("the same over an earlier one", "CPU-ms", "lower"),
    ("growth of memory over the parameters", "times", "lower"),
)


def resident() -> int:
    """Largest resident set so far, in bytes."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


@torch.no_grad()
def measure(name: str, repeats: int) -> list[ledger.Cell]:
    """A row of the table: nodes, megabytes, medians in CPU-ms, and growth of memory."""
    model, image = NETWORKS[name]()
    ghn = GHN.ghn2().eval()
    # code is loaded and the libraries are started on another network
    ghn([trace(nn.Sequential(nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8)), torch.zeros(1, 3, 8, 8))])
    before = resident()
    graph = trace(model, image)
    params = ghn([graph])[0]
    growth = resident() - before
    size = sum(value.numel() * value.element_size() for value in params.values())
    rows: dict[str, list[float]] = {
        "whole": [],
        "trace": [],
        "cached": [],
        "new memory": [],
        "overwritten": [],
    }
    for _ in range(repeats):
        for kind, seconds in rows.items():
            if kind == "new memory":
                ghn.memory = Memory()
            start = time.process_time()
            if kind == "trace":
                trace(model, image)
            elif kind == "whole":
                ghn([trace(model, image)])
            elif kind in ("cached", "new memory"):
                ghn([graph])
            else:
                ghn([graph], out=[params])
            seconds.append(1000 * (time.process_time() - start))
    medians = [f"{statistics.median(taken):.1f}" for taken in rows.values()]
    return [name, len(graph), f"{size / 1e6:.0f}", *medians, f"{growth / size:.2f}"]


def main(words: Sequence[str] | None = None) -> None:
    parser = ledger.parser(__doc__)
    parser.add_argument("--repeats", type=int, default=15)
    parser.add_argument("--network", choices=NETWORKS, help="one network, in this process")
    arguments = ledger.parse(parser, words)
    if arguments.network:
        print(json.dumps(measure(arguments.network, arguments.repeats)))
        return
    with ledger.Report(arguments) as report:
        table = report.table("CPU time and memory of a prediction", *COLUMNS)
        for name in NETWORKS:  # memory is measured in a fresh process
            command = [sys.executable, "-m", "benchmarks.hypernet.speed", "--network", name]
            command += ["--repeats", str(arguments.repeats)]
            done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
            table.row(*json.loads(done.stdout))


if __name__ == "__main__":
    main()
