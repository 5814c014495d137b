"""Processes that share the work of one process, and stop with it after their checkpoints.

A process that is started here does not hear Ctrl-C itself, which would cut it short anywhere.
The one that started it passes Ctrl-C on, by another signal and once.
"""

import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from contextlib import suppress
from multiprocessing.process import BaseProcess
from typing import Any, TypeVar

import torch

from nascence.core.resumable import interrupts_held

Task = TypeVar("Task")
Result = TypeVar("Result")
_told = False  # whether this process was told to stop


def follow_parent() -> None:
    """Make this process obey only the Ctrl-C that its parent passes on, and end with the parent.

    No process may go on writing once the one that holds a folder's lock is gone.
    """
    signal.signal(signal.SIGUSR1, _as_interrupt)
    threading.Thread(target=_end_with_parent, daemon=True).start()


def interrupt(processes: Iterable[BaseProcess]) -> None:
    """Pass Ctrl-C on to processes that follow this one; one that is still starting ends."""
    for process in processes:
        if process.pid is not None and process.is_alive():
            with suppress(ProcessLookupError):
                os.kill(process.pid, signal.SIGUSR1)


def map_in_processes(
    function: Callable[[Task], Result],
    tasks: Sequence[Task],
    *,
    workers: int,
    threads: int = 1,
    prepare: Callable[..., None] | None = None,
    arguments: tuple[Any, ...] = (),
) -> Iterator[Result]:
    """Yield the results of ``function`` for each task, in order, from new processes.

    Ctrl-C, and an error of one task, stop the others as Ctrl-C stops a loop: after a checkpoint.
    A second Ctrl-C ends them at once.

    Args:
        function: Is imported by name in the processes, as ``prepare`` is.
        tasks: What pickles.
        workers: Processes, at most; there are not more than tasks.
        threads: Of PyTorch in each process.
        prepare: Called in each process first, with ``arguments``.
        arguments: What pickles; sent once to each process.

    Raises:
        Exception: What a task raises.
    """
    context = multiprocessing.get_context("spawn")
    before = set(multiprocessing.active_children())
    with ProcessPoolExecutor(
        min(workers, len(tasks)),
        mp_context=context,
        initializer=_begin,
        initargs=(threads, prepare, arguments),
    ) as pool:
        futures: list[Future[Result]] = []
        try:
            with interrupts_held():
                futures += [pool.submit(_heard, function, task) for task in tasks]
            for future in futures:
                yield future.result()
        except BaseException:
            started = set(multiprocessing.active_children()) - before
            for future in futures:
                future.cancel()
            interrupt(started)
            try:
                pool.shutdown(wait=True)
            except KeyboardInterrupt:
                for process in started:
                    process.kill()
            raise


def _begin(threads: int, prepare: Callable[..., None] | None, arguments: tuple[Any, ...]) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # between tasks there is nothing to stop
    follow_parent()
    torch.set_num_threads(threads)
    if prepare is not None:
        prepare(*arguments)


def _heard(function: Callable[[Task], Result], task: Task) -> Result:
    """Do a task that an interrupt from the parent can stop; after one, do none."""
    if _told:
        raise KeyboardInterrupt
    signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        return function(task)
    finally:
        signal.signal(signal.SIGINT, signal.SIG_IGN)


def _as_interrupt(number: int, frame: Any) -> None:
    """Do what Ctrl-C would do."""
    global _told
    _told = True
    handler = signal.getsignal(signal.SIGINT)
    if callable(handler):
        handler(number, frame)


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)
