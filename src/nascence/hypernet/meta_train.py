"""Meta-training of a hypernetwork: many networks, one set of images, one loss.

Knyazev et al. (2021), section 3.3: every step takes one batch of images and a meta-batch of
networks, and lowers the mean cross-entropy of the networks with predicted parameters.

All choices of step ``k`` follow from the seed and ``k``, so a run that was stopped continues
exactly, wherever it was stopped, and the same meta-batch gives the same gradient however many
processes share it.
"""

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

from torch import Tensor

from nascence.core.resumable import Budget, Stepped, interruptible, interrupts_held
from nascence.hypernet.draws import Networks
from nascence.hypernet.ghn import GHN
from nascence.hypernet.run_settings import RunSettings, check
from nascence.hypernet.training_run import Run, agreed

Validation = Callable[[GHN], dict[str, float]]


class Report(NamedTuple):
    """The results of one leg of meta-training."""

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
    out: str | Path,
    steps: int,
    meta_batch: int = 8,
    batch_size: int = 64,
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
    checkpoint_seconds: float = 60.0,
    log_every: int = 50,
    validation: Validation | None = None,
    validate_every: int | None = None,
    card: dict[str, Any] | None = None,
    workers: int = 0,
    progress: Callable[[float, str], None] | None = None,
) -> Report:
    """Train ``ghn`` in place for at most ``seconds``; call again to continue where it stopped.

    Every step flips a batch of images at random, shifts them, and takes a meta-batch of networks.
    A network whose loss or gradient is not finite, or that does not fit in memory, is replaced by
    another and counted. Where ``torch.distributed`` is initialised the meta-batch is shared among
    the processes, and the result is that of one process up to rounding. Ctrl-C ends a leg after
    the step and a checkpoint.

    Args:
        ghn: The hypernetwork, on the device to train on.
        networks: ``networks(k)`` gives graph and network ``k``: a module, on any device as only
            its shapes are used, or a function ``(parameters, images) -> logits``.
        count: How many networks there are.
        images: Floats ``(N, C, H, W)``.
        labels: ``(N,)``.
        out: Folder for ``state.pt`` (to continue), ``ghn.safetensors`` (weights and card) and
            ``log.jsonl``.
        steps: Steps of the whole run.
        meta_batch: Networks in a step.
        batch_size: Images in a step, the same for all its networks.
        learning_rate: Largest learning rate of Adam.
        weight_decay: Weight decay of Adam.
        warmup: Steps in which the learning rate rises.
        clip: Largest norm of the gradient.
        label_smoothing: Share of label smoothing, in [0, 1].
        seed: Seed of every random choice.
        schedule: ``"cosine"`` to zero over ``steps``; ``"constant"``, with which ``steps`` may grow
            from leg to leg; or ``"decay"``, which ends a constant run named by ``start`` at zero,
            for which a fifth of its steps is enough.
        average: Share that an exponential moving average of the weights keeps in a step;
            validation and ``ghn.safetensors`` then have the average.
        start: Folder of a run, to begin with its weights, moments and average, or a file or name
            of weights, to begin with those; the run remembers it.
        crop: Pixels that images are shifted by, at most (zeros come in).
        seconds: Wall time of this leg.
        checkpoint_seconds: Time between two checkpoints.
        log_every: Steps between two lines of the log.
        validation: Gives figures of a hypernetwork by name, for the log.
        validate_every: Steps between two validations; None for one at the end.
        card: What else to write beside the weights.
        workers: Processes that prepare networks ahead.
        progress: Called after every step with the fraction done and a line, empty for most steps;
            a KeyboardInterrupt raised in it ends the leg after a checkpoint.

    Raises:
        ValueError: Impossible settings.
        CheckpointError: ``out`` holds a run with other settings, or cannot be written.
    """
    settings = RunSettings(
        count, steps, meta_batch, batch_size, learning_rate, weight_decay, warmup, clip,
        label_smoothing, seed, schedule, average, str(start), crop,
    )  # fmt: skip
    check(settings, images, labels)
    run = Run(ghn, networks, images, labels, Path(out), settings, card or {})
    run.resume()
    first = run.step
    with interrupts_held() if workers else nullcontext():
        source = run.prepared(workers)
    budget = Budget(steps=steps, seconds=seconds, step=first)
    losses: list[float] = []
    with _stoppable(run, checkpoint_seconds) as stepped:
        while agreed(budget.left()):
            losses.append(run.advance(source))
            budget.count()
            line = ""
            if run.step % log_every == 0 or run.step == steps:
                rate = (run.step - first) * meta_batch / budget.elapsed
                line = _logged(run, sum(losses) / len(losses), rate)
                losses = losses[-1:]
            due = run.step == steps or run.step % (validate_every or steps) == 0
            if validation is not None and due and run.rank == 0:
                found = validation(run.result)
                run.log(**found)
                line += "".join(f", {name} {value:.3f}" for name, value in found.items())
            stepped(report=None if progress is None else partial(progress, run.step / steps, line))
    done = (run.step - first) * meta_batch
    if run.rank == 0:
        run.save() if done else run.write_weights()
    mean = sum(losses) / len(losses) if losses else math.nan
    return Report(run.step, run.step >= steps, mean, run.replaced, done / max(budget.elapsed, 1e-9))


@contextmanager
def _stoppable(run: Run, checkpoint_seconds: float) -> Iterator[Stepped]:
    """Let the first process save and stop at Ctrl-C, and tell the others, which do not hear it."""
    if run.rank:
        with interrupts_held():
            yield _unsaved
        return
    with interruptible(run.save, seconds=checkpoint_seconds) as stepped:
        try:
            yield stepped
        except KeyboardInterrupt:
            agreed(False)
            raise


def _unsaved(*, ended: bool = False, report: Callable[[], object] | None = None) -> None:
    if report is not None:
        report()


def _logged(run: Run, loss: float, rate: float) -> str:
    """Log the loss and the network-steps per second, and return them as a line of text."""
    run.log(loss=loss, rate=rate, cpu_seconds=run.cpu_seconds)
    return (
        f"step {run.step}/{run.settings.steps} loss {loss:.3f} {rate:.2f} network-steps/s, "
        f"{run.replaced} replaced"
    )
