"""What the benchmarks of supernets share: trainings kept in a folder, and figures of a ranking."""

import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch

from benchmarks import ledger
from nascence.core.resumable import load_checkpoint, save_checkpoint
from nascence.data import Dataset
from nascence.metrics import kendall_tau, top_kendall_tau
from nascence.spaces import Architecture, ElasticMobile, Mobile, NetworkSpace, SmallSpace
from nascence.supernets import SuperNet, split, train_sub_supernets, train_supernet
from nascence.training import Training, sgd, train

Score = Callable[[list[SuperNet]], dict[str, torch.Tensor]]


class Runs:
    """Supernets of one seed: each kind is trained and scored once and kept in ``out``.

    Args:
        space: what the supernets hold.
        data: to train on.
        out: folder for checkpoints and scores.
        seed: of weights, batches and paths.
        base: steps of the one-shot supernet that is split.
        score: from sub-supernets to scores of architectures, in an order of its own.
        suffix: of the files of scores, to tell what was scored.
        settings: of :func:`train_supernet`.
    """

    def __init__(
        self,
        space: NetworkSpace,
        data: Dataset,
        *,
        out: Path,
        seed: int,
        base: int,
        score: Score,
        settings: dict,
        suffix: str = "",
    ) -> None:
        self.space, self.data, self.out, self.seed = space, data, out, seed
        self.base, self.score, self.settings, self.suffix = base, score, settings, suffix
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            self.initial = SuperNet(space)

    def one_shot(self, name: str, steps: int) -> None:
        """Train and score one supernet."""
        if self._done(name):
            return
        supernet, done, seconds = self._train(steps)
        if steps == self.base:
            kept: dict[str, Any] = {
                "initial": self.initial.state_dict(),
                "trained": supernet.state_dict(),
            }
            kept |= {"space": self.space.description, "steps": done}
            save_checkpoint(self.out / f"supernet-{self.seed}.pt", kept)
        self._record(name, [supernet], {"supernets": 1, "steps": done, "seconds": seconds})

    def few_shot(self, name: str, edges: Sequence[str], steps: int) -> None:
        """Split the supernet of ``base`` steps at ``edges``; train each part and score."""
        if self._done(name):
            return
        supernet, done, seconds = self._train(self.base)
        parts = train_sub_supernets(
            split(supernet, list(edges)),
            self.data,
            seed=self.seed,
            out=self.out / f"leaves-{self.seed}-{name}",
            steps=steps,
            **self.settings,
        )
        cost = {
            "supernets": len(parts),
            "steps": done + sum(part.steps for part in parts),
            "seconds": seconds + sum(part.seconds for part in parts),
        }
        self._record(name, [part.supernet for part in parts], cost)

    def _train(self, steps: int) -> tuple[SuperNet, int, float]:
        trained = train_supernet(
            self.initial,
            self.data,
            generator=torch.Generator().manual_seed(self.seed),
            steps=steps,
            checkpoint=self.out / f"one-shot-{self.seed}-{steps}.pt",
            **self.settings,
        )
        return trained.supernet, trained.steps, trained.seconds

    def _done(self, name: str) -> bool:
        return self._file(name).exists()

    def _file(self, name: str) -> Path:
        return self.out / f"scores-{self.seed}-{name}{self.suffix}.pt"

    def _record(self, name: str, sub_supernets: list[SuperNet], cost: dict[str, float]) -> None:
        start = time.perf_counter()
        scores = self.score(sub_supernets)
        cost["scoring_seconds"] = time.perf_counter() - start
        save_checkpoint(self._file(name), {**scores, "cost": cost})
        print(self.seed, name, cost, f"{time.process_time():.0f} CPU-s so far", flush=True)


def train_alone(
    space: Mobile | ElasticMobile | SmallSpace,
    architecture: Architecture,
    data: Dataset,
    *,
    seed: int,
    steps: int,
    batch_size: int = 64,
    crop: int = 2,
) -> Training:
    """Train one network on its own by SGD, its first values and batches drawn with ``seed``."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        model: Any = space.build(architecture)
    return train(
        model.to(memory_format=torch.channels_last),
        data,
        optimizer=sgd(0.1),
        generator=torch.Generator().manual_seed(seed),
        steps=steps,
        batch_size=batch_size,
        crop=crop,
        measurements=1,
    )


def accuracy_and_loss(logits: torch.Tensor, labels: torch.Tensor) -> tuple[float, float]:
    """Accuracy in [0, 1] and the negative mean cross-entropy."""
    loss = torch.nn.functional.cross_entropy(logits, labels).item()
    return (logits.argmax(1) == labels).float().mean().item(), -loss


def columns(pairs: Sequence[tuple[float, float]]) -> dict[str, torch.Tensor]:
    """Name the two scores of every architecture."""
    accuracies, losses = zip(*pairs, strict=True)
    return {"accuracy": torch.tensor(accuracies), "negative loss": torch.tensor(losses)}


def figures(scores: Sequence[float], truth: Sequence[float]) -> dict[str, float]:
    """Tau over all and among the best by truth; true accuracy of the first and the best of 50."""
    order = sorted(range(len(scores)), key=lambda i: -scores[i])
    found = {"tau": kendall_tau(scores, truth)}
    for share in (0.5, 0.2, 0.05):
        found[f"top {share:.0%}"] = top_kendall_tau(scores, truth, fraction=share)
    found["first"] = truth[order[0]]
    found["best of 50"] = max(truth[i] for i in order[:50])
    return rounded(found)


def show_figures(report: ledger.Report, found: dict[str, dict[str, float]]) -> None:
    """How other scores rank, such as multiply-adds."""
    table = report.table("Other scores", "score", *next(iter(found.values()), {}))
    for name, row in found.items():
        table.row(name, *row.values())


def show_kept(
    report: ledger.Report,
    out: Path,
    pick: Callable[[torch.Tensor], list[float]],
    truth: Sequence[float],
) -> None:
    """Figures of every file of scores in ``out``, and their means over the seeds."""
    kinds: dict[tuple[str, str], dict[str, dict[str, float]]] = {}
    for path in sorted(out.glob("scores-*.pt")):
        content = load_checkpoint(path)
        _, seed, kind = path.stem.split("-", 2)
        for measure in ("accuracy", "negative loss"):
            scores = pick(content[measure])
            if len(scores) == len(truth):
                found = {**figures(scores, truth), **rounded(content["cost"])}
                kinds.setdefault((kind, measure), {})[seed] = found
    names = next(iter(next(iter(kinds.values()), {}).values()), {})
    every = report.table("Every supernet", "supernets", "scored by", "seed", *names)
    for (kind, measure), rows in kinds.items():
        for seed, row in rows.items():
            every.row(kind, measure, seed, *row.values())
    means = report.table("Means ± sd over the seeds", "supernets", "scored by", "seeds", *names)
    for (kind, measure), rows in kinds.items():
        columns = zip(*(row.values() for row in rows.values()), strict=True)
        means.row(kind, measure, len(rows), *(ledger.spread(each, ".3f") for each in columns))


def rounded(values: dict[str, float]) -> dict[str, float]:
    """To four digits after the point."""
    return {name: round(value, 4) for name, value in values.items()}
