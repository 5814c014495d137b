"""Fixtures of the tests of optimizers."""

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import torch


def _process(rank: int, work: Callable[..., Any], folder: str, arguments: tuple[Any, ...]) -> None:
    distributed = torch.distributed
    torch.set_num_threads(1)
    meet = distributed.FileStore(f"{folder}/meet", 2)
    wait = timedelta(seconds=60)
    distributed.init_process_group("gloo", store=meet, rank=rank, world_size=2, timeout=wait)
    torch.save(work(rank, *arguments), f"{folder}/{rank}.pt")
    distributed.barrier()
    distributed.destroy_process_group()


@pytest.fixture
def in_two(tmp_path: Path) -> Callable[..., list[Any]]:
    """Call ``work(rank, *arguments)`` in each of two processes of a gloo group."""

    def run(work: Callable[..., Any], *arguments: Any) -> list[Any]:
        torch.multiprocessing.start_processes(
            _process, (work, str(tmp_path), arguments), nprocs=2, start_method="fork"
        )
        return [torch.load(tmp_path / f"{rank}.pt", weights_only=False) for rank in (0, 1)]

    return run
