"""One leg of meta-training on a lent accelerator: 32 pixels, several networks in flight.

    python -m benchmarks.hypernet.accelerator --data arrays --out runs/gpu --seconds 500
    python -m benchmarks.hypernet.accelerator --data arrays --resume earlier/run --out runs/gpu

``arrays`` is a folder with ``images.npy`` ``(N, 32, 32, 3)`` of bytes and ``labels.npy``, or the
parquet file. Small networks leave an accelerator idle while Python starts their operations, so
``--processes`` share one device, each with its share of the meta-batch; images, networks and
gradients are those of one process. What a network computes is in bfloat16, what the
hypernetwork does and the weights are in single precision.

``--out`` receives ``state.pt``, ``ghn.safetensors`` and ``log.jsonl`` each minute and at the end.
A leg with ``--resume`` takes them from an earlier one, wherever that was, and goes on exactly.
"""

import argparse
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path

import torch
import torch.distributed as dist
from torch import Tensor

from benchmarks import ledger
from benchmarks.hypernet.meta_train import KINDS, images_of
from nascence.graph import Graph
from nascence.hypernet import GHN, in_processes, meta_train, validation
from nascence.params import Params
from nascence.spaces.deepnets import DeepNets
from nascence.spaces.deepnets_function import LayerFunction


class Halved:
    """A network that computes in bfloat16 on ``device``."""

    def __init__(self, network: LayerFunction, device: str) -> None:
        self.network, self.device = network, device

    def __call__(self, params: Params, images: Tensor) -> Tensor:
        with torch.autocast(self.device, dtype=torch.bfloat16):
            return self.network(params, images).float()


class Networks:
    """Networks of the training split for :func:`meta_train`, as functions."""

    def __init__(self, split: DeepNets, device: str, halved: bool) -> None:
        self.split, self.device, self.halved = split, device, halved

    def __call__(self, index: int) -> tuple[Graph, LayerFunction | Halved]:
        graph, network = self.split.skeleton(index)
        return graph, Halved(network, self.device) if self.halved else network


def split_of(name: str, arguments: argparse.Namespace) -> DeepNets:
    low, high = (int(part) for part in arguments.cells.split(","))
    widths = tuple(int(part) for part in arguments.channels.split(","))
    return DeepNets(
        name,
        image_size=arguments.size,
        cells=(low, high),
        channels=widths,
        max_macs=arguments.max_macs,
    )


def leg(arguments: argparse.Namespace) -> dict[str, object]:
    """The share of this process."""
    device = arguments.device
    images, labels = images_of(arguments.data, arguments.size, slice(0, -5000))
    unseen, answers = images_of(arguments.data, arguments.size, slice(-5000, None))
    torch.manual_seed(0)
    ghn: GHN = KINDS[arguments.kind]().to(device)
    unseen_networks = split_of("val", arguments)

    def placed(index: int) -> tuple[Graph, torch.nn.Module]:
        graph, network = unseen_networks[index]
        return graph, network.to(device)

    report = meta_train(
        ghn,
        Networks(split_of("train", arguments), device, arguments.bf16),
        1_000_000,
        images,
        labels,
        out=arguments.out,
        steps=arguments.steps,
        meta_batch=arguments.meta_batch,
        batch_size=arguments.batch,
        learning_rate=arguments.learning_rate,
        schedule=arguments.schedule,
        average=arguments.average,
        start=arguments.start,
        seconds=arguments.seconds,
        workers=arguments.workers,
        validation=validation(
            {"val": placed},
            arguments.validation_networks,
            unseen[:1000].to(device),
            answers[:1000].to(device),
            calibration=images[:256].to(device).split(64),
        ),
        validate_every=arguments.validate_every,
        card={"kind": arguments.kind, "data": "CIFAR-10, first 45,000", "pixels": arguments.size},
        progress=lambda _, line: print(line, file=sys.stderr, flush=True) if line else None,
    )
    first = not dist.is_initialized() or dist.get_rank() == 0
    return {**report._asdict(), "device": device} if first else {}


def main(words: Sequence[str] | None = None) -> None:
    parser = ledger.parser(__doc__)
    parser.add_argument("--data", required=True)
    parser.add_argument("--out", required=True, type=Path)
    parser.add_argument("--resume", type=Path, help="folder of an earlier leg, which stays as is")
    parser.add_argument("--start", default="", help="weights, or a run of other settings")
    parser.add_argument("--kind", choices=KINDS, default="ghn2")
    parser.add_argument("--seconds", type=float, default=500.0)
    parser.add_argument("--size", type=int, default=32)
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--meta-batch", type=int, default=8)
    parser.add_argument("--processes", type=int, default=8)
    parser.add_argument("--workers", type=int, default=0, help="of each process")
    parser.add_argument("--steps", type=int, default=1_000_000)
    parser.add_argument("--learning-rate", type=float, default=1e-3)
    parser.add_argument("--schedule", choices=("cosine", "constant", "decay"), default="constant")
    parser.add_argument("--average", type=float, default=0.999)
    parser.add_argument("--cells", default="4,18")
    parser.add_argument("--channels", default="32,48,64")
    parser.add_argument("--max-macs", type=int, default=150_000_000)
    parser.add_argument("--validation-networks", type=int, default=20)
    parser.add_argument("--validate-every", type=int, default=1000)
    parser.add_argument("--bf16", action=argparse.BooleanOptionalAction, default=True)
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    arguments = ledger.parse(parser, words)
    if arguments.resume and not (arguments.out / "state.pt").exists():
        arguments.out.mkdir(parents=True, exist_ok=True)
        for name in ("state.pt", "log.jsonl"):
            shutil.copyfile(arguments.resume / name, arguments.out / name)
    if arguments.processes > 1:
        report = in_processes(arguments.processes, leg, arguments)
    else:
        report = leg(arguments)
    with ledger.Report(arguments) as printed:
        table = printed.table("A leg of meta-training", "what", "figure")
        for name, value in report.items():
            table.row(name, str(value))


if __name__ == "__main__":
    main()
