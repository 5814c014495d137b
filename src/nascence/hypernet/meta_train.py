"""Meta-training of a hypernetwork: many networks, one set of images, one loss.

Knyazev et al. (2021), section 3.3: every step takes one batch of images and a meta-batch of
networks, and lowers the mean cross-entropy of the networks with predicted parameters.

All choices of step ``k`` follow from the seed and ``k``, so a run that was stopped continues
exactly, wherever it was stopped, and the same meta-batch gives the same gradient however many
processes share it.
"""

import json
import math
import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import torch
import torch.distributed as dist
import torch.nn.functional as F
from torch import Tensor, nn
from torch.func import functional_call
from torch.utils.data import DataLoader, Dataset

from nascence.graph import Graph
from nascence.hypernet.checkpoint import save
from nascence.hypernet.ghn import GHN

Networks = Callable[[int], tuple[Graph, nn.Module]]
Validation = Callable[[GHN], dict[str, float]]


class Report(NamedTuple):
    """What one leg did."""

    step: int  # steps done since the start of the run
    finished: bool
    loss: float  # mean over the last logged steps
    replaced: int  # networks replaced because of NaN or memory, since the start
    network_steps_per_second: float  # of this leg


class _Settings(NamedTuple):
    """What must not change between legs."""

    networks: int
    steps: int
    meta_batch: int
    batch: int
    learning_rate: float
    weight_decay: float
    warmup: int
    clip: float
    label_smoothing: float
    seed: int


def meta_train(
    ghn: GHN,
    networks: Networks,
    count: int,
    images: Tensor,
    labels: Tensor,
    *,
    folder: str | Path,
    steps: int,
    meta_batch: int = 8,
    batch: int = 64,
    learning_rate: float = 1e-3,
    weight_decay: float = 1e-5,
    warmup: int = 100,
    clip: float = 5.0,
    label_smoothing: float = 0.0,
    seed: int = 0,
    seconds: float = math.inf,
    checkpoint_every: float = 60.0,
    log_every: int = 50,
    validation: Validation | None = None,
    validate_every: int | None = None,
    card: dict[str, Any] | None = None,
    workers: int = 0,
    progress: Callable[[str], None] | None = None,
) -> Report:
    """Train ``ghn`` in place for at most ``seconds``; call again to go on where it stopped.

    ``networks(k)`` gives graph and module of network ``k`` of ``count``; the modules may be on
    the meta device, as only their shapes are used. ``images`` ``(N, C, H, W)`` are floats,
    ``labels`` ``(N,)``. Every step flips a batch at random and takes a meta-batch; the learning
    rate warms up and then falls to zero along a cosine over ``steps``. ``workers`` processes
    prepare networks ahead. Where ``torch.distributed`` is initialised the meta-batch is
    shared among the processes, and the result is that of one process up to rounding.

    ``folder`` receives ``state.pt`` (to continue), ``ghn.safetensors`` (weights and card) and
    ``log.jsonl``. A network whose loss or gradient is not finite, or that does not fit in
    memory, is replaced by another and counted.

    Raises ``ValueError`` where ``folder`` holds a run with other settings.
    """
    settings = _Settings(
        count, steps, meta_batch, batch, learning_rate, weight_decay, warmup, clip,
        label_smoothing, seed,
    )  # fmt: skip
    _check(settings, images, labels)
    run = _Run(ghn, networks, images, labels, Path(folder), settings, card or {})
    run.resume()
    begin = saved = time.monotonic()
    first = run.step
    losses: list[float] = []
    source = run.prepared(workers)
    while run.step < steps and _agreed(time.monotonic() - begin < seconds):
        losses.append(run.advance(next(source)))
        if run.step % log_every == 0 or run.step == steps:
            rate = (run.step - first) * meta_batch / (time.monotonic() - begin)
            run.log(loss=sum(losses) / len(losses), rate=rate)
            if progress is not None:
                progress(f"step {run.step}/{steps} loss {sum(losses) / len(losses):.3f} "
                         f"{rate:.2f} network-steps/s, {run.replaced} replaced")  # fmt: skip
            losses = losses[-1:]
        if validation and validate_every and run.step % validate_every == 0:
            run.log(**validation(ghn))
        if time.monotonic() - saved > checkpoint_every:
            run.save()
            saved = time.monotonic()
    elapsed = max(time.monotonic() - begin, 1e-9)
    done = (run.step - first) * meta_batch
    if done or not (run.folder / "state.pt").exists():
        if validation is not None and run.step == steps:
            run.log(**validation(ghn))
        run.save()
    mean = sum(losses) / len(losses) if losses else math.nan
    return Report(run.step, run.step >= steps, mean, run.replaced, done / elapsed)


def _check(settings: _Settings, images: Tensor, labels: Tensor) -> None:
    for name in ("networks", "steps", "meta_batch", "batch"):
        if getattr(settings, name) < 1:
            raise ValueError(f"{name} is {getattr(settings, name)}; it must be at least 1")
    if not images.is_floating_point() or images.dim() != 4:
        raise ValueError(
            f"images are {images.dtype} of shape {tuple(images.shape)}; "
            "they must be floating-point (N, C, H, W)"
        )
    if labels.shape != images.shape[:1]:
        raise ValueError(f"{len(images)} images but labels of shape {tuple(labels.shape)}")


def _agreed(going: bool) -> bool:
    """The first process decides for all whether to go on."""
    if not dist.is_initialized():
        return going
    flag = torch.tensor(int(going))
    dist.broadcast(flag, 0)
    return bool(flag)


def seeded(*numbers: int) -> torch.Generator:
    """A generator for these numbers, unlike that of any neighbouring ones."""
    mixed = 0x9E3779B97F4A7C15
    for number in numbers:
        mixed = ((mixed ^ (number + 1)) * 0xD6E8FEB86659FD93) % 2**64
        mixed ^= mixed >> 32
    return torch.Generator().manual_seed(mixed % 2**63)


class _Ahead(Dataset[list[tuple[Graph, nn.Module]]]):
    """The networks of every step from ``start`` on, for worker processes to prepare."""

    def __init__(self, run: "_Run", start: int) -> None:
        self.networks, self.settings, self.start = run.networks, run.settings, start
        self.slots = run.slots

    def __len__(self) -> int:
        return self.settings.steps - self.start

    def __getitem__(self, index: int) -> list[tuple[Graph, nn.Module]]:
        step = self.start + index
        return [self.networks(_network_of(self.settings, step, slot, 0)) for slot in self.slots]


def _network_of(settings: _Settings, step: int, slot: int, attempt: int) -> int:
    generator = seeded(settings.seed, step, slot, attempt)
    return int(torch.randint(settings.networks, (), generator=generator))


class _Run:
    """The state of a run: weights, optimiser, step and counters."""

    def __init__(
        self,
        ghn: GHN,
        networks: Networks,
        images: Tensor,
        labels: Tensor,
        folder: Path,
        settings: _Settings,
        card: dict[str, Any],
    ) -> None:
        self.ghn, self.networks, self.settings = ghn, networks, settings
        self.images, self.labels = images, labels
        self.folder, self.card = folder, card
        self.device = next(ghn.parameters()).device
        self.step = 0
        self.replaced = 0
        self.rank, self.world = 0, 1
        if dist.is_initialized():
            self.rank, self.world = dist.get_rank(), dist.get_world_size()
        self.slots = range(self.rank, settings.meta_batch, self.world)
        self.optimizer = torch.optim.Adam(
            ghn.parameters(),
            lr=settings.learning_rate,
            weight_decay=settings.weight_decay,
            foreach=True,
        )

    def prepared(self, workers: int) -> Iterator[list[tuple[Graph, nn.Module]]]:
        """The networks of each step from here on."""
        ahead = _Ahead(self, self.step)
        if workers:
            loader = DataLoader(ahead, batch_size=None, num_workers=workers, prefetch_factor=4)
            return iter(loader)
        return (ahead[index] for index in range(len(ahead)))

    def batch(self) -> tuple[Tensor, Tensor]:
        """Images and labels of this step, flipped at random."""
        generator = seeded(self.settings.seed, self.step)
        rows = torch.randint(len(self.images), (self.settings.batch,), generator=generator)
        flipped = torch.rand(self.settings.batch, generator=generator) < 0.5
        images = self.images[rows]
        images = torch.where(flipped[:, None, None, None], images.flip(3), images)
        # convolutions of this size are a fifth faster with the channels last
        images = images.to(self.device, memory_format=torch.channels_last)
        return images, self.labels[rows].to(self.device)

    def advance(self, networks: list[tuple[Graph, nn.Module]]) -> float:
        """One step; returns the mean loss of the meta-batch."""
        images, labels = self.batch()
        self.ghn.train()
        weights = list(self.ghn.parameters())
        totals = [torch.zeros_like(value) for value in weights]
        loss = 0.0
        for slot, first in zip(self.slots, networks, strict=True):
            value, gradients = self._gradient(slot, first, images, labels)
            loss += value / self.settings.meta_batch
            torch._foreach_add_(totals, gradients, alpha=1 / self.settings.meta_batch)
        if self.world > 1:
            loss = self._shared(totals, loss)
        for weight, total in zip(weights, totals, strict=True):
            weight.grad = total
        nn.utils.clip_grad_norm_(weights, self.settings.clip, foreach=True)
        for group in self.optimizer.param_groups:
            group["lr"] = self.settings.learning_rate * self._rate()
        self.optimizer.step()
        self.step += 1
        return loss

    def _rate(self) -> float:
        """Linear warm-up, then half a cosine to zero."""
        warmup = min(self.settings.warmup, self.settings.steps // 2)
        if self.step < warmup:
            return (self.step + 1) / warmup
        done = (self.step - warmup) / max(1, self.settings.steps - warmup)
        return 0.5 * (1 + math.cos(math.pi * done))

    def _gradient(
        self, slot: int, first: tuple[Graph, nn.Module], images: Tensor, labels: Tensor
    ) -> tuple[float, list[Tensor]]:
        """Loss and gradient of one network, of another one where they are not finite."""
        attempts = 20
        graph, model = first
        for attempt in range(1, attempts + 1):
            try:
                found = self._loss(graph, model, images, labels)
            except torch.OutOfMemoryError:
                found = None
                torch.cuda.empty_cache()
            except RuntimeError as error:
                if "can't allocate memory" not in str(error):
                    raise
                found = None
            if found is not None:
                return found
            self.replaced += 1
            graph, model = self.networks(_network_of(self.settings, self.step, slot, attempt))
        raise RuntimeError(
            f"step {self.step}: {attempts} networks in a row gave no finite gradient; "
            "lower the learning rate or the batch"
        )

    def _loss(
        self, graph: Graph, model: nn.Module, images: Tensor, labels: Tensor
    ) -> tuple[float, list[Tensor]] | None:
        """Loss and gradient of one network, None where one is not finite."""
        params = self.ghn([graph])[0]
        model.train()
        logits = functional_call(model, params, (images,))
        loss = F.cross_entropy(logits, labels, label_smoothing=self.settings.label_smoothing)
        if not torch.isfinite(loss):
            return None
        weights = list(self.ghn.parameters())
        found = torch.autograd.grad(loss, weights, allow_unused=True)
        gradients = [
            torch.zeros_like(w) if g is None else g for w, g in zip(weights, found, strict=True)
        ]
        norm = torch.stack([value.sum() for value in gradients]).sum()
        return (loss.item(), gradients) if torch.isfinite(norm) else None

    def _shared(self, totals: list[Tensor], loss: float) -> float:
        """Sum over all processes."""
        flat = torch.cat([value.flatten() for value in totals] + [totals[0].new_tensor([loss])])
        dist.all_reduce(flat)
        parts = flat.split([*(value.numel() for value in totals), 1])
        for value, part in zip(totals, parts[:-1], strict=True):
            value.copy_(part.view_as(value))
        return float(parts[-1])

    # Files

    def resume(self) -> None:
        """Take up the run in the folder, if there is one."""
        path = self.folder / "state.pt"
        if not path.exists():
            if self.rank == 0:
                self.folder.mkdir(parents=True, exist_ok=True)
            return
        try:
            state = torch.load(path, map_location=self.device, weights_only=True)
            before = state["settings"]
        except Exception as error:
            raise ValueError(f"{path} is not a readable run: {error}") from None
        for name, value in self.settings._asdict().items():
            if before.get(name) != value:
                raise ValueError(
                    f"{self.folder} holds a run with {name}={before.get(name)}, not {value}; "
                    "continue with its settings or choose another folder"
                )
        self.ghn.load_state_dict(state["ghn"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.step, self.replaced = state["step"], state["replaced"]
        self._cut_log()

    def _cut_log(self) -> None:
        """Drop the lines of steps that were done after the state was saved."""
        path = self.folder / "log.jsonl"
        if self.rank or not path.exists():
            return
        kept = []
        for line in path.read_text().splitlines():
            try:
                if json.loads(line)["step"] <= self.step:
                    kept.append(line + "\n")
            except (json.JSONDecodeError, KeyError):
                continue  # a line cut short by a kill
        path.write_text("".join(kept))

    def save(self) -> None:
        """Write the state and the weights; each file is replaced whole."""
        if self.rank:
            return
        state = {
            "settings": self.settings._asdict(),
            "ghn": self.ghn.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "step": self.step,
            "replaced": self.replaced,
        }
        part = self.folder / "state.pt.part"
        torch.save(state, part)
        os.replace(part, self.folder / "state.pt")
        card = {**self.card, "settings": self.settings._asdict(), "steps_done": self.step}
        save(self.ghn, self.folder / "ghn.safetensors", card=card)

    def log(self, **values: float) -> None:
        """Append a line to the log."""
        if self.rank == 0:
            line = {"step": self.step, "replaced": self.replaced, **values}
            with (self.folder / "log.jsonl").open("a") as file:
                file.write(json.dumps(line) + "\n")
