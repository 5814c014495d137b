"""The state of a meta-training run: one step, its random choices, and its files."""

import json
import math
import os
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


class Settings(NamedTuple):
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


def check(settings: Settings, images: Tensor, labels: Tensor) -> None:
    """Raise ValueError for settings or data that nothing can be trained with."""
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


def agreed(going: bool) -> bool:
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

    def __init__(self, run: "Run", start: int) -> None:
        self.networks, self.settings, self.start = run.networks, run.settings, start
        self.slots = run.slots

    def __len__(self) -> int:
        return self.settings.steps - self.start

    def __getitem__(self, index: int) -> list[tuple[Graph, nn.Module]]:
        step = self.start + index
        return [self.networks(_network_of(self.settings, step, slot, 0)) for slot in self.slots]


def _network_of(settings: Settings, step: int, slot: int, attempt: int) -> int:
    generator = seeded(settings.seed, step, slot, attempt)
    return int(torch.randint(settings.networks, (), generator=generator))


class Run:
    """The state of a run: weights, optimiser, step and counters."""

    def __init__(
        self,
        ghn: GHN,
        networks: Networks,
        images: Tensor,
        labels: Tensor,
        folder: Path,
        settings: Settings,
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
        loss, before = 0.0, self.replaced
        for slot, first in zip(self.slots, networks, strict=True):
            value, gradients = self._gradient(slot, first, images, labels)
            loss += value / self.settings.meta_batch
            torch._foreach_add_(totals, gradients, alpha=1 / self.settings.meta_batch)
        if self.world > 1:
            loss, fresh = self._shared(totals, loss, self.replaced - before)
            self.replaced = before + fresh
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

    def _shared(self, totals: list[Tensor], loss: float, replaced: int) -> tuple[float, int]:
        """Sum the gradients in place, and loss and replaced networks, over all processes."""
        ends = totals[0].new_tensor([loss, replaced])
        flat = torch.cat([*(value.flatten() for value in totals), ends])
        dist.all_reduce(flat)
        parts = flat.split([*(value.numel() for value in totals), 2])
        for value, part in zip(totals, parts[:-1], strict=True):
            value.copy_(part.view_as(value))
        return float(parts[-1][0]), round(float(parts[-1][1]))

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
        if state["configuration"] != json.dumps(self.ghn.settings):
            raise ValueError(
                f"{self.folder} holds a run of another hypernetwork, {state['configuration']}, "
                f"not {json.dumps(self.ghn.settings)}"
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
            "configuration": json.dumps(self.ghn.settings),
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
