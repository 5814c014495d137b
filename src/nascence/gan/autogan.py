"""AutoGAN: an LSTM for each stage searches a generator that grows while its supernet trains."""

from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import torch

from nascence.core.processes import map_in_processes
from nascence.core.randomness import derived_seed, drawn_seed
from nascence.data import Dataset
from nascence.gan.history import GanHistory, GanRound, GanSearchError, GanSupernetResult, joined
from nascence.gan.images import check_images
from nascence.gan.settings import GanSettings, published_growth
from nascence.gan.supernet_search import GanSupernetSearch, Progress, Score
from nascence.spaces import Growing
from nascence.supernets import SuperNet
from nascence.training import DivergenceError


def autogan(
    supernets: SuperNet | Sequence[SuperNet],
    data: Dataset,
    *,
    generator: torch.Generator,
    score: Score,
    steps: int | None = None,
    seconds: float | None = None,
    round_steps: int = 100,
    controller_steps: int = 30,
    samples: int = 1,
    controller_rate: float = 3.5e-4,
    entropy: float = 1e-3,
    baseline_decay: float = 0.9,
    hidden: int = 100,
    candidates: int = 10,
    kept: int = 5,
    images: int = 5000,
    batch_size: int = 64,
    generated: int = 128,
    critic_steps: int = 5,
    rates: tuple[float, float] = (2e-4, 2e-4),
    reset_window: int = 500,
    reset_variance: float = 1e-3,
    discriminator_width: int = 64,
    grow: Sequence[float] | None = None,
    device: torch.device | str = "cpu",
    workers: int = 1,
    out: Path | None = None,
    progress: Progress | None = None,
) -> GanHistory:
    """Search generators with copies of supernets; they are untouched.

    Gong, Chang, Jiang and Wang, "AutoGAN", ICCV 2019, section 3. The search begins with the first
    cell, on images of 8 pixels. Rounds alternate ``round_steps`` steps of the shared weights, each
    on a path that the controller draws, with ``controller_steps`` steps of the controller, which
    is rewarded with the score of what it drew. At each part ``grow`` of the search the best
    ``kept`` of ``candidates`` drawn go on: a cell and a block of the discriminator are added, and
    a new controller continues one of these beginnings with every draw, from the state of the LSTM
    that drew it. The candidates at the end are the history's. Where the losses of a window hardly
    vary, the shared weights are drawn anew.

    Several supernets are what one was split into: each is searched alone for an equal share of
    steps and seconds, and the best by score is the result (Zhao et al., "Few-shot Neural
    Architecture Search", ICML 2021).

    Args:
        supernets: one supernet of a :class:`Growing` space, or the sub-supernets of a split one.
        data: images of the side of the space's.
        generator: gives the one seed of all randomness.
        score: of generated images (N, C, H, W) in [-1, 1], such as ``ClassifierQuality.score``.
        steps: steps of the discriminators of all sub-supernets together; None for no limit.
        seconds: wall time; whichever of the two ends first. Give one or both.
        round_steps: steps of the shared weights in a round; published 15 epochs, 11,700 steps.
        controller_steps: steps of the controller in a round.
        samples: generators drawn in a step of the controller.
        controller_rate: learning rate of the Adam that moves the controller.
        entropy: weight of the controller's entropy in its reward.
        baseline_decay: decay of the moving average that rewards are compared with.
        hidden: size of the controller's LSTM.
        candidates: drawn at the end of a stage; equal ones are scored once.
        kept: how many of these, the best, go on.
        images: number of images that a score sees.
        batch_size: real images of a step, and as many generated ones.
        generated: images of a step of the generator.
        critic_steps: steps of the discriminator for one of the generator.
        rates: learning rates of Adam, of generator and discriminator.
        reset_window: steps over which the variance of each loss is taken.
        reset_variance: the weights are drawn anew where one falls below it; 0 never does.
        discriminator_width: its channels.
        grow: ascending parts of the search in (0, 1) at which a cell is added; None is as
            published, of three stages at 15/65 and 35/65.
        device: where to compute; scores see images on the CPU.
        workers: processes that search several supernets at once, each with one thread and with the
            same result; ``score`` must then pickle.
        out: folder for a checkpoint of each sub-supernet; the same call goes on from them. On a
            CPU, and with steps alone, the result is equal to that of an undisturbed search.
        progress: called with the fraction done and, after a round, with it; with workers once for
            each sub-supernet. A KeyboardInterrupt raised in it ends the search after a checkpoint.

    Raises:
        GanSearchError: a loss, an image, a score or a logit is not finite, or all candidates of a
            stage make one image each; holds the history.
        CheckpointError: the checkpoint of another search, or one that cannot be written.
        ValueError: impossible settings, images of another shape, supernets of another space.
    """
    parts = [supernets] if isinstance(supernets, SuperNet) else list(supernets)
    stages = _check(parts, data, steps, seconds, workers)
    growth = published_growth(stages) if grow is None else tuple(grow)
    if len(growth) != stages - 1:
        raise ValueError(f"grow has {len(growth)} parts; {stages} stages grow {stages - 1} times")
    settings = GanSettings(
        round_steps=round_steps,
        controller_steps=controller_steps,
        samples=samples,
        controller_rate=controller_rate,
        entropy=entropy,
        baseline_decay=baseline_decay,
        hidden=hidden,
        candidates=candidates,
        kept=kept,
        images=images,
        batch_size=batch_size,
        generated=generated,
        critic_steps=critic_steps,
        rates=rates,
        reset_window=reset_window,
        reset_variance=reset_variance,
        discriminator_width=discriminator_width,
        grow=growth,
    )
    seed = drawn_seed(generator)
    jobs = [
        {
            "supernet": part,
            "data": data,
            "score": score,
            "settings": settings,
            "number": number,
            "seed": derived_seed(seed, number, derivation="search"),
            "device": torch.device(device),
            "path": None if out is None else out / f"part-{number}.pt",
            "steps": None if steps is None else steps // len(parts) + (number < steps % len(parts)),
            "seconds": None if seconds is None else seconds / len(parts),
        }
        for number, part in enumerate(parts)
    ]
    results: list[GanSupernetResult] = []
    for result in _results(jobs, workers, progress):
        results.append(result)
        if result.failure:
            raise GanSearchError(result.failure, joined(results))
    return joined(results)


def _results(
    jobs: Sequence[dict[str, Any]], workers: int, progress: Progress | None
) -> Iterator[GanSupernetResult]:
    """Yield the result of each part in turn, searched here or in processes."""
    report: Progress = progress or (lambda fraction, ended: None)
    count = len(jobs)
    if workers == 1 or count == 1:
        for number, job in enumerate(jobs):
            yield _searched(job, partial(_share, report, number, count))
        return
    for number, result in enumerate(map_in_processes(_searched, jobs, workers=workers)):
        report((number + 1) / count, result.rounds[-1] if result.rounds else None)
        yield result


def _share(
    report: Progress, number: int, count: int, fraction: float, ended: GanRound | None
) -> None:
    report((number + fraction) / count, ended)


def _searched(job: dict[str, Any], progress: Progress | None = None) -> GanSupernetResult:
    limits = {name: job[name] for name in ("steps", "seconds")}
    part = GanSupernetSearch(**{name: value for name, value in job.items() if name not in limits})
    stop, failure = None, ""
    try:
        stop = part.search(**limits, progress=progress or (lambda fraction, ended: None))
    except DivergenceError as error:
        failure = str(error)
    return GanSupernetResult(
        tuple(part.rounds),
        tuple(part.growths),
        stop,
        part.gan.supernet.cpu().eval(),
        part.space.stages,
        failure,
    )


def _check(
    parts: Sequence[SuperNet],
    data: Dataset,
    steps: int | None,
    seconds: float | None,
    workers: int,
) -> int:
    """Return the number of stages, or raise."""
    if not parts or len({part.choices for part in parts}) < len(parts):
        raise ValueError(f"{len(parts)} supernets are given; give one or more, none of them twice")
    if workers < 1:
        raise ValueError(f"workers is {workers}; give 1 or more")
    for part in parts:
        if not isinstance(part.space, Growing):
            raise ValueError(
                f"{part.space.description} has no generators; give supernets of GeneratorSpace"
            )
        if part.statistics != "batch":
            raise ValueError("the search needs supernets with statistics='batch'")
        check_images(part.space, data)
    space = parts[0].space
    assert isinstance(space, Growing)
    if steps is None and seconds is None:
        raise ValueError("neither steps nor seconds is given; give one or both")
    if (steps is not None and steps < len(parts) * space.stages) or (
        seconds is not None and not seconds > 0
    ):
        raise ValueError(
            f"steps={steps}, seconds={seconds}; give at least one step for each of {space.stages} "
            f"stages of {len(parts)} supernets, and a positive time"
        )
    return space.stages
