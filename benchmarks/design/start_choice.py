"""What decides the start and the optimizer of `design`: accuracy after equal CPU time.

    python -m benchmarks.design.start_choice tune [--seconds 30]
    python -m benchmarks.design.start_choice [--seconds 60] [--seeds 0 1 2]

Each seed has the network that the search of `nascence design` finds for it on the bundled sample,
within a quarter of the work of the plain cell of width 8, so that a minute of one thread comes
near the passes over the images that the demo has. Every arm trains it for the same CPU time; that
of prediction, recalibration and closed-form head is part of it. `tune` compares settings of a
predicted start on the network of another seed. Finished trainings in --out
are read, not repeated.
"""

import math
import statistics
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from benchmarks import ledger
from benchmarks.design.recipe_choices import stop_by_cpu_time
from nascence import training
from nascence.data import Dataset
from nascence.design import recipe, stages, start
from nascence.design.families import cell_space
from nascence.design.folder import RunFolder
from nascence.design.pipeline import load_data, silent
from nascence.design.run import Run
from nascence.design.settings import DesignSettings, share
from nascence.hypernet import load

CELL = "|nor_conv_3x3~0|+|none~0|nor_conv_3x3~1|+|skip_connect~0|none~1|nor_conv_3x3~2|"
TRIALS = 100
TUNING_SEED = 10
ARMS: dict[str, dict[str, Any]] = {
    f"{optimizer}, {begin}": {"optimizer": optimizer, "start": begin}
    for optimizer in ("sgd", "learned", "adamw")
    for begin in ("random", "predicted")
}
PREDICTED = {"optimizer": "sgd", "start": "predicted"}
TUNED: dict[str, dict[str, Any]] = {
    "sgd 0.2, random": {**PREDICTED, "start": "random", "rate": 0.2},
    "sgd 0.2, predicted": {**PREDICTED, "rate": 0.2},
    "sgd 0.05, predicted": {**PREDICTED, "rate": 0.05},
    "sgd 0.05, predicted, no closed-form head": {**PREDICTED, "rate": 0.05, "head": False},
    "sgd 0.1, predicted": {**PREDICTED, "rate": 0.1},
    "sgd 0.1, predicted, warm-up 0.2": {**PREDICTED, "rate": 0.1, "warmup": 0.2},
}


COLUMNS = (
    "start and optimizer",
    ("accuracy", "%, mean ± sd over seeds", "higher"),
    ("seed by seed", "%", "higher"),
    ("accuracy before training", "%", "higher"),
    "passes over the images",
)


def searched(seed: int) -> tuple[tuple[int, ...], Dataset]:
    """The architecture that the search finds for a seed, and the images."""
    settings = DesignSettings(family="cells", seed=seed, trials=TRIALS, steps=1)
    data = load_data(settings, silent)
    with tempfile.TemporaryDirectory() as folder:
        run = Run(
            folder=RunFolder.create(Path(folder) / "run", settings),
            optimizer="sgd",
            data=data,
            device=torch.device("cpu"),
            shares=share(60.0, baseline=False),
            progress=silent,
        )
        deployed = cell_space.deployed_space_of(classes=data.classes, in_channels=3)
        cost = cell_space.Cost(
            deployed, block="identity", side=32, in_channels=3, measured=run.path / "latencies"
        )
        work = cost.work(deployed.parse(CELL + ";width=8;cells=1")) / 4
        run.folder.plan("size", dict[str, float], lambda: {"work": work})
        return stages.search_stage(run).architecture, data


def trained(
    architecture: tuple[int, ...],
    data: Dataset,
    seed: int,
    seconds: float,
    *,
    optimizer: str,
    start: str,
    rate: float | None = None,
    warmup: float | None = None,
    head: bool = stages.start.HEAD,
    noise: float = stages.start.NOISE,
) -> dict[str, Any]:
    """Train once for CPU seconds in all; accuracy on the validation images."""
    began = time.process_time()
    space = cell_space.space_of("identity", classes=data.classes, in_channels=3)
    model = cell_space.build(space, architecture, seed=seed)
    before = None
    if start == "predicted":
        before = predict_into(model, data, seed, head=head, noise=noise)
    spent = time.process_time() - began
    device = torch.device("cpu")
    steps = None
    if optimizer == "learned":
        step = recipe.seconds_per_step(
            model, data, device=device, settings=recipe.designed(32, optimizer=optimizer)
        )
        steps = max(int((seconds - spent) / step), 1)
    settings = recipe.designed(32, optimizer=optimizer, start=start, steps=steps)
    if rate is not None:
        settings["optimizer"] = (training.sgd if optimizer == "sgd" else training.adamw)(rate)
    if warmup is not None:
        settings["schedule"] = lambda fraction: training.cosine(fraction, warmup=warmup)
    result = training.train(
        model,
        data,
        **settings,
        seconds=seconds - spent,
        generator=torch.Generator().manual_seed(1000 * seed + 3),
        measurements=5,
    )
    return {
        "accuracy": result.curve[-1].accuracy,
        "curve": [point.accuracy for point in result.curve],
        "before": before,
        "steps": result.steps,
        "prepared": spent,
        "passes": result.steps * settings["batch_size"] / len(data.train),
        "parameters": sum(value.numel() for value in model.parameters()),
    }


def predict_into(
    model: torch.nn.Module, data: Dataset, seed: int, *, head: bool, noise: float
) -> float:
    """As the stage of a run does it; accuracy before the first step."""
    generator = torch.Generator().manual_seed(1000 * seed + 7)
    images, labels = data.batch(start.IMAGES, generator=generator)
    values = start.starting_values(
        model, images, labels, ghn=load(WEIGHTS), generator=generator, noise=noise, head=head
    )
    model.load_state_dict(values)
    return training.evaluate(model, data.validation, data.normalise).accuracy


WEIGHTS = start.RELEASED


def main(words: Sequence[str] | None = None) -> None:
    parser = ledger.parser(__doc__)
    parser.add_argument("what", nargs="?", choices=("compare", "tune"), default="compare")
    parser.add_argument("--seconds", type=float, default=None)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--arms", nargs="+", choices=ARMS, default=list(ARMS))
    parser.add_argument("--out", type=Path, default=Path("runs/start-choice.jsonl"))
    parser.add_argument("--label", default="", help="of released weights, to tell files apart")
    parser.add_argument(
        "--leg", type=float, default=math.inf, help="CPU seconds after which no training begins"
    )
    options = ledger.parse(parser, words)
    stop_by_cpu_time()
    tune = options.what == "tune"
    seconds = options.seconds or (30.0 if tune else 60.0)
    arms = TUNED if tune else {name: ARMS[name] for name in options.arms}
    seeds = [TUNING_SEED] if tune else options.seeds
    done = {tuple(row["key"]): row for row in ledger.read_rows(options.out)}
    for seed in seeds:
        keys = {name: (name, seed, seconds, label_of(arm, options.label)) for name, arm in
                arms.items()}  # fmt: skip
        if all(key in done for key in keys.values()) or time.process_time() > options.leg:
            continue
        architecture, data = searched(seed)
        for name, key in keys.items():
            if key not in done and time.process_time() < options.leg:
                found = trained(architecture, data, seed, seconds, **arms[name])
                row = {"key": key, "architecture": architecture, **found}
                done[key] = ledger.keep_row(options.out, row)
                print(done[key], flush=True)
    with ledger.Report(options) as report:
        table = report.table(f"Accuracy after {seconds:g} CPU-seconds", *COLUMNS)
        for name, arm in arms.items():
            keys = {seed: (name, seed, seconds, label_of(arm, options.label)) for seed in seeds}
            rows = [done[key] for key in keys.values() if key in done]
            values = [100 * row["accuracy"] for row in rows]
            before = [100 * row["before"] for row in rows if row["before"] is not None]
            if rows:
                table.row(
                    name,
                    ledger.spread(values),
                    ", ".join(f"{value:.1f}" for value in values),
                    f"{statistics.mean(before):.1f}" if before else None,
                    f"{statistics.mean(row['passes'] for row in rows):.0f}",
                )


def label_of(arm: dict[str, Any], label: str) -> str:
    """Arms without released weights serve any label."""
    released = arm["start"] == "predicted" or arm["optimizer"] == "learned"
    return label if released else ""


if __name__ == "__main__":
    main()
