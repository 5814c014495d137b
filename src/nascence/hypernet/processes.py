"""Processes on one machine that share the work of one run."""

import multiprocessing
import signal
import tempfile
from collections.abc import Callable
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist


def in_processes(count: int, function: Callable[..., Any], *arguments: Any) -> Any:
    """What ``function(*arguments)`` returns in the first of ``count`` processes.

    The processes are started anew and form one group of ``torch.distributed`` over gloo, each
    with its share of the threads, so ``function`` must be importable and the arguments must
    pickle. Ctrl-C reaches the first process alone, where ``function`` may handle it.

    Raises what the first process to fail raises, and RuntimeError where one was killed.
    """
    if count < 1:
        raise ValueError(f"{count} processes; at least 1 is needed")
    context = multiprocessing.get_context("spawn")
    threads = max(1, torch.get_num_threads() // count)
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        with tempfile.TemporaryDirectory() as folder:
            here, there = context.Pipe(duplex=False)
            group = [
                context.Process(
                    target=_member,
                    args=(rank, count, folder, threads, there, function, arguments),
                )
                for rank in range(count)
            ]
            for process in group:
                process.start()
            there.close()
            patience = 0.0
            try:
                result = _outcome(here)
                patience = 10.0  # to leave the group; where one failed the others only wait for it
                return result
            finally:
                for process in group:
                    process.join(timeout=patience)
                    process.kill()
                    process.join()
    finally:
        signal.signal(signal.SIGINT, before)


def _outcome(here: Connection) -> Any:
    """The result that the first process sends; raises the first error of any."""
    try:
        kind, value = here.recv()
    except EOFError:
        raise RuntimeError("the processes ended without a result; was one killed?") from None
    if kind == "error":
        raise value
    return value


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
    if rank == 0:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    torch.set_num_threads(threads)
    method = (Path(folder) / "store").as_uri()
    dist.init_process_group("gloo", init_method=method, rank=rank, world_size=count)
    try:
        result = function(*arguments)
        if rank == 0:
            there.send(("result", result))
    except (Exception, KeyboardInterrupt) as error:
        there.send(("error", error))
    else:
        dist.destroy_process_group()
