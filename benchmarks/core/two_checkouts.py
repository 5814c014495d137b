"""Speed of two checkouts, in turns: the time of each path in the new one over that in the old.

python -m benchmarks.core.two_checkouts --old OLD --new . --rounds 5

Each path runs in a process of its own on one thread, first with the sources of one checkout and
then with those of the other; the least CPU time over the rounds counts. Only names that are public
in both checkouts are used.
"""

import os
import statistics
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from benchmarks import ledger

PATHS = {
    "predict: parameters of a ResNet-50, graph included": """
import torch
from nascence.graph import trace
from nascence.hypernet import load
from nascence.models import build
ghn = load("ghn2-cifar10").eval()
model, images = build("resnet50", classes=10), torch.randn(1, 3, 32, 32)
def run():
    with torch.no_grad():
        ghn([trace(model, images)])
repeats = 5
""",
    "score: naswot, batch 128, 32 px": """
import torch
from nascence.metrics import naswot
from nascence.spaces import NB201
torch.manual_seed(0)
model = NB201(width=16, cells=1).build((3, 3, 3, 3, 3, 3))
batch = (torch.randn(128, 3, 32, 32), None)
def run():
    naswot(model, batch)
repeats = 5
""",
    "fixed point: Anderson on a convolutional cell, forward and backward": """
import torch
from torch import nn
from nascence.implicit import DEQ
class Cell(nn.Module):
    def __init__(self):
        super().__init__()
        self.first, self.norm = nn.Conv2d(32, 32, 3, padding=1), nn.GroupNorm(8, 32)
    def forward(self, z, x):
        return self.norm(torch.relu(0.1 * self.first(z) + x))
torch.manual_seed(0)
layer, x = DEQ(Cell(), tol=1e-4, max_iter=30, warn=False), torch.randn(8, 32, 16, 16)
def run():
    layer(x).sum().backward()
repeats = 5
""",
    "learned step: the small optimizer, 0.93 M parameters": """
import torch
from torch import nn
import nascence.optim as optim
torch.manual_seed(0)
layers = (nn.Linear(784, 784), nn.ReLU(), nn.Linear(784, 400), nn.ReLU(), nn.Linear(400, 10))
model = nn.Sequential(*layers)
for value in model.parameters():
    value.grad = torch.randn_like(value)
optimizer = optim.Learned(model.parameters(), num_steps=1000)
optimizer.loss = torch.tensor(1.0)
def run():
    optimizer.step()
repeats = 10
""",
    "supernet step: NAS-Bench-201, width 8, batch 64, 16 px": """
import torch
from nascence.data import load
from nascence.spaces import NB201
try:
    from nascence.supernets import SuperNet, train_supernet
except ImportError:  # before version 0.2
    from nascence.search import train_supernet
    from nascence.spaces import SuperNet
torch.manual_seed(0)
data = load("cifar10-sample", size=16)
supernet = SuperNet(NB201(width=8, cells=1))
def run():
    train_supernet(supernet, data, generator=torch.Generator().manual_seed(0), steps=40)
repeats = 2
""",
    "training step: a ResNet-20, batch 64, 16 px": """
import torch
import nascence as nc
torch.manual_seed(0)
data = nc.data.load("cifar10-sample", size=16)
model = nc.models.build("resnet20", classes=10)
def run():
    nc.train(model, data, optimizer=nc.sgd(0.1), steps=20, batch_size=64, measurements=1,
             generator=torch.Generator().manual_seed(0))
repeats = 2
""",
}
TIMED = """
import time, torch
torch.set_num_threads(1)
{path}
run()
times = []
for _ in range(repeats):
    before = time.process_time()
    run()
    times.append(time.process_time() - before)
print("seconds", min(times))
"""


def seconds(path: str, checkout: Path) -> float:
    """CPU-seconds of one run of a path with the sources of a checkout."""
    environment = {**os.environ, "PYTHONPATH": str(checkout / "src"), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-W", "ignore", "-c", TIMED.format(path=PATHS[path])]
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(f"{path} in {checkout}: {done.stderr.strip().splitlines()[-1]}")
    return float(done.stdout.split()[-1])


def main(words: Sequence[str] | None = None) -> None:
    parser = ledger.parser(__doc__)
    parser.add_argument("--old", type=Path, required=True, help="a checkout")
    parser.add_argument("--new", type=Path, default=Path(), help="another one")
    parser.add_argument("--rounds", type=int, default=5)
    options = ledger.parse(parser, words)
    with ledger.Report(options) as report:
        table = report.table(
            "CPU time of each path in two checkouts",
            "path",
            ("old", "ms", "lower"),
            ("new", "ms", "lower"),
            ("new over old", "times", "lower"),
            ("between rounds", "standard deviation", "lower"),
        )
        for path in PATHS:
            old, new = [], []
            for _ in range(options.rounds):
                old.append(seconds(path, options.old.resolve()))
                new.append(seconds(path, options.new.resolve()))
            ratios = [b / a for a, b in zip(old, new, strict=True)]
            spread = statistics.stdev(ratios) if len(ratios) > 1 else float("nan")
            table.row(
                path,
                f"{1e3 * min(old):.1f}",
                f"{1e3 * min(new):.1f}",
                f"{min(new) / min(old):.2f}",
                f"{spread:.2f}",
            )


if __name__ == "__main__":
    main()
