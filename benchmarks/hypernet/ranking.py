"""How well what a hypernetwork says of a network ranks it by the accuracy that training gives.

    python -m benchmarks.hypernet.ranking --data cifar10-train.parquet

Small validation networks of DeepNets are trained for the same number of steps; Kendall's tau of
their accuracy with what is known before: accuracy with predicted parameters, the same under
noise, with a closed-form head, the fall of the loss in ten steps, latency, parameters,
multiply-adds, and the regression from mean node embeddings, each network left out in turn.
"""

import statistics
import time
from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor

from benchmarks import ledger
from benchmarks.hypernet.meta_train import images_of, networks_of
from nascence.data import Dataset, Split
from nascence.graph import Graph
from nascence.hypernet import (
    GHN,
    Regression,
    accuracy,
    load,
    mean_embedding,
    properties,
    recalibrate,
    ridge_head,
)
from nascence.metrics import kendall_tau
from nascence.spaces.deepnets_network import LayerNetwork
from nascence.training import adamw, train


def dataset(images: Tensor, labels: Tensor, held: tuple[Tensor, Tensor]) -> Dataset:
    """Normalised images as bytes, which is what the training loop reads."""
    low, high = float(images.min()), float(images.max())

    def split(values: Tensor, classes: Tensor) -> Split:
        return Split(((values - low) / (high - low) * 255).round().byte(), classes)

    names = tuple(map(str, range(10)))
    mean, std = -low / (high - low), 1 / (high - low)
    return Dataset(
        "CIFAR-10", split(images, labels), split(*held), names, (mean,) * 3, (std,) * 3, (), ""
    )


def measured(
    ghn: GHN,
    graph: Graph,
    model: LayerNetwork,
    fit: tuple[Tensor, Tensor],
    held: tuple[Tensor, Tensor],
) -> dict[str, float]:
    """Everything that is known of a network before training."""
    with torch.no_grad():
        params = ghn([graph])[0]
    values = {**params, **recalibrate(model, params, fit[0].split(64))}
    generator = torch.Generator().manual_seed(0)
    known = properties(model, values, *held, generator=generator)
    head = ridge_head(model, graph, values, *fit)
    own = {name: value.detach() for name, value in model.named_parameters()}
    random = {**own, **recalibrate(model, own, fit[0].split(64))}
    random_head = ridge_head(model, graph, random, *fit)
    return {
        "predicted accuracy": known.accuracy,
        "predicted accuracy, noisy images": known.noisy_accuracy,
        "predicted features, closed-form head": accuracy(model, {**values, **head}, *held),
        "random features, closed-form head": accuracy(model, {**random, **random_head}, *held),
        "fall of the loss in ten steps": known.convergence,
        "loss after ten steps, negative": -known.loss_after,
        "latency": known.seconds,
        "parameters": float(graph.parameter_count),
        "multiply-adds": float(graph.macs),
    }


def left_out(embeddings: Tensor, targets: list[float]) -> list[float]:
    """The regression's answer for each network from all others."""
    answers = []
    for index in range(len(targets)):
        rest = [k for k in range(len(targets)) if k != index]
        model = Regression(embeddings[rest], [targets[k] for k in rest])
        answers.append(float(model(embeddings[index : index + 1])))
    return answers


def main(words: Sequence[str] | None = None) -> None:
    parser = ledger.parser(__doc__)
    parser.add_argument("--data", required=True)
    parser.add_argument("--weights", default="ghn2-cifar10", help="released name or file")
    parser.add_argument("--networks", type=int, default=24)
    parser.add_argument("--steps", type=int, default=120, help="of training, batch 64")
    parser.add_argument("--size", type=int, default=16)
    parser.add_argument("--out", type=Path, help="JSON lines, one for each network; resumes")
    arguments = ledger.parse(parser, words)
    ghn = load(arguments.weights).eval()
    size = arguments.size
    # a hundred steps of 64 images see fewer than this
    images, labels = images_of(arguments.data, size, slice(0, 10_000))
    held = images_of(arguments.data, size, slice(-5000, -3000))
    data = dataset(images, labels, held)
    networks = networks_of("val", size)
    rows = ledger.read_rows(arguments.out)
    for index in range(len(rows), arguments.networks):
        graph, model = networks[index]
        start = time.process_time()
        row = measured(ghn, graph, model, (images[:500], labels[:500]), held)
        middle = time.process_time()
        result = train(
            model, data, optimizer=adamw(3e-3), generator=torch.Generator().manual_seed(index),
            steps=arguments.steps, batch_size=64, crop=2, measurements=1,
        )  # fmt: skip
        row["trained"] = result.curve[-1].accuracy
        rows.append(ledger.keep_row(arguments.out, row))
        print(
            f"{index}: trained {rows[-1]['trained']:.3f} in {time.process_time() - middle:.0f} s, "
            f"predicted {row['predicted accuracy']:.3f}; all before {middle - start:.1f} s",
            flush=True,
        )
    trained = [row["trained"] for row in rows]
    print(f"{len(rows)} networks, trained {statistics.mean(trained):.3f} "
          f"({min(trained):.3f}-{max(trained):.3f})")  # fmt: skip
    embeddings = torch.stack([mean_embedding(ghn, networks.graph(k)) for k in range(len(rows))])
    columns = {name: [row[name] for row in rows] for name in rows[0] if name != "trained"}
    columns["regression from embeddings, left out"] = left_out(embeddings, trained)
    with ledger.Report(arguments) as report:
        title = f"Kendall's tau with the accuracy that training gives, {len(rows)} networks"
        table = report.table(title, "known before training", ("tau", "", "higher"), "mean")
        for name, values in columns.items():
            tau, mean = f"{kendall_tau(values, trained):+.2f}", f"{statistics.mean(values):.3g}"
            table.row(name, tau, mean)


if __name__ == "__main__":
    main()
