"""The state of a meta-training run: one step, its random choices, and its files."""

import json
import time
from collections.abc import Iterator
from copy import deepcopy
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
import torch.nn.functional as F
from torch import Tensor, nn
from torch.func import functional_call
from torch.utils.data import DataLoader

from nascence.core.files import append_line, write_whole
from nascence.core.randomness import stream
from nascence.core.resumable import Checkpoint, CheckpointError
from nascence.data import augment
from nascence.graph import Graph
from nascence.hypernet.checkpoint import load_into, save
from nascence.hypernet.draws import Ahead, Network, Networks, network_of
from nascence.hypernet.ghn import GHN
from nascence.hypernet.run_settings import RunSettings
from nascence.hypernet.schedule import rate

STATE, WEIGHTS, LOG = "state.pt", "ghn.safetensors", "log.jsonl"
_AVERAGE_EVERY = 10  # steps; averaging at each would cost a hundredth of the run


def agreed(going: bool) -> bool:
    """Let the first process decide for all whether to continue."""
    if not dist.is_initialized():
        return going
    flag = torch.tensor(int(going))
    dist.broadcast(flag, 0)
    return bool(flag)


class Run:
    """The state of a run: weights, optimizer, step and counters.

    It trains on floating-point images ``(N, C, H, W)`` and labels ``(N,)``.
    """

    def __init__(
        self,
        ghn: GHN,
        networks: Networks,
        images: Tensor,
        labels: Tensor,
        out: Path,
        settings: RunSettings,
        card: dict[str, Any],
    ) -> None:
        self.ghn, self.networks, self.settings = ghn, networks, settings
        self.images, self.labels = images, labels
        self.out, self.card = out, card
        self.device = next(ghn.parameters()).device
        self.step = 0
        self.replaced = 0
        self.cpu_seconds = 0.0  # of this process, since the start of the run, without validation
        self.rank, self.world = 0, 1
        if dist.is_initialized():
            self.rank, self.world = dist.get_rank(), dist.get_world_size()
        self.slots = range(self.rank, settings.meta_batch, self.world)
        self.optimizer = torch.optim.Adam(
            ghn.parameters(),
            lr=settings.learning_rate,
            weight_decay=settings.weight_decay,
            fused=True,
        )
        self.average: GHN | None = deepcopy(ghn) if settings.average else None

    def prepared(self, workers: int) -> Iterator[list[tuple[Graph, Network]]]:
        """The networks of each step from here on."""
        ahead = Ahead(self.networks, self.settings, self.slots, self.step)
        if workers:
            loader = DataLoader(ahead, batch_size=None, num_workers=workers, prefetch_factor=4)
            return iter(loader)
        return (ahead[index] for index in range(len(ahead)))

    def batch(self) -> tuple[Tensor, Tensor]:
        """Images ``(B, C, H, W)``, labels ``(B,)`` of this step, flipped and shifted at random."""
        generator = stream(self.settings.seed, self.step, derivation="hypernet")
        count = self.settings.batch_size
        rows = torch.randint(len(self.images), (count,), generator=generator)
        flipped = torch.rand(count, generator=generator) < 0.5
        images = self.images[rows]
        images = torch.where(flipped[:, None, None, None], images.flip(3), images)
        if self.settings.crop:
            images = augment(images, flip=False, crop=self.settings.crop, generator=generator)
        # convolutions of this size are a fifth faster with the channels last
        images = images.to(self.device, memory_format=torch.channels_last)
        return images, self.labels[rows].to(self.device)

    def advance(self, networks: Iterator[list[tuple[Graph, Network]]]) -> float:
        """One step with the next networks; returns the mean loss of the meta-batch."""
        begin = time.process_time()
        loss = self._advance(next(networks))
        self.cpu_seconds += time.process_time() - begin
        return loss

    def _advance(self, networks: list[tuple[Graph, Network]]) -> float:
        images, labels = self.batch()
        self.ghn.train()
        weights = list(self.ghn.parameters())
        totals: list[Tensor] = []
        loss, before, share = 0.0, self.replaced, 1 / self.settings.meta_batch
        for slot, first in zip(self.slots, networks, strict=True):
            value, gradients = self._gradient(slot, first, images, labels)
            loss += value * share
            if totals:
                torch._foreach_add_(totals, gradients, alpha=share)
            else:
                totals = list(torch._foreach_mul(gradients, share))
        totals = totals or [torch.zeros_like(value) for value in weights]
        if self.world > 1:
            loss, fresh = self._shared(totals, loss, self.replaced - before)
            self.replaced = before + fresh
        for weight, total in zip(weights, totals, strict=True):
            weight.grad = total
        nn.utils.clip_grad_norm_(weights, self.settings.clip, foreach=True)
        s = self.settings
        for group in self.optimizer.param_groups:
            group["lr"] = s.learning_rate * rate(s.schedule, self.step, s.steps, s.warmup)
        self.optimizer.step()
        self.step += 1
        if self.average is not None and self.step % _AVERAGE_EVERY == 0:
            self._move_average(self.average)
        return loss

    @torch.no_grad()
    def _move_average(self, average: GHN) -> None:
        """Move the average towards the weights, keeping at most steps / (steps + 100) of it."""
        kept = min(self.settings.average**_AVERAGE_EVERY, self.step / (self.step + 100))
        torch._foreach_lerp_(list(average.parameters()), list(self.ghn.parameters()), 1 - kept)

    @property
    def result(self) -> GHN:
        """Return what is validated and released: the average of the weights, if one is kept."""
        return self.ghn if self.average is None else self.average

    def _gradient(
        self, slot: int, first: tuple[Graph, Network], images: Tensor, labels: Tensor
    ) -> tuple[float, list[Tensor]]:
        """Return loss and gradient of one network, or of another one if they are not finite."""
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
            graph, model = self.networks(network_of(self.settings, self.step, slot, attempt))
        raise RuntimeError(
            f"step {self.step}: {attempts} networks in a row gave no finite gradient; "
            "lower the learning rate or the batch"
        )

    def _loss(
        self, graph: Graph, model: Network, images: Tensor, labels: Tensor
    ) -> tuple[float, list[Tensor]] | None:
        """Return loss and gradient of one network, None if one of them is not finite."""
        params = self.ghn([graph])[0]
        if isinstance(model, nn.Module):
            logits = functional_call(model.train(), params, (images,))
        else:
            logits = model(params, images)
        loss = F.cross_entropy(logits, labels, label_smoothing=self.settings.label_smoothing)
        if not torch.isfinite(loss):
            return None
        weights = list(self.ghn.parameters())
        found = torch.autograd.grad(loss, weights, allow_unused=True)
        gradients = [
            torch.zeros_like(w) if g is None else g for w, g in zip(weights, found, strict=True)
        ]
        norms = torch.stack(torch._foreach_norm(gradients))
        return (loss.item(), gradients) if torch.isfinite(norms).all() else None

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
        """Continue the run in the folder, or begin one there, from ``start`` if it is given."""
        if self._checkpoint(self.out).resume(self._continue):
            self._cut_log()
        elif self.settings.start:
            self._begin(Path(self.settings.start))
        if self.rank == 0:
            self.out.mkdir(parents=True, exist_ok=True)

    def _checkpoint(self, folder: Path) -> Checkpoint:
        configuration = json.dumps(self.ghn.settings)
        return Checkpoint(folder / STATE, {"configuration": configuration}, of="hypernetwork")

    def _continue(self, state: dict[str, Any]) -> None:
        """Continue from the state of a run with the same settings."""
        known = dict(state["settings"])
        if "batch" in known:  # as version 0.1.0 called it
            known["batch_size"] = known.pop("batch")
        for name, value in self.settings._asdict().items():
            before = known.get(name, RunSettings._field_defaults.get(name))
            if name == "steps" and self.settings.schedule == "constant":
                continue  # such a run has no end
            if before != value:
                raise CheckpointError(
                    f"{self.out} holds a run with {name}={before}, not {value}; "
                    "continue with its settings or choose another folder"
                )
        self._take(state)
        self.step, self.replaced = state["step"], state["replaced"]
        self.cpu_seconds = state.get("cpu_seconds", 0.0)

    def _begin(self, start: Path) -> None:
        """Start from the state of another run, or from weights alone; steps count from zero."""
        if self._checkpoint(start).resume(self._take):
            return
        load_into(self.ghn, start)
        if self.average is not None:
            self.average.load_state_dict(self.ghn.state_dict())

    def _take(self, state: dict[str, Any]) -> None:
        """Weights, their average, and the moments of the optimiser."""
        self.ghn.load_state_dict(state["ghn"])
        if self.average is not None:
            self.average.load_state_dict(state.get("average") or state["ghn"])
        groups = [
            {**group, "foreach": None, "fused": True, "weight_decay": self.settings.weight_decay}
            for group in state["optimizer"]["param_groups"]
        ]
        self.optimizer.load_state_dict({**state["optimizer"], "param_groups": groups})

    def _cut_log(self) -> None:
        """Remove the lines of steps that were taken after the state was saved."""
        path = self.out / LOG
        if self.rank or not path.exists():
            return
        kept = []
        for line in path.read_text(errors="replace").splitlines():
            try:
                if json.loads(line)["step"] <= self.step:
                    kept.append(line + "\n")
            except (ValueError, LookupError, TypeError):
                continue  # a line cut short by a kill
        write_whole(path, "".join(kept).encode())

    def save(self) -> None:
        """Write the state and the weights; each file is replaced whole."""
        state: dict[str, Any] = {
            "settings": self.settings._asdict(),
            "ghn": self.ghn.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "step": self.step,
            "replaced": self.replaced,
            "cpu_seconds": self.cpu_seconds,
        }
        if self.average is not None:
            state["average"] = self.average.state_dict()
        self._checkpoint(self.out).save(state)
        self.write_weights()

    def write_weights(self) -> None:
        """Write the weights to release, with their card."""
        card = {
            **self.card,
            "settings": self.settings._asdict(),
            "steps_done": self.step,
            "cpu_seconds": round(self.cpu_seconds, 1),
        }
        save(self.result, self.out / WEIGHTS, card=card)

    def log(self, **values: float) -> None:
        """Append a line to the log."""
        if self.rank == 0:
            line = {"step": self.step, "replaced": self.replaced, **values}
            append_line(self.out / LOG, json.dumps(line))
