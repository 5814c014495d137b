"""What the processes of ``test_processes`` do; they import it by name."""

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
