"""Measuring latencies on the machine at hand: of every choice in its place, and of networks.

A choice is timed where it stands, while whole networks run, so that what runs before it has left
the caches as they will be. The clock is the CPU time of the one thread, which does not count the
time of other processes.
"""

import statistics
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import NamedTuple

import torch
from torch import Tensor, nn

from nascence.core.modes import evaluation_mode
from nascence.core.randomness import drawn_seed, seeded
from nascence.latency.table import LatencyTable
from nascence.spaces import AdditiveSpace, Architecture, NetworkSpace, SearchSpace, Zero
from nascence.supernets import MixedOperation, SuperNet

TRIES = 10_000
PLAIN = 24
"""Whole networks whose latency beyond that of their choices is that of the fixed parts."""
KEPT = 28 * 2**20
"""Bytes of memory that the process is to keep once it was freed."""
Reduce = Callable[[Sequence[float]], float]
Place = tuple[int, int]
"""Number of a decision, and index of its choice."""


class Observations(NamedTuple):
    """Milliseconds of single passes.

    Attributes:
        choices: of each choice, at all places of its decision together.
        networks: whole plain networks, with those of each.
    """

    choices: dict[Place, list[float]]
    networks: list[tuple[Architecture, list[float]]]


def measure_latencies(
    space: SearchSpace,
    *,
    side: int | None = None,
    batch_size: int = 1,
    generator: torch.Generator,
    networks: int = 15,
    passes: int = 3,
    reduce: Reduce = statistics.median,
    clock: Callable[[], float] = time.thread_time,
    progress: Callable[[float], None] | None = None,
) -> LatencyTable:
    """Measure a table of a space whose costs add up, on one thread.

    Networks are as :meth:`build` makes them, with BatchNorm and in evaluation mode.

    Args:
        space: ``Darts``, ``Mobile``, ``ShuffleNetSpace`` or another :class:`AdditiveSpace`.
        side: side of the images in pixels, None for the default of the space.
        batch_size: images of a forward pass.
        generator: source of the networks, their weights and the images.
        networks: random networks in which every choice is measured, at least.
        passes: passes of each network, interleaved, each after one to warm up.
        reduce: what all passes are reduced by, :func:`statistics.median` or :func:`min`.
        clock: seconds; the CPU time of this thread.
        progress: called with the fraction done.

    Raises:
        ValueError: a space whose costs do not add up, or numbers below 1.
    """
    if not isinstance(space, AdditiveSpace):
        raise ValueError(
            "latencies are measured for spaces whose costs add up over the decisions; use darts, "
            "mobile or shufflenet"
        )
    side = space.default_side if side is None else side
    if min(side, batch_size, networks, passes) < 1:
        raise ValueError(
            f"side {side}, batch_size {batch_size}, networks {networks}, passes {passes}; give 1 "
            "or more"
        )
    found = observe(
        space,
        torch.randn(batch_size, space.in_channels, side, side, generator=generator),
        generator=generator,
        networks=networks,
        passes=passes,
        plain=PLAIN,
        clock=clock,
        progress=progress,
    )
    return table_of(found, space, side=side, batch_size=batch_size, reduce=reduce)


def observe(
    space: NetworkSpace,
    images: Tensor,
    *,
    generator: torch.Generator,
    networks: int,
    passes: int,
    plain: int,
    clock: Callable[[], float] = time.thread_time,
    progress: Callable[[float], None] | None = None,
) -> Observations:
    """Time choices in their places and ``plain`` whole networks in turn.

    The images are one batch ``(B, C, H, W)``. A machine that is slower for a while is slower for
    both. See :func:`measure_latencies`.
    """
    with steady(), seeded(drawn_seed(generator)):
        supernet = _deployed(space)
        covering = _covering(supernet, networks, generator)
        drawn = [space.sample(generator=generator) for _ in range(plain)]
        built = [space.build(architecture).eval() for architecture in drawn]
        times: list[list[float]] = [[] for _ in built]
        choices: dict[Place, list[float]] = {}
        count = passes * max(len(covering), plain)
        with evaluation_mode(supernet), _timed(supernet, clock) as seconds:
            for number in range(count):
                architecture = covering[number % len(covering)]
                supernet(images, architecture)
                seconds.clear()
                supernet(images, architecture)
                for decision, spent in seconds.items():
                    choices.setdefault((decision, architecture[decision]), []).append(1e3 * spent)
                times[number % plain].append(_milliseconds(built[number % plain], images, clock))
                if progress is not None:
                    progress((number + 1) / count)
    return Observations(choices, list(zip(drawn, times, strict=True)))


def table_of(
    found: Observations,
    space: SearchSpace,
    *,
    side: int,
    batch_size: int,
    reduce: Reduce = statistics.median,
) -> LatencyTable:
    """Reduce observations to one number each; choices that are not built take no time."""
    choices = tuple(
        tuple(
            reduce(found.choices[number, index]) if (number, index) in found.choices else 0.0
            for index in range(len(decision.choices))
        )
        for number, decision in enumerate(space.decisions)
    )
    beyond = [
        reduce(times) - sum(row[index] for row, index in zip(choices, architecture, strict=True))
        for architecture, times in found.networks
    ]
    decisions = tuple(space.decisions)
    fixed = max(0.0, statistics.median(beyond))
    return LatencyTable(space.description, side, batch_size, decisions, fixed, choices)


def network_milliseconds(
    networks: Sequence[nn.Module],
    images: Tensor,
    *,
    passes: int = 7,
    clock: Callable[[], float] = time.thread_time,
) -> list[list[float]]:
    """Milliseconds of passes of whole networks on one thread, interleaved, in evaluation mode.

    Every pass is of one batch ``(B, C, H, W)`` and follows one of the same network that is not
    timed.
    """
    times: list[list[float]] = [[] for _ in networks]
    with steady():
        for _ in range(passes):
            for network, found in zip(networks, times, strict=True):
                with evaluation_mode(network):
                    found.append(_milliseconds(network, images, clock))
    return times


def _milliseconds(network: nn.Module, images: Tensor, clock: Callable[[], float]) -> float:
    """Time one pass after one that warms up."""
    network(images)
    started = clock()
    network(images)
    return 1e3 * (clock() - started)


@contextmanager
def steady() -> Iterator[None]:
    """Let operators compute on the calling thread alone, with memory that the process keeps."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    # In a fresh process glibc gives freed memory back to the system and asks for it anew in every
    # pass, which took up to 40 % of one, until a block of up to 32 MB was freed once.
    block = torch.empty(KEPT, dtype=torch.uint8)
    del block
    try:
        yield
    finally:
        torch.set_num_threads(threads)


@contextmanager
def _timed(supernet: SuperNet, clock: Callable[[], float]) -> Iterator[dict[int, float]]:
    """Yield the seconds of the last pass by number of the decision, added up over its places."""
    numbers = {decision.name: n for n, decision in enumerate(supernet.space.decisions)}
    seconds: dict[int, float] = {}
    started = 0.0

    def before(module: nn.Module, inputs: object) -> None:
        nonlocal started
        started = clock()

    def after(module: MixedOperation, inputs: object, output: Tensor | None) -> None:
        spent = clock() - started
        if output is not None:
            number = numbers[module.decision]
            seconds[number] = seconds.get(number, 0.0) + spent

    handles = []
    for mixed in supernet.operations():
        handles += [mixed.register_forward_pre_hook(before), mixed.register_forward_hook(after)]
    try:
        yield seconds
    finally:
        for handle in handles:
            handle.remove()


def _deployed(space: NetworkSpace) -> SuperNet:
    """All candidates as plain networks have them: full BatchNorm, the usual order of memory."""
    supernet = SuperNet(space, affine=True, statistics="tracked")
    for parameter in supernet.parameters():
        parameter.data = parameter.data.contiguous()
    return supernet


def _covering(supernet: SuperNet, least: int, generator: torch.Generator) -> list[Architecture]:
    """Random networks that have every choice ``least`` times or more, but for ``none``."""
    numbers = {decision.name: n for n, decision in enumerate(supernet.space.decisions)}
    counts: Counter[Place] = Counter(
        {
            (numbers[mixed.decision], int(key)): 0
            for mixed in supernet.operations()
            for key, candidate in mixed.candidates.items()
            if not isinstance(candidate, Zero)  # computes nothing
        }
    )
    found: list[Architecture] = []
    while counts[rarest := min(sorted(counts), key=counts.__getitem__)] < least:
        found.append(_with(rarest, supernet.space, generator))
        counts.update(place for place in enumerate(found[-1]) if place in counts)
    return found


def _with(place: Place, space: SearchSpace, generator: torch.Generator) -> Architecture:
    for _ in range(TRIES):
        architecture = space.sample(generator=generator)
        if architecture[place[0]] == place[1]:
            return architecture
    name, choices = space.decisions[place[0]]
    raise ValueError(f"no network of {TRIES:,} drawn has {choices[place[1]]} at {name}")
