"""Processes on one machine that share the work of one run."""

import multiprocessing
import signal
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from multiprocessing.connection import Connection, wait
from multiprocessing.context import SpawnProcess
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist

from nascence.core.processes import follow_parent, interrupt
from nascence.core.resumable import interrupts_held


def in_processes(count: int, function: Callable[..., Any], *arguments: Any) -> Any:
    """Return the result of ``function(*arguments)`` in the first of ``count`` processes.

    The processes are started anew and form one group of ``torch.distributed`` over gloo, each
    with its share of the threads, so ``function`` must be importable and the arguments must
    pickle. Ctrl-C raises KeyboardInterrupt in the first process alone, where ``function`` may
    handle it, and ends a process that is still starting; a second one ends them all at once. No
    process outlives this one.

    Raises:
        ValueError: ``count`` is below 1.
        RuntimeError: A process was killed.
        KeyboardInterrupt: Ctrl-C was pressed.
        Exception: What the first process to fail raised.
    """
    if count < 1:
        raise ValueError(f"{count} processes; at least 1 is needed")
    context = multiprocessing.get_context("spawn")
    threads = max(1, torch.get_num_threads() // count)
    with tempfile.TemporaryDirectory() as folder:
        here, there = context.Pipe(duplex=False)
        group = [
            context.Process(
                target=_member, args=(rank, count, folder, threads, there, function, arguments)
            )
            for rank in range(count)
        ]
        patience = 0.0
        try:
            with _forwarded(group) as told:
                with interrupts_held():
                    for process in group:
                        process.start()
                there.close()
                result = _outcome(here, group, told)
            patience = 10.0  # to leave the group; where one failed the others only wait for it
            return result
        finally:
            for process in group:
                if process.pid is not None:
                    process.join(timeout=patience)
                    process.kill()
                    process.join()


@contextmanager
def _forwarded(group: list[SpawnProcess]) -> Iterator[list[int]]:
    """Tell the first process about Ctrl-C, and raise at a second; yields what it was told."""
    told: list[int] = []

    def forward(number: int, _: object) -> None:
        if told:
            raise KeyboardInterrupt
        told.append(number)
        interrupt(group[:1])

    before = signal.signal(signal.SIGINT, forward)
    try:
        yield told
    finally:
        signal.signal(signal.SIGINT, before)


def _outcome(here: Connection, group: list[SpawnProcess], told: list[int]) -> Any:
    """Return the result that the first process sends, or raise the first error of any."""
    running = {process.sentinel: process for process in group}
    while True:
        ready = wait([here, *running])
        if here in ready:
            try:
                kind, value = here.recv()
            except EOFError:
                break
            if kind == "result":
                return value
            if told and isinstance(value, RuntimeError):  # the others miss the first process
                break
            raise value
        ended = [running.pop(sentinel) for sentinel in list(running) if sentinel in ready]
        for process in ended:
            process.join()  # its files are closed a moment before it has an exit code
        if any(process.exitcode for process in ended) and not here.poll(1.0):
            break
    if told:
        raise KeyboardInterrupt
    raise RuntimeError("the processes ended without a result; was one killed?")


def _member(
    rank: int,
    count: int,
    folder: str,
    threads: int,
    there: Connection,
    function: Callable[..., Any],
    arguments: tuple[Any, ...],
) -> None:
    """One process of the group."""
    follow_parent()
    torch.set_num_threads(threads)
    method = (Path(folder) / "store").as_uri()
    try:
        dist.init_process_group("gloo", init_method=method, rank=rank, world_size=count)
        result = function(*arguments)
        if rank == 0:
            there.send(("result", result))
    except (Exception, KeyboardInterrupt) as error:
        there.send(("error", error))
    else:
        dist.destroy_process_group()
