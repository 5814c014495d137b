"""What the processes of ``test_processes`` do; they import it by name."""

import os
import sys
import time
from pathlib import Path

import torch
import torch.distributed as dist


def total(value: float) -> tuple[int, float]:
    mine = torch.tensor(value + dist.get_rank())
    dist.all_reduce(mine)
    return dist.get_world_size(), float(mine)


def fails(rank: int) -> None:
    if dist.get_rank() == rank:
        raise ValueError(f"of process {rank}")
    dist.barrier()


def waits(folder: str) -> None:
    """Work until Ctrl-C, of which the first process hears."""
    (Path(folder) / f"{dist.get_rank()}.begun").touch()
    try:
        time.sleep(60)
    except KeyboardInterrupt:
        (Path(folder) / f"{dist.get_rank()}.heard").touch()
        raise


if __name__ == "__main__":
    from nascence.hypernet import in_processes

    try:
        in_processes(2, waits, sys.argv[1])
    except KeyboardInterrupt:
        os._exit(130)
