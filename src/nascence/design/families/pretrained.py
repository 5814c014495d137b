"""The family of pretrained networks: one of timm, its classifier fitted first, then trained on."""

import json
import math
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from nascence.core.randomness import seeded
from nascence.design import recipe
from nascence.design.results import SearchResult, TrainingPlan
from nascence.design.run import Run
from nascence.design.start import sharp_head
from nascence.graph import count_macs, count_parameters, measure_latency, trace
from nascence.hypernet import classifier_name
from nascence.models.zoo import timm_network, timm_network_of
from nascence.report import CandidatePoint
from nascence.search import LimitError
from nascence.training import Training, adamw

RATE = 3e-4
"""Rate of AdamW: small, so that what the network has learned elsewhere is kept."""
IMAGES = 2000
"""Training images that the classifier is fitted to, at most."""


class Pretrained:
    """A network of timm with weights learned elsewhere, which ``--pretrained`` names.

    See :class:`nascence.design.families.family.Family`. Its features are frozen first: a classifier
    is fitted to them in closed form. From there all of it is trained on.
    """

    optimizers: tuple[str, ...] = ("adamw",)
    starts: tuple[str, ...] = ("random",)
    why_random = "Its features are pretrained; the classifier was fitted to them in closed form."

    def search(self, run: Run) -> SearchResult:
        """Take the network that is named, if it keeps to the limits.

        Raises:
            LimitError: It does not.
            ValueError: There is no such network, or its weights cannot be had.
        """
        started = time.perf_counter()
        # The weights are had before anything else is done: without them there is no run.
        model = built(run.settings.pretrained or "", run)
        name = named(run.settings.pretrained or "")[0]
        parameters = count_parameters(model)
        most, slowest = run.settings.max_params, run.settings.max_latency_ms
        if most is not None and parameters > most:
            raise LimitError(
                f"{name} has {parameters:,} parameters, more than --max-params {most:,}; name a "
                "smaller network or raise the limit"
            )
        if slowest is not None:
            latency = 1e3 * measure_latency(model, run.example, repeats=15).median
            if latency > slowest:
                raise LimitError(
                    f"{name} takes {latency:.2g} ms for one image, more than --max-latency-ms "
                    f"{slowest:g}; name a smaller network or raise the limit"
                )
        point = CandidatePoint(
            name=name,
            score=math.nan,
            parameters=parameters,
            macs=count_macs(model, run.example),
            chosen=True,
        )
        return SearchResult(
            seconds=time.perf_counter() - started,
            architecture=(),
            name=name,
            decisions={"name": name},
            score=math.nan,
            score_name="none: --pretrained names the network",
            candidates=(point,),
        )

    def build(self, run: Run, found: SearchResult) -> nn.Module:
        """Build the network with its pretrained weights and a classifier fitted to its features."""
        return fitted(run.settings.pretrained or "", run)

    def plan(self, run: Run, model: nn.Module, seconds: float) -> TrainingPlan:
        """Measure which precision is the faster one, and how many steps fit into ``seconds``."""
        return recipe.training_plan(
            model, run.data, seconds, device=run.device, settings=settings(run.data.train.labels)
        )

    def train(self, run: Run, model: nn.Module, plan: TrainingPlan) -> Training:
        """Train all of it on, at a small rate."""
        return run.train(model, plan, settings(run.data.train.labels), stream=3, name="train")

    def describe(self, run: Run, found: SearchResult) -> dict[str, str]:
        """What :meth:`load` must know, as metadata of a file of weights."""
        return {"architecture": found.name}

    def load(self, metadata: Mapping[str, str]) -> nn.Module:
        """Build the network that a file of weights describes, with weights of its own."""
        channels = json.loads(metadata["image_shape"])[0]
        classes = len(json.loads(metadata["classes"]))
        return Renormalised(
            timm_network(metadata["architecture"], classes=classes, in_channels=channels), channels
        )

    def cell_edges(self, decisions: Mapping[str, Any]) -> tuple[tuple[int, int, str], ...]:
        """Nothing: there is no cell to draw."""
        return ()

    def skeleton(self, decisions: Mapping[str, Any], side: int) -> tuple[str, ...]:
        """The network in words, for images of ``side`` pixels."""
        return (f"{decisions['name']} of timm, for images of {side} px", "a new linear classifier")


class Renormalised(nn.Module):
    """A network that was trained on images normalised otherwise than those it is given.

    ``(B, C, H, W)`` to what the network gives.

    Args:
        network: of timm; its ``pretrained_cfg`` has the mean and standard deviation it knows.
        channels: C.
        mean: of the images that come, for each channel, before they were normalised.
        std: of the same images.
    """

    def __init__(
        self,
        network: nn.Module,
        channels: int,
        *,
        mean: tuple[float, ...] | None = None,
        std: tuple[float, ...] | None = None,
    ) -> None:
        super().__init__()
        self.network = network
        config: Any = network.pretrained_cfg
        wanted = [_of_channels(config[name], channels) for name in ("mean", "std")]
        given = [
            old if new is None else torch.tensor(new)
            for old, new in zip(wanted, (mean, std), strict=True)
        ]
        self.scale: Tensor
        self.shift: Tensor
        self.register_buffer("scale", (given[1] / wanted[1]).view(-1, 1, 1))
        self.register_buffer("shift", ((given[0] - wanted[0]) / wanted[1]).view(-1, 1, 1))

    def forward(self, images: Tensor) -> Tensor:
        """Compute ``(B, C, H, W)`` to ``(B, classes)``."""
        logits: Tensor = self.network(images * self.scale + self.shift)
        return logits


def named(source: str) -> tuple[str, Path | None]:
    """The name of a network, and the file of its weights if there is one: ``NAME=FILE``."""
    name, _, file = source.partition("=")
    return name, Path(file) if file else None


def built(source: str, run: Run) -> nn.Module:
    """Build a network for the images of a run, with its pretrained weights and a new classifier.

    Args:
        source: ``NAME`` or ``NAME=FILE``, a network of timm.
        run: Whose images it is for.

    Raises:
        ValueError: There is no such network, or its weights cannot be had.
    """
    name, file = named(source)
    channels, classes = run.data.image_shape[0], run.data.classes
    with seeded(run.settings.seed):
        if file is None:
            model = timm_network(name, classes=classes, in_channels=channels, pretrained=True)
        else:
            model = timm_network_of(name, file, classes=classes, in_channels=channels)
    return Renormalised(model, channels, mean=run.data.mean, std=run.data.std)


def fitted(source: str, run: Run) -> nn.Module:
    """Build a network as :func:`built` does, its classifier fitted to training images."""
    model = built(source, run)
    count = min(IMAGES, len(run.data.train))
    images, labels = run.data.batch(count, generator=run.generator(6))
    layer = classifier_name(trace(model.eval(), images[:1]))
    head = sharp_head(model, layer, dict(model.state_dict()), images, labels)
    model.load_state_dict({**model.state_dict(), **head})
    return model


def settings(labels: Tensor) -> dict[str, Any]:
    """Settings of the training, for images with these labels ``(N,)``."""
    return {
        "optimizer": adamw(RATE, weight_decay=0.01),
        "batch_size": min(recipe.BATCH, max(len(labels) // 20, 16)),
        "label_smoothing": 0.1,
    }


def _of_channels(values: tuple[float, ...], channels: int) -> Tensor:
    found = torch.tensor(values)
    return found if len(found) == channels else found.mean().repeat(channels)
