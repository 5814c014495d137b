"""The demo over several seeds: designed network against hand-designed baseline, equal wall time.

    python -m benchmarks.design.demo_seeds [--seeds 0 1 2] [--budget 5m] [--out runs/demo-seeds]
    python -m benchmarks.design.demo_seeds --budget 1m --options "--no-baseline --start predicted"

Each seed is one `nascence design` on the bundled sample. Runs that are finished are read, not
repeated.
"""

import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from benchmarks import ledger

COLUMNS = (
    "seed",
    "network",
    ("accuracy", "", "higher"),
    "parameters",
    ("multiply-adds", "M", "lower"),
    ("latency", "ms an image", "lower"),
    ("latency folded", "ms an image", "lower"),
    ("training", "s", "lower"),
    "steps",
)


def summary_of(seed: int, budget: str, out: Path, further: str) -> dict:
    path = out / f"seed-{seed}"
    begun = (path / "config.yaml").exists()
    words = ["resume", str(path)] if begun else ["design", "--out", str(path)]
    options = [] if begun else ["--budget", budget, "--seed", str(seed), *further.split()]
    command = [sys.executable, "-m", "nascence.cli", *words, *options, "--json"]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    return json.loads(done.stdout)


def main(words: Sequence[str] | None = None) -> None:
    parser = ledger.parser(__doc__)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--budget", default="5m")
    parser.add_argument("--out", type=Path, default=Path("runs/demo-seeds"))
    parser.add_argument("--options", default="", help="further options of design")
    options = ledger.parse(parser, words)
    accuracies: dict[str, list[float]] = {}
    with ledger.Report(options) as report:
        table = report.table("Every run", *COLUMNS)
        for seed in options.seeds:
            for row in summary_of(seed, options.budget, options.out, options.options)["networks"]:
                accuracies.setdefault(row["name"], []).append(100 * row["accuracy"])
                table.row(
                    seed,
                    row["name"],
                    f"{row['accuracy']:.3f}",
                    f"{row['parameters']:,}",
                    f"{row['macs'] / 1e6:.2f}",
                    f"{row['latency_ms']:.2f}",
                    f"{row['folded_latency_ms']:.2f}",
                    f"{row['train_seconds']:.0f}",
                    row["train_steps"],
                )
        means = report.table("All seeds", "network", ("accuracy", "%, mean ± sd", "higher"))
        for name, values in accuracies.items():
            means.row(name, ledger.spread(values))


if __name__ == "__main__":
    main()
