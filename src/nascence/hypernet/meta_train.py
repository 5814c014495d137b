"""Meta-training of a hypernetwork: many networks, one set of images, one loss.

Knyazev et al. (2021), section 3.3: every step takes one batch of images and a meta-batch of
networks, and lowers the mean cross-entropy of the networks with predicted parameters.

All choices of step ``k`` follow from the seed and ``k``, so a run that was stopped continues
exactly, wherever it was stopped, and the same meta-batch gives the same gradient however many
processes share it.
"""

import math
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from torch import Tensor

from nascence.hypernet.draws import Networks
from nascence.hypernet.ghn import GHN
from nascence.hypernet.run_settings import Settings, check
from nascence.hypernet.training_run import Run, agreed

Validation = Callable[[GHN], dict[str, float]]


class Report(NamedTuple):
    """What one leg did."""

    step: int  # steps done since the start of the run
    finished: bool
    loss: float  # mean over the last logged steps
    replaced: int  # networks replaced because of NaN or memory, since the start
    network_steps_per_second: float  # of this leg


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
    schedule: str = "cosine",
    average: float = 0.0,
    start: str | Path = "",
    crop: int = 0,
    seconds: float = math.inf,
    checkpoint_every: float = 60.0,
    log_every: int = 50,
    validation: Validation | None = None,
    validate_every: int | None = None,
    card: dict[str, Any] | None = None,
    workers: int = 0,
    progress: Callable[[float, str], None] | None = None,
) -> Report:
    """Train ``ghn`` in place for at most ``seconds``; call again to go on where it stopped.

    ``networks(k)`` gives graph and network ``k`` of ``count``: a module, on any device as only
    its shapes are used, or a function ``(parameters, images) -> logits``. ``images``
    ``(N, C, H, W)`` are floats, ``labels`` ``(N,)``. Every step flips a batch at random, shifts
    each image by up to ``crop`` pixels (zeros come in) and takes a meta-batch. ``workers``
    processes prepare networks ahead. Where ``torch.distributed`` is initialised the meta-batch is
    shared among the processes, and the result is that of one process up to rounding.

    The learning rate warms up over ``warmup`` steps. With ``schedule="cosine"`` it then falls to
    zero over ``steps``. With ``"constant"`` it stays and ``steps`` may grow from leg to leg; at
    any time another run with ``"decay"`` and ``start`` this one's folder, which a fifth of the
    steps is enough for, ends it at zero. ``start`` is the folder of a run, to begin with its
    weights, moments and average, or a file or name of weights, to begin with those; the run
    remembers it. ``average`` is the share that an exponential moving average of the weights
    keeps in a step; validation and ``ghn.safetensors`` then have the average.

    ``progress(fraction, line)`` is called after every step, with a line every ``log_every``; a
    KeyboardInterrupt raised in it ends the leg after a checkpoint.

    ``folder`` receives ``state.pt`` (to continue), ``ghn.safetensors`` (weights and card) and
    ``log.jsonl``. A network whose loss or gradient is not finite, or that does not fit in
    memory, is replaced by another and counted.

    Raises ``ValueError`` where ``folder`` holds a run with other settings.
    """
    settings = Settings(
        count, steps, meta_batch, batch, learning_rate, weight_decay, warmup, clip,
        label_smoothing, seed, schedule, average, str(start), crop,
    )  # fmt: skip
    check(settings, images, labels)
    run = Run(ghn, networks, images, labels, Path(folder), settings, card or {})
    run.resume()
    begin = saved = time.monotonic()
    first = run.step
    losses: list[float] = []
    source = run.prepared(workers)
    while run.step < steps and agreed(time.monotonic() - begin < seconds):
        losses.append(run.advance(source))
        line = ""
        if run.step % log_every == 0 or run.step == steps:
            rate = (run.step - first) * meta_batch / (time.monotonic() - begin)
            loss = sum(losses) / len(losses)
            run.log(loss=loss, rate=rate, cpu_seconds=run.cpu_seconds)
            line = (
                f"step {run.step}/{steps} loss {loss:.3f} {rate:.2f} network-steps/s, "
                f"{run.replaced} replaced"
            )
            losses = losses[-1:]
        due = run.step == steps or run.step % (validate_every or steps) == 0
        if validation is not None and due and run.rank == 0:
            found = validation(run.result)
            run.log(**found)
            line += "".join(f", {name} {value:.3f}" for name, value in found.items())
        try:
            if progress is not None:
                progress(run.step / steps, line)
        except KeyboardInterrupt:
            run.save()
            raise
        if time.monotonic() - saved > checkpoint_every:
            run.save()
            saved = time.monotonic()
    elapsed = max(time.monotonic() - begin, 1e-9)
    done = (run.step - first) * meta_batch
    if done or not (run.folder / "state.pt").exists():
        run.save()
    mean = sum(losses) / len(losses) if losses else math.nan
    return Report(run.step, run.step >= steps, mean, run.replaced, done / elapsed)
