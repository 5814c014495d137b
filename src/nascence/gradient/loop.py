"""The loop of all gradient searches: a step of the weights, a step of the architecture."""

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import torch

from nascence.core.processes import map_in_processes
from nascence.core.randomness import derived_seed, drawn_seed
from nascence.data import Dataset
from nascence.gradient.derivation import check_derivable
from nascence.gradient.supernet_search import Prepare, Progress, SupernetSearch
from nascence.gradient.trajectory import Epoch, GradientSearchError, Stop, Trajectory, trajectory
from nascence.spaces import CandidateSpace
from nascence.supernets import SuperNet
from nascence.training import DivergenceError


def gradient_search(
    supernets: SuperNet | Sequence[SuperNet],
    data: Dataset,
    prepare: Prepare,
    *,
    generator: torch.Generator,
    steps: int | None = None,
    seconds: float | None = None,
    epochs: int = 25,
    batch_size: int = 64,
    learning_rate: float = 0.025,
    final_learning_rate: float = 0.001,
    weight_decay: float = 3e-4,
    warmup: float = 0.0,
    architecture_every: int = 1,
    stop_at_skips: int | None = None,
    validation_images: int = 1000,
    crop: int = 4,
    flip: bool = True,
    clip: float = 5.0,
    device: torch.device | str = "cpu",
    workers: int = 1,
    out: Path | None = None,
    checkpoint_seconds: float = 20.0,
    progress: Progress | None = None,
) -> Trajectory:
    """Train copies of supernets while their architecture is learned; they are untouched.

    Every step moves the weights by SGD with Nesterov momentum on one half of the training images
    along half a cosine of learning rates, then the architecture on the other half (Liu et al.,
    "DARTS", ICLR 2019, algorithm 1). At the end of each of ``epochs`` equal parts of the search
    the network is derived and measured on the validation images.

    Several supernets are what one was split into: each is searched alone from the weights that it
    has, for an equal share of steps and seconds, and the result is the derived network with the
    best validation accuracy (Zhao et al., "Few-shot Neural Architecture Search", ICML 2021, whose
    gradient searches start each afresh).

    Args:
        supernets: one, or the sub-supernets of a split one, with BatchNorm over the batch.
        data: images to search on.
        prepare: makes the method; see :func:`darts` and its siblings.
        generator: gives the one seed of all randomness.
        steps: steps of all supernets together; None for no limit.
        seconds: time for all together; whichever of the two ends first. Give one or both.
        epochs: number of points of the history, for each supernet.
        batch_size: images in a batch of either half.
        learning_rate: learning rate of the weights, in the first step.
        final_learning_rate: learning rate of the weights in the last step.
        weight_decay: weight decay of the weights.
        clip: largest norm of the weights' gradient.
        warmup: first part of the search, in [0, 1), in which the architecture rests.
        architecture_every: steps of the weights to each step of the architecture.
        stop_at_skips: end the search at the epoch whose network has so many identities in its
            cell, of two kinds of cells in the normal one: 2 in Liang et al., "DARTS+", 2019,
            criterion 1; None never does.
        validation_images: at most so many are measured on.
        crop: pixels that training images are shifted by, at most.
        flip: whether training images are mirrored at random.
        device: where to compute.
        workers: processes that search several supernets at once, each with one thread and with
            the same result; ``prepare`` must then be a function that pickles.
        out: folder for a checkpoint of each supernet; the same call goes on from them. On a CPU,
            and with steps alone, the result is bit-equal to that of an undisturbed search.
        checkpoint_seconds: between two checkpoints.
        progress: called with the fraction done and, after an epoch, with it; with workers once
            for each supernet. A KeyboardInterrupt raised in it ends the search after a checkpoint.

    Raises:
        GradientSearchError: a loss or an architecture parameter is not finite; holds the history.
        CheckpointError: the checkpoint of another search, or one that cannot be written.
        ValueError: impossible settings, or a split of a decision that deriving needs whole.
    """
    parts = [supernets] if isinstance(supernets, SuperNet) else list(supernets)
    _check(parts, steps, seconds, epochs, warmup, learning_rate, final_learning_rate, stop_at_skips)
    if workers < 1:
        raise ValueError(f"workers is {workers}; give 1 or more")
    if architecture_every < 1:
        raise ValueError(f"architecture_every is {architecture_every}; give 1 or more")
    seed = drawn_seed(generator)
    jobs = []
    for number, part in enumerate(parts):
        share = None if steps is None else steps // len(parts) + (number < steps % len(parts))
        settings = {
            "learning rates": f"{learning_rate} to {final_learning_rate}, decay {weight_decay}",
            "steps": share,
            "epochs": epochs,
            "warm-up": warmup,
            "validation images": validation_images,
            "augmentation": f"crop {crop}, flip {flip}",
            "clip": clip,
            "skips": stop_at_skips,
            "steps to one of the architecture": architecture_every,
        }
        whole = {
            "supernet": part,
            "prepare": prepare,
            "number": number,
            "seed": derived_seed(seed, number, derivation="search"),
            "settings": settings,
            "batch_size": batch_size,
            "rates": (learning_rate, final_learning_rate, weight_decay),
            "crop": crop,
            "flip": flip,
            "device": torch.device(device),
            "path": None if out is None else out / f"leaf-{number}.pt",
        }
        search = {
            "steps": share,
            "seconds": None if seconds is None else seconds / len(parts),
            "epochs": epochs,
            "warmup": warmup,
            "every": architecture_every,
            "clip": clip,
            "stop_at_skips": stop_at_skips,
            "validation_images": validation_images,
            "checkpoint_seconds": checkpoint_seconds,
        }
        jobs.append((whole, search))
    if workers == 1 or len(jobs) == 1:
        return _joined(
            _searched(data, job, _shared(progress, number, len(jobs)))
            for number, job in enumerate(jobs)
        )
    return _joined(_in_processes(data, jobs, workers, progress))


class _Result(NamedTuple):
    """The result of searching one supernet; ``failure`` says why it ended early."""

    epochs: list[Epoch]
    stop: Stop | None
    failure: str


_Job = tuple[dict[str, Any], dict[str, Any]]


def _searched(data: Dataset, job: _Job, progress: Progress) -> _Result:
    one = SupernetSearch(data=data, **job[0])
    try:
        stop = one.search(**job[1], progress=progress)
    except DivergenceError as error:
        return _Result(one.epochs, None, str(error))
    return _Result(one.epochs, stop, "")


def _joined(results: Iterable[_Result]) -> Trajectory:
    """Put the epochs of all supernets one after the other, or raise with those until a failure."""
    epochs: list[Epoch] = []
    stops: list[Stop] = []
    for result in results:
        epochs += result.epochs
        if result.stop is None:
            raise GradientSearchError(result.failure, trajectory(epochs, stops))
        stops.append(result.stop)
    return trajectory(epochs, stops)


_worker_data: Dataset | None = None  # of a worker process, set once when it starts


def _in_processes(
    data: Dataset, jobs: Sequence[_Job], workers: int, progress: Progress | None
) -> Iterator[_Result]:
    results = map_in_processes(
        _search_in_worker, jobs, workers=workers, prepare=_prepare_worker, arguments=(data,)
    )
    for number, result in enumerate(results):
        if progress is not None:
            progress((number + 1) / len(jobs), result.epochs[-1] if result.epochs else None)
        yield result


def _prepare_worker(data: Dataset) -> None:
    global _worker_data
    _worker_data = data


def _search_in_worker(job: _Job) -> _Result:
    assert _worker_data is not None
    return _searched(_worker_data, job, lambda fraction, epoch: None)


def _check(
    parts: Sequence[SuperNet],
    steps: int | None,
    seconds: float | None,
    epochs: int,
    warmup: float,
    first: float,
    last: float,
    stop_at_skips: int | None,
) -> None:
    if not parts or len({part.choices for part in parts}) < len(parts):
        raise ValueError(f"{len(parts)} supernets are given; give one or more, none of them twice")
    if steps is None and seconds is None:
        raise ValueError("neither steps nor seconds is given; give one or both")
    if (steps is not None and steps < len(parts)) or (seconds is not None and not seconds > 0):
        raise ValueError(
            f"steps={steps}, seconds={seconds}; give at least one step for each of {len(parts)} "
            "supernets, and a positive time"
        )
    if epochs < 1 or not 0 <= warmup < 1 or not 0 <= last <= first:
        raise ValueError(
            f"epochs {epochs}, warmup {warmup}, learning rates {first} to {last}; give 1 or more, "
            "a part in [0, 1), and a last rate from 0 to the first"
        )
    if stop_at_skips is not None and stop_at_skips < 1:
        raise ValueError(f"stop_at_skips is {stop_at_skips}; give 1 or more, or None")
    for part in parts:
        if part.statistics != "batch":
            raise ValueError("gradient search needs supernets with statistics='batch'")
        if isinstance(part.space, CandidateSpace) and part.space.auxiliary:
            raise ValueError("a supernet has no auxiliary head; build the space without it")
        check_derivable(part)


def _shared(progress: Progress | None, number: int, parts: int) -> Progress:
    """Report the progress of one of several searches as that of all."""
    if progress is None:
        return lambda fraction, epoch: None
    return lambda fraction, epoch: progress((number + fraction) / parts, epoch)
