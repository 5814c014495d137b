"""What the processes of ``test_processes`` do; they import it by name."""

import os
import sys
import time
from pathlib import Path

from nascence.core.resumable import Checkpoint

prepared = ""


def prepare(word: str) -> None:
    global prepared
    prepared = word


def told(number: int) -> tuple[int, str, int]:
    import torch

    return number**2, prepared, torch.get_num_threads()


def fails(number: int) -> int:
    if number == 2:
        raise ValueError(f"of task {number}")
    return number


def counts(folder: str, number: int) -> int:
    """A loop of a minute that keeps its step."""
    step = 0
    (Path(folder) / f"{number}.begun").touch()
    checkpoint = Checkpoint(Path(folder) / f"{number}.pt", {})
    with checkpoint.kept(lambda: {"step": step}, seconds=1e9) as stepped:
        while step < 1200:
            time.sleep(0.05)
            step += 1
            stepped(ended=step == 1200)
    return step


if __name__ == "__main__":
    from functools import partial

    from nascence.core.processes import map_in_processes

    folder = sys.argv[1]
    try:
        list(map_in_processes(partial(counts, folder), [0, 1, 2], workers=2))
    except KeyboardInterrupt:
        os._exit(130)
